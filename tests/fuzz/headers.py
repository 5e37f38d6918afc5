"""Headers about time and quota: whatever they say, a number that makes sense or nothing, and no wait beyond an hour."""

from __future__ import annotations

from fuzzing import instrumented, run

with instrumented(__name__):
    from meitner_aio import RetryPolicy
    from meitner_aio._pipeline.retry_budget import RetryBudget
    from meitner_aio._pipeline.retry_policy import Decision, Retries
    from meitner_aio._pipeline.server_limiter import ServerLimiter
    from meitner_aio._wire.headers import (
        LONGEST_WAIT,
        limit_headers,
        media_type,
        number,
        reset_epoch,
        server_time,
    )
    from meitner_aio._wire.messages import Headers, RawResponse, Request

NAMES = ("Date", "Retry-After", "RateLimit-Reset", "RateLimit-Remaining", "RateLimit-Limit", "Content-Type")
_REQUEST = Request("get", "GET", "/x", "/x")


def harness(data: bytes) -> None:
    """Read two answers, one after the other: a line for each header, in the order of `NAMES`."""
    lines = data.decode("latin-1").split("\n")
    limiter = ServerLimiter(wall=lambda: 1_763_726_400.0)
    for turn, now in enumerate((5.0, 7.5)):
        said = dict(zip(NAMES, lines[turn * len(NAMES) :], strict=False))
        headers = Headers(said)
        _read(headers)
        departure = limiter.departs(now - 0.1, 0)
        told = limit_headers(headers)
        if told.limit:
            limiter.learn(told, departure, now, 0, served=True)
        assert limiter.ends <= now + LONGEST_WAIT
        assert 0 <= limiter.tokens(now + 1.0) <= limiter.limit
        assert 1 <= limiter.share <= 32
        quota = limiter.quota(now)
        assert (quota is None) is (limiter.limit == 0)
        assert quota is None or 0 <= quota.remaining <= quota.limit
        for status in (429, 503):
            retries = Retries(_REQUEST, RawResponse(status, headers, b""), RetryPolicy(), RetryBudget())
            requested_delay = retries.requested_delay()
            assert requested_delay is None or 0 <= requested_delay <= LONGEST_WAIT
            assert retries.decision is Decision.AGAIN


def _read(headers: Headers) -> None:
    for name in NAMES:
        value = number(headers, name)
        assert value is None or 0 <= value < 10**15
    limits = limit_headers(headers)
    for seconds in (server_time(headers), limits.retry_after, limits.ends(0.0), reset_epoch(headers, 0.0)):
        assert seconds is None or 0 <= seconds <= 10**11
    instant = limits.reset_at
    assert instant is None or instant.utcoffset() is not None
    assert len(media_type(headers)) <= 60


_NOON = b"Fri, 21 Nov 2025 12:00:00 GMT"
CORPUS = [
    b"",
    _NOON + b"\n7\n1763728000000\n4999\n5000\napplication/json",
    _NOON
    + b"\nFri, 21 Nov 2025 12:00:09 GMT\n1763728000\n0\n5000\ntext/html; charset=x\n"
    + _NOON
    + b"\n1e9\n3600\n-1\n5e3\n",
    b"Fri, 31 Dec 9999 23:59:59 GMT\n999999999.999999999\n9999999\n999999999999999\n1",
    b"Thu, 01 Jan 1970 00:00:00 +9999\n\xb2\n100000000000000\n0\n0",
    b"Fri, 21 Nov 2025 12:00:00 -99999999999999\n\x00\n 12 \n\x1c5\n\x0b7\n" + b"x" * 9000,
]

if __name__ == "__main__":
    run(harness, CORPUS)
