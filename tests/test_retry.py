"""What is tried again, what is not, and what the last failure says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import Scripted
from raw_server import STUDENT, STUDENT_ID, answer, failure

from meitner_aio import AmbiguousWriteError, ConflictError, InternalServerError, NotFoundError, RetryPolicy
from meitner_aio._protocol import Headers, RawResponse, Request
from meitner_aio._retry import LONGEST_WAIT, RETRIED_STATUSES, Retrying
from meitner_aio.errors import APIConnectionError, APIStatusError, BadRequestError, MeitnerError, RateLimitError

LOST = APIConnectionError("cut")
NEVER_SENT = APIConnectionError("refused", sent=False)
FIELDS = {"identity_number": "20150101-0000", "first_name": "Bo", "last_name": "Ek"}


def _answer(status: int, **headers: str) -> RawResponse:
    body = b"" if status < 300 else b'{"error":{"code":"Internal","message":"no","requestID":"req-1"}}'
    return RawResponse(status, Headers({name.replace("_", "-"): value for name, value in headers.items()}), body)


async def _run(
    *outcomes: RawResponse | APIConnectionError, operation: str = "get", policy: RetryPolicy | None = None
) -> tuple[RawResponse | MeitnerError, int, list[float]]:
    """Return what a call came to, how often it was sent, and the seconds it waited in between."""
    remaining, waits, sent = list(outcomes), [], 0

    async def send(_: Request) -> RawResponse:
        nonlocal sent
        sent += 1
        outcome = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        if isinstance(outcome, APIConnectionError):
            raise type(outcome)(outcome.message, sent=outcome.sent)
        return RawResponse(outcome.status, outcome.headers, outcome.body)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    retrying = Retrying(send, policy or RetryPolicy(), sleep=sleep)
    try:
        return await retrying.send(Request(operation, "GET", "/student/{id}", "/student/x")), sent, waits
    except MeitnerError as error:
        return error, sent, waits


@pytest.mark.parametrize("status", sorted({408, 409, 429, 500, 502, 503, 504, 599}))
async def test_refusals_and_server_errors_are_tried_three_times(status: int) -> None:
    """Two retries by default, then the error itself with the number of attempts."""
    error, sent, waits = await _run(_answer(status))
    assert isinstance(error, APIStatusError)
    assert (error.status_code, error.attempts, sent, len(waits)) == (status, 3, 3, 2)


@pytest.mark.parametrize("status", [300, 304, 400, 401, 403, 404, 405, 422, 451])
async def test_other_statuses_are_final(status: int) -> None:
    """A request that is wrong stays wrong."""
    error, sent, waits = await _run(_answer(status))
    assert isinstance(error, APIStatusError)
    assert (error.status_code, sent, waits) == (status, 1, [])


@pytest.mark.parametrize("outcome", [LOST, NEVER_SENT])
async def test_a_read_survives_connection_errors(outcome: APIConnectionError) -> None:
    """Sent or not, a read may be repeated; the answer knows how many attempts it took."""
    response, sent, _ = await _run(outcome, outcome, _answer(200))
    assert isinstance(response, RawResponse)
    assert (response.attempts, sent) == (3, 3)


async def test_the_last_failure_is_the_one_raised() -> None:
    """Not the first, and not a RetryError."""
    error, _, _ = await _run(LOST, _answer(500), _answer(404))
    assert isinstance(error, NotFoundError)
    assert error.attempts == 3


async def test_a_connection_error_that_lasts_names_its_call() -> None:
    """Method, route and attempts are known on connection errors too."""
    error, _, _ = await _run(LOST)
    assert isinstance(error, APIConnectionError)
    assert (error.method, error.route, error.attempts) == ("GET", "/student/{id}", 3)


@pytest.mark.parametrize(
    ("outcome", "operation", "sent"),
    [
        (NEVER_SENT, "create", 3),
        (_answer(429), "create", 3),
        (_answer(408), "create", 3),
        (_answer(409), "create", 3),
        (_answer(503), "create", 3),
        (LOST, "create", 1),
        (_answer(500), "create", 1),
        (_answer(502), "create", 1),
        (_answer(504), "create", 1),
        (RawResponse(503, Headers(), b"<html>"), "create", 1),
        (RawResponse(503, Headers({"Retry-After": "0"}), b"<html>"), "create", 3),
        (LOST, "update", 3),
        (_answer(502), "update", 3),
        (LOST, "delete", 3),
        (LOST, "search", 3),
        (_answer(500), "archive", 3),
    ],
)
async def test_a_create_is_never_sent_again_when_it_may_have_happened(
    outcome: RawResponse | APIConnectionError, operation: str, sent: int
) -> None:
    """Refused or never sent: again. Lost: ambiguous for a create, harmless for everything else."""
    error, times, _ = await _run(outcome, operation=operation)
    assert times == sent
    assert isinstance(error, AmbiguousWriteError) == (sent == 1)


async def test_an_ambiguous_create_says_so_and_was_sent_once(scripted: Scripted) -> None:
    """Over a socket: the connection is cut after the request, and nothing is sent again."""
    meitner, server = await scripted(None, answer(201))
    with pytest.raises(AmbiguousWriteError, match="may or may not have happened") as caught:
        await meitner.students.create(**FIELDS)
    assert len(server.seen) == 1
    assert FIELDS["identity_number"] not in str(caught.value)


async def test_a_delete_whose_first_answer_was_lost_may_find_nothing_left() -> None:
    """404 after a maybe processed attempt is success; on the first attempt it is not."""
    response, _, _ = await _run(LOST, _answer(404), operation="delete")
    assert isinstance(response, RawResponse)
    error, _, _ = await _run(_answer(404), operation="delete")
    assert isinstance(error, NotFoundError)
    error, _, _ = await _run(_answer(429), _answer(404), operation="delete")
    assert isinstance(error, NotFoundError)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry_After": "7"}, 7.0),
        ({"Retry_After": "0"}, 0.0),
        ({"Retry_After": "999999999"}, LONGEST_WAIT),
        ({"Retry_After": "Sat, 21 Nov 2026 10:00:09 GMT", "Date": "Sat, 21 Nov 2026 10:00:00 GMT"}, 9.0),
        ({"Retry_After": "Sat, 21 Nov 2026 09:00:00 GMT", "Date": "Sat, 21 Nov 2026 10:00:00 GMT"}, 0.0),
    ],
)
async def test_retry_after_wins_over_the_backoff(headers: dict[str, str], wait: float) -> None:
    """Seconds or a date, taken against the server's own clock, never longer than the hourly window."""
    _, _, waits = await _run(_answer(429, **headers), policy=RetryPolicy(initial=1000, maximum=1000))
    assert waits == [wait, wait]


@pytest.mark.parametrize("junk", ["-1", "soon", "1e9", "NaN", "", "٣", "Sat, 99 Nov 2026 10:00:09 GMT"])
async def test_a_retry_after_that_means_nothing_is_ignored(junk: str) -> None:
    """Junk leaves the backoff in charge."""
    _, _, waits = await _run(_answer(503, Retry_After=junk), policy=RetryPolicy(initial=0.25, maximum=0.25))
    assert len(waits) == 2
    assert all(0 <= wait <= 0.25 for wait in waits)


async def test_backoff_grows_is_jittered_and_capped() -> None:
    """Full jitter: waits spread from 0 to the bound of their turn, which doubles up to the maximum."""
    policy = RetryPolicy(max_retries=6, initial=1.0, maximum=8.0)
    turns = [[] for _ in range(6)]
    for _ in range(300):
        _, _, waits = await _run(_answer(500), policy=policy)
        for turn, wait in zip(turns, waits, strict=True):
            turn.append(wait)
    for turn, bound in zip(turns, [1, 2, 4, 8, 8, 8], strict=True):
        assert 0 <= min(turn) < 0.1 * bound
        assert 0.9 * bound < max(turn) <= bound


async def test_thousands_of_attempts_overflow_nothing() -> None:
    """The exponent is clamped."""
    _, sent, waits = await _run(_answer(500), policy=RetryPolicy(max_retries=5000, maximum=3.0))
    assert sent == 5001
    assert max(waits) <= 3.0


async def test_no_wait_begins_that_would_cross_the_deadline() -> None:
    """The last failure is raised at once instead."""
    error, sent, waits = await _run(_answer(429, Retry_After="30"), policy=RetryPolicy(deadline=10))
    assert isinstance(error, RateLimitError)
    assert (sent, waits, error.retry_after) == (1, [], 30.0)


async def test_the_policy_decides_which_statuses_are_retried() -> None:
    """An empty set of statuses leaves connection errors only."""
    _, sent, _ = await _run(_answer(500), policy=RetryPolicy(statuses=()))
    assert sent == 1
    _, sent, _ = await _run(LOST, policy=RetryPolicy(statuses=()))
    assert sent == 3
    assert 429 in RETRIED_STATUSES


async def test_no_retries_means_one_attempt(scripted: Scripted) -> None:
    """`max_retries=0` switches retries off, for creates too."""
    meitner, server = await scripted(failure(500), retry=None, max_retries=0)
    with pytest.raises(InternalServerError) as caught:
        await meitner.students.get(STUDENT_ID)
    assert (len(server.seen), caught.value.attempts, caught.value.request_id) == (1, 1, "req-1")
    with pytest.raises(AmbiguousWriteError):
        await meitner.students.create(**FIELDS)


async def test_concurrent_calls_do_not_share_their_retries() -> None:
    """A retry controller shared by calls would hand one call's outcome to another."""
    attempts: dict[str, int] = {}

    async def send(request: Request) -> RawResponse:
        attempts[request.path] = attempts.get(request.path, 0) + 1
        await asyncio.sleep(0)
        if attempts[request.path] < 3:
            return _answer(503)
        return RawResponse(200, Headers(), request.path.encode())

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    retrying = Retrying(send, RetryPolicy(), sleep=sleep)
    paths = [f"/student/{n}" for n in range(200)]
    answers = await asyncio.gather(*(retrying.send(Request("get", "GET", "/student/{id}", path)) for path in paths))
    assert [response.body.decode() for response in answers] == paths


async def test_conflicts_on_a_create_carry_the_servers_words(scripted: Scripted) -> None:
    """The error has code, data, headers and body; its line is masked."""
    meitner, server = await scripted(failure(409, "Conflict", "identityNumber 20150101-0000 is taken", X_Extra="1"))
    with pytest.raises(ConflictError) as caught:
        await meitner.students.create(**FIELDS)
    error: Any = caught.value
    assert len(server.seen) == 3
    assert (error.code, error.status_code, error.data.request_id) == ("Conflict", 409, "req-1")
    assert error.message == "identityNumber 20150101-0000 is taken"
    assert str(error) == "identityNumber *** is taken (request req-1)"
    assert error.headers["x-extra"] == "1"
    assert b"20150101-0000" in error.body


async def test_cancelling_a_call_that_waits_to_retry_stops_it() -> None:
    """Cancellation is never swallowed."""

    async def send(_: Request) -> RawResponse:
        return _answer(503)

    retrying = Retrying(send, RetryPolicy(initial=1000, maximum=1000), sleep=asyncio.sleep)
    call = asyncio.create_task(retrying.send(Request("get", "GET", "/x", "/x")))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_an_answer_after_retries_is_the_record(scripted: Scripted) -> None:
    """Two 502s in HTML, then the student."""
    html = answer(502, headers={"Content-Type": "text/html"}, body=b"<html>bad gateway</html>")
    meitner, server = await scripted(html, html, answer())
    assert (await meitner.students.get(STUDENT_ID)).last_name == STUDENT["lastName"]
    assert len(server.seen) == 3


async def test_a_bad_request_is_raised_as_such(scripted: Scripted) -> None:
    """400 with an unknown error code keeps the code."""
    meitner, _ = await scripted(failure(400, "BrandNewCode", "what"))
    with pytest.raises(BadRequestError) as caught:
        await meitner.students.get(STUDENT_ID)
    assert caught.value.code == "BrandNewCode"
