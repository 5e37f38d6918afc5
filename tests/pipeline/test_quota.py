"""The hourly quota, spent to the last request and never beyond it: days of traffic on a clock that jumps."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from email.utils import formatdate
from functools import lru_cache
from typing import Any

import pytest
from aiolimiter import AsyncLimiter
from hypothesis import example, given, settings
from hypothesis import strategies as st
from virtual_time import VirtualLoop, run

from meitner_aio import MeitnerError, QuotaExhausted, QuotaPolicy, Rate
from meitner_aio._pipeline.rate_limit import RateLimiter
from meitner_aio._wire.messages import Headers, RawResponse, Request, Send
from meitner_aio.errors import APIConnectionError
from meitner_aio.events import OnEvent, QuotaWait
from meitner_aio.sandbox import Sandbox

EPOCH = 1_700_000_000.37
"""Seconds since 1970 at which the clock of a virtual loop shows 0."""

PAGE = Request("list", "GET", "/student", "/student", bulk=True)
LAST = Request("list", "GET", "/student", "/student", bulk=True, upcoming=0)
"""A page after which its read needs nothing more."""

CALL = Request("get", "GET", "/student/{id}", "/student/x")

_dated = lru_cache(maxsize=1)(lambda second: formatdate(second, usegmt=True))


class Hour:
    """A server with a quota: a window opens with its first request, and every answer tells what remains of it."""

    def __init__(self, quota: int = 5000, window: float = 3600.0, latency: float = 0.05, *, date: bool = True) -> None:
        self.quota, self.window, self.latency, self.date = quota, window, latency, date
        self.ends = 0.0
        self.served: list[int] = []
        """Requests of each window."""
        self.refused = 0
        self.arrivals: list[float] = []
        self.in_flight = self.most_in_flight = 0
        self.chance = random.Random(7)

    async def send(self, _: Request) -> RawResponse:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency * self.chance.uniform(0.5, 1.0))
            answer = self.answer()
            await asyncio.sleep(self.latency * self.chance.uniform(0.0, 0.5))
            return answer
        finally:
            self.in_flight -= 1

    def answer(self) -> RawResponse:
        now = asyncio.get_running_loop().time()
        self.arrivals.append(now)
        if not self.served or now >= self.ends:
            self.ends = now + self.window
            self.served.append(0)
        status = 200 if self.served[-1] < self.quota else 429
        if status == 200:
            self.served[-1] += 1
        else:
            self.refused += 1
        return RawResponse(status, Headers(self.headers(now)), b"{}")

    def headers(self, now: float) -> dict[str, str]:
        said = {
            "RateLimit-Limit": str(self.quota),
            "RateLimit-Remaining": str(self.quota - self.served[-1]),
            "RateLimit-Reset": str(int((EPOCH + self.ends) * 1000)),
        }
        return said | {"Date": _dated(int(EPOCH + now))} if self.date else said


def _wall() -> float:
    return EPOCH + asyncio.get_running_loop().time()


def _rate_limiter(concurrency: int = 8, **options: Any) -> RateLimiter:
    return RateLimiter(concurrency, **{"wall": _wall, "uniform": random.Random(3).uniform} | options)


async def _busy(send: Send, requests: Iterator[object], tasks: int = 8) -> list[int]:
    """Send pages from so many tasks for as long as there are any; return how many each task sent."""

    async def worker() -> int:
        sent = 0
        for _ in requests:
            await send(PAGE)
            sent += 1
        return sent

    return await asyncio.gather(*(worker() for _ in range(tasks)))


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _spent(rate_limiter: RateLimiter, server: Hour, leave: int = 0, on_event: OnEvent | None = None) -> Send:
    """Return a `Send` through a rate limiter that knows for sure a window of which `leave` requests are left."""
    send = rate_limiter.admitting(server.send, on_event)
    server.served.append(server.quota - leave - 1)
    server.ends = _now() + server.window
    await send(PAGE)
    rate_limiter._admission._limiter.is_window, rate_limiter._admission._limiter.late = True, 0
    return send


# Days of traffic


@pytest.mark.parametrize("hours", [4, pytest.param(24, marks=pytest.mark.slow)])
def test_a_day_of_full_traffic_is_never_refused_and_wastes_nothing(hours: int) -> None:
    """24 hours, 120,000 requests, the most that 5,000 an hour allow: 0 answers of 429, 95 % of every window used."""
    server = Hour()

    async def main() -> float:
        await _busy(_rate_limiter().admitting(server.send), iter(range(hours * 5000)))
        return _now()

    took = run(main(), debug=False)
    assert server.refused == 0
    assert min(server.served[:hours]) >= 0.95 * 5000
    assert (hours - 1) * 3600 < took <= hours * 3600 * 1.01
    assert server.most_in_flight == 8


def test_a_bucket_alone_is_refused() -> None:
    """The control: an aiolimiter bucket of 5,000 an hour lets nearly twice as many into the first."""
    server = Hour()

    async def main() -> None:
        bucket = AsyncLimiter(5000, 3600)

        async def send(request: Request) -> RawResponse:
            await bucket.acquire()
            return await server.send(request)

        await _busy(send, iter(range(5_200)))

    run(main())
    assert server.refused > 100


@pytest.mark.parametrize(
    "skews",
    [
        (-300, 0, 300),
        *(pytest.param(skews, marks=pytest.mark.slow) for skews in [(-300, 300), (-300, -150, 0, 150, 300)]),
    ],
)
def test_several_clients_stay_clear_of_429_by_headers_alone(skews: tuple[int, ...]) -> None:
    """They share a credential and nothing else; their clocks are wrong: none refused, all used, nobody starved."""
    server = Hour()

    async def client(skew: int, requests: Iterator[object]) -> int:
        rate_limiter = RateLimiter(8, wall=lambda: _wall() + skew, uniform=random.Random(skew).uniform)
        return sum(await _busy(rate_limiter.admitting(server.send), requests))

    async def main() -> list[int]:
        requests = iter(range(4 * 5000))
        return await asyncio.gather(*(client(skew, requests) for skew in skews))

    sent = run(main(), debug=False)
    assert server.refused == 0
    assert min(server.served[:3]) >= 0.95 * 5000
    assert min(sent) >= 0.2 * sum(sent) / len(sent)


@pytest.mark.parametrize(("quota", "clients"), [(1, 1), (7, 1), (100, 5), (500, 3)])
def test_small_quotas_are_kept_too(quota: int, clients: int) -> None:
    """Where the clients' requests in flight are a large part of the window."""
    server = Hour(quota, latency=1.0)

    async def client(seed: int, requests: Iterator[object]) -> None:
        await _busy(RateLimiter(8, wall=_wall, uniform=random.Random(seed).uniform).admitting(server.send), requests)

    async def main() -> None:
        requests = iter(range(4 * quota))
        await asyncio.gather(*(client(seed, requests) for seed in range(clients)))

    run(main())
    assert server.refused <= (0.02 * sum(server.served) if clients == 5 else 0)
    assert min(server.served[:3]) >= 0.95 * quota


CLIENT = """
import asyncio, json, sys, time
url, skew = sys.argv[1], float(sys.argv[2])
true_time = time.time
time.time = lambda: true_time() + skew
from meitner_aio import Meitner, RateLimitError

async def main():
    statuses, windows = {}, {}

    def on_event(event):
        if type(event).__name__ == "ResponseReceived":
            statuses[event.status] = statuses.get(event.status, 0) + 1

    async with Meitner("an-id", "a-secret", base_url=url, on_event=on_event, max_retries=0) as meitner:
        async def worker():
            while len(windows) < 3:
                try:
                    await meitner.schools.list(limit=1)
                except RateLimitError:
                    continue
                quota = meitner.quota
                seen = windows.setdefault(quota.reset_at.isoformat(), [])
                seen.append(quota.remaining)
        sys.stdin.readline()
        await asyncio.gather(*(worker() for _ in range(8)))
    print(json.dumps([statuses, windows]))

asyncio.run(main())
"""


@pytest.mark.slow
async def test_three_processes_with_wrong_clocks_share_one_credential() -> None:
    """Single calls as fast as they go, 1,000 requests in 12 seconds: 0.3 % refused at most, 95 % used."""
    quota = 1000
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(
            Sandbox(students=0, quota=quota, limiter="window", window=12.0, latency=0.05)
        )
        clients = [await _process(stack, sandbox.url, skew) for skew in (-300, 0, 300)]
        async with asyncio.timeout(45):
            answers = await asyncio.gather(*(client.communicate(b"go\n") for client in clients))
    told = [json.loads(out) for out, _ in answers]
    sent = [sum(statuses.values()) for statuses, _ in told]
    remaining: dict[str, int] = {}
    for _, windows in told:
        for ends, seen in windows.items():
            remaining[ends] = min(remaining.get(ends, quota), *seen)
    second = sorted(remaining)[1]
    assert sum(statuses.get("429", 0) for statuses, _ in told) <= 0.003 * sum(sent)
    assert quota - remaining[second] >= 0.95 * quota
    assert min(sent) >= 0.2 * sum(sent) / 3


async def _process(stack: AsyncExitStack, url: str, skew: int) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, url, str(skew), stdin=pipe, stdout=pipe, env=None
    )

    async def stop() -> None:
        if process.returncode is None:
            process.kill()
            await process.wait()

    stack.push_async_callback(stop)
    return process


async def test_the_window_of_a_sandbox_may_be_shorter_than_an_hour() -> None:
    """Six seconds by its clock, and the headers say so; a window without length is refused."""
    now = [EPOCH]
    sandbox = Sandbox(students=0, quota=1, window=6.0, clock=lambda: now[0])
    ask = Request("list", "GET", "/school", "/school", headers={"Client-ID": "an-id", "Client-Secret": "a-secret"})
    statuses = []
    for later in (0.0, 5.9, 0.2):
        now[0] += later
        answer = await sandbox.send(ask)
        statuses.append(answer.status)
    assert statuses == [200, 429, 200]
    assert int(answer.headers["RateLimit-Reset"]) == round((now[0] + 6) * 1000)
    with pytest.raises(ValueError, match="window"):
        Sandbox(window=0)


# Zones


def test_nothing_is_paced_while_more_than_a_quarter_is_left() -> None:
    """Free: a burst is limited by the slots only."""
    server = Hour(1000)

    async def main() -> float:
        await _busy(_rate_limiter().admitting(server.send), iter(range(700)))
        return _now()

    assert run(main()) < 700 / 8 * server.latency + 1


def test_bulk_of_unknown_need_leaves_the_last_quarter_to_single_calls() -> None:
    """Three quarters at once, the rest spread evenly, a tenth more or less, for ten minutes after the last such call."""
    server = Hour(1000)

    async def main() -> None:
        send = _rate_limiter().admitting(server.send)
        await send(CALL)
        await _busy(send, iter(range(800)))

    run(main())
    assert server.arrivals[700] < 30
    late = server.arrivals[735:760]
    gaps = [after - before for before, after in itertools.pairwise(late)]
    assert min(gaps) > 0.8 * 3600 / 250
    assert max(gaps) <= 1.3 * 3600 / 230 + server.latency


def test_pages_alone_are_not_paced_to_the_last_one_that_they_may_have() -> None:
    """Two of a hundred are kept for single calls that may yet come, and given up before the window ends."""
    server = Hour(4000)

    async def main() -> None:
        await _busy(_rate_limiter().admitting(server.send), iter(range(4000)))

    run(main())
    assert server.arrivals[3900] < 60
    assert server.arrivals[3930] > 60
    assert 3300 < server.arrivals[3997] < 3601


def test_a_spent_window_is_closed_until_it_ends() -> None:
    """Closed: one second after the end at the earliest, six at the latest; Date tells whole seconds."""
    server = Hour(10)

    async def main() -> list[float]:
        send = await _spent(_rate_limiter(), server)
        end = server.ends
        await send(PAGE)
        return [end, server.arrivals[-1]]

    end, reopened = run(main())
    assert server.refused == 0
    assert end + 1 <= reopened <= end + 1 + 5 + 1 + server.latency


@pytest.mark.parametrize(("requested_delay", "pause", "jitter"), [("7", 7, 1), ("9999", 3605, 2), ("soon", 3601, 6)])
def test_a_retry_after_wins_over_the_end_of_the_window(requested_delay: str, pause: float, jitter: float) -> None:
    """The rate limiter opens when a refusal says so, an hour later at the latest; what makes no sense is not heeded."""
    server = Hour(1)

    async def refuse(request: Request) -> RawResponse:
        refused = await server.send(request)
        return RawResponse(429, Headers({**refused.headers, "Retry-After": requested_delay}), b"")

    async def main() -> None:
        rate_limiter = _rate_limiter()
        send = rate_limiter.admitting(refuse)
        await send(PAGE)
        rate_limiter._admission._limiter.is_window = True
        await send(PAGE)

    run(main())
    first, second = server.arrivals
    assert pause - 0.1 <= second - first <= pause + jitter + 0.1


def test_the_reserve_is_left_to_others() -> None:
    """300 of 1,000 are never touched; what may be used has a free part and a paced one as ever."""
    server = Hour(1000)

    async def main() -> None:
        await _busy(_rate_limiter(policy=QuotaPolicy(reserve=300)).admitting(server.send), iter(range(1400)))

    run(main())
    assert server.served == [700, 700]
    assert server.arrivals[500] < 20


def test_a_reserve_of_everything_lets_one_request_an_hour_find_out() -> None:
    """Nobody knows the limit before the first answer."""
    server = Hour(10)

    async def main() -> None:
        rate_limiter = _rate_limiter(policy=QuotaPolicy(reserve=10))
        await _spent(rate_limiter, server, leave=9)
        await _busy(rate_limiter.admitting(server.send), iter(range(4)))

    run(main())
    assert server.served[1:] == [1, 1, 1, 1]


# Who waits, who does not, and who is told


async def _outcome(send: Send, request: Request) -> tuple[BaseException | None, float]:
    """Return what a call came to and how many seconds it took."""
    began = _now()
    try:
        await send(request)
    except MeitnerError as error:
        return error, _now() - began
    return None, _now() - began


@pytest.mark.parametrize(
    ("policy", "request_", "waits"),
    [
        (QuotaPolicy(), PAGE, True),
        (QuotaPolicy(), CALL, False),
        (QuotaPolicy(max_wait=4000), CALL, True),
        (QuotaPolicy(max_wait=3000), CALL, False),
        (QuotaPolicy(max_wait=3000), PAGE, False),
        (QuotaPolicy(max_wait=4000, on_exhausted="raise"), PAGE, False),
        (QuotaPolicy(on_exhausted="raise"), CALL, False),
    ],
)
def test_a_request_waits_for_the_next_window_or_raises_at_once(
    policy: QuotaPolicy, request_: Request, *, waits: bool
) -> None:
    """A page of a listing waits, a single call does not wait an hour; the policy may say otherwise for both."""
    server = Hour(10)

    async def main() -> tuple[BaseException | None, float, RateLimiter]:
        rate_limiter = _rate_limiter(policy=policy)
        send = await _spent(rate_limiter, server)
        return *await _outcome(send, request_), rate_limiter

    error, took, rate_limiter = run(main())
    if waits:
        assert error is None
        assert took > 3500
    else:
        assert isinstance(error, QuotaExhausted)
        assert took < 0.001
        assert error.reset_at == rate_limiter.quota.reset_at
        assert (error.method, error.route) == (request_.method, request_.route)
        assert re.search(r"would wait (1 h|59 min( \d+ s)?)$", str(error))
    assert server.refused == 0


def test_a_single_call_waits_a_minute_but_not_longer() -> None:
    """The last minute of the window is worth waiting for."""
    server = Hour(10)

    async def main() -> list[tuple[BaseException | None, float]]:
        send = await _spent(_rate_limiter(), server)
        await asyncio.sleep(server.ends - _now() - 70)
        early = await _outcome(send, CALL)
        await asyncio.sleep(25)
        return [early, await _outcome(send, CALL)]

    (early, waited), (late, waited_later) = run(main())
    assert isinstance(early, QuotaExhausted)
    assert late is None
    assert waited < 0.001
    assert early.retry_after == pytest.approx(waited_later + 25, abs=1)
    assert 40 < waited_later <= 60


def test_a_single_call_does_not_wait_behind_pages_that_do() -> None:
    """Neither one that comes when pages wait already, nor one in line with them when the window closes."""
    server = Hour(10)

    async def main() -> list[tuple[BaseException | None, float]]:
        rate_limiter = _rate_limiter(2)
        send = await _spent(rate_limiter, server, leave=1)
        line = [asyncio.create_task(_outcome(send, request)) for request in (LAST, LAST, LAST, CALL, LAST, CALL)]
        await asyncio.sleep(10)
        assert [task.done() for task in line] == [True, False, False, True, False, True]
        late = await _outcome(send, CALL)
        return [late, *await asyncio.gather(*line)]

    outcomes = run(main())
    assert [type(error) for error, _ in outcomes] == [
        QuotaExhausted,
        *[type(None)] * 3,
        QuotaExhausted,
        type(None),
        QuotaExhausted,
    ]
    assert outcomes[0][1] < 0.001
    assert max(outcomes[4][1], outcomes[6][1]) < 5
    assert server.refused == 0


def test_nothing_is_decided_while_answers_are_under_way() -> None:
    """The last request of the window may never have arrived: the next one waits for that, and is not refused."""
    server = Hour(10)

    async def main() -> None:
        async def cut(_: Request) -> RawResponse:
            await asyncio.sleep(5)
            raise APIConnectionError("refused", sent=False)

        rate_limiter = _rate_limiter()
        send = await _spent(rate_limiter, server, leave=1)
        last = asyncio.create_task(rate_limiter.admitting(cut)(LAST))
        await asyncio.sleep(0)
        error, took = await _outcome(send, CALL)
        assert error is None
        assert took == pytest.approx(5, abs=server.latency)
        assert isinstance((await asyncio.gather(last, return_exceptions=True))[0], APIConnectionError)

    run(main())
    assert server.served == [10]


@pytest.mark.parametrize(("leave", "requests", "zones"), [(80, 10, []), (20, 10, []), (0, 10, ["closed"] * 10)])
def test_everybody_who_waits_is_told_once(leave: int, requests: int, zones: list[str]) -> None:
    """With the seconds to the turn, or to the reopening; who does not wait is not told."""
    server, told = Hour(100), []

    async def main() -> None:
        rate_limiter = _rate_limiter(4)
        send = await _spent(rate_limiter, server, leave, told.append)
        first, began, quota = len(server.arrivals), _now(), rate_limiter.quota
        await _busy(send, iter(range(requests)), 10)
        assert [event.zone for event in told] == zones
        assert all(isinstance(event, QuotaWait) and event.delay > 0 for event in told)
        if zones:
            away = server.arrivals[first + requests - len(zones)] - began
            assert told[0].delay == pytest.approx(away, abs=server.latency)
            assert (told[0].reset_at, told[0].remaining) == (quota.reset_at, leave)

    run(main())


@pytest.mark.parametrize(
    "choice", [{"reserve": -1}, {"max_wait": -1}, {"max_wait": float("nan")}, {"on_exhausted": "sleep"}]
)
def test_what_makes_no_policy_is_refused(choice: dict[str, Any]) -> None:
    """At construction, not an hour later."""
    with pytest.raises(ValueError, match="must"):
        QuotaPolicy(**choice)


@pytest.mark.parametrize(
    "choice", [(0,), (-1,), (float("nan"),), (float("inf"),), (1, 0.5), (1, float("inf")), (1, float("nan"))]
)
def test_what_makes_no_rate_is_refused(choice: tuple[float, ...]) -> None:
    """Neither a standstill nor no limit at all."""
    with pytest.raises(ValueError, match="must"):
        Rate(*choice)


# Opening


def test_clients_do_not_return_in_the_same_second() -> None:
    """Eight clients find the window closed; each reopens at a moment of its own."""
    server = Hour(80, latency=0.01)

    async def main() -> list[float]:
        back = []

        async def client(seed: int) -> None:
            send = await _spent(_rate_limiter(uniform=random.Random(seed).uniform), server)
            await send(PAGE)
            back.append(_now())

        await asyncio.gather(*(client(seed) for seed in range(8)))
        return back

    back = run(main())
    assert server.refused == 7  # those who found the window spent by the first
    assert len({int(moment) for moment in back}) >= 4
    assert max(back) - min(back) <= 5 + 1 + 1


@pytest.mark.parametrize("closed", [False, True])
def test_after_the_end_of_a_window_one_request_goes_first(*, closed: bool) -> None:
    """Its answer lets the others follow: eight at once into an unknown window could be eight too many."""
    server = Hour(100, latency=1.0)

    async def main() -> list[float]:
        send = await _spent(_rate_limiter(), server, leave=0 if closed else 90)
        await asyncio.sleep(server.ends - _now() + (-100 if closed else 100))
        server.arrivals.clear()
        await _busy(send, iter(range(17)))
        return server.arrivals

    first, *others = run(main())
    assert min(others) - first >= 1.0 * 0.5
    assert max(others[:8]) - min(others[:8]) <= 1.0


@pytest.mark.parametrize(("told", "waves"), [(False, [1, 2, 4, 8, 8, 8]), (True, [1, 8, 8, 8])])
def test_the_start_is_slow_until_an_answer_tells_the_window(waves: list[int], *, told: bool) -> None:
    """One request, then as many as allowed; without headers one, two, four, up to the slots, and then no limit but these."""

    async def main() -> Counter[float]:
        server, starts = Hour(), Counter[float]()

        async def send(_: Request) -> RawResponse:
            starts[round(_now())] += 1
            await asyncio.sleep(1)
            return server.answer() if told else RawResponse(200, Headers(), b"")

        await _busy(_rate_limiter().admitting(send), iter(range(sum(waves))))
        return starts

    assert list(run(main()).values()) == waves


def test_failures_do_not_keep_the_start_slow() -> None:
    """Where nothing answers, calls must not fail one after the other."""
    starts: Counter[float] = Counter()

    async def send(_: Request) -> RawResponse:
        starts[round(_now())] += 1
        await asyncio.sleep(1)
        raise APIConnectionError("nothing there")

    async def main() -> None:
        rate_limiter = _rate_limiter().admitting(send)
        outcomes = await asyncio.gather(*(rate_limiter(CALL) for _ in range(23)), return_exceptions=True)
        assert all(isinstance(outcome, APIConnectionError) for outcome in outcomes)

    run(main())
    assert list(starts.values()) == [1, 2, 4, 8, 8]


# A busy server


@pytest.mark.parametrize(
    "refusal",
    [(503, {}), (429, {"RateLimit-Limit": "1000", "RateLimit-Remaining": "900", "RateLimit-Reset": "60"})],
)
def test_a_busy_server_halves_the_width_and_successes_widen_it(refusal: tuple[int, dict[str, str]]) -> None:
    """Eight in flight, refused together: four, then two; a success at a time back to eight. No hour is waited for."""
    status, headers = refusal
    busy, most = True, 0

    async def main() -> list[int]:
        nonlocal busy, most
        in_flight, widths = 0, []

        async def send(_: Request) -> RawResponse:
            nonlocal in_flight, most
            in_flight += 1
            most = max(most, in_flight)
            await asyncio.sleep(1.1)
            in_flight -= 1
            return RawResponse(status, Headers(headers), b"") if busy else RawResponse(200, Headers(), b"")

        rate_limiter = _rate_limiter().admitting(send)
        busy = False
        await _busy(rate_limiter, iter(range(15)))
        for busy, count in (  # noqa: B007 - `send` reads it
            (True, 8),
            (True, 4),
            (True, 2),
            (True, 1),
            (False, 1),
            (False, 2),
            (False, 25),
            (False, 8),
        ):
            most = 0
            await _busy(rate_limiter, iter(range(count)))
            widths.append(most)
        return widths

    assert run(main()) == [8, 4, 2, 1, 1, 2, 7, 8]


def test_other_server_errors_neither_narrow_nor_widen() -> None:
    """A 500 says nothing about load, and is no success."""
    rate_limiter = _rate_limiter()

    async def main() -> None:
        answers = iter([503, *[500] * 50])

        async def send(_: Request) -> RawResponse:
            return RawResponse(next(answers), Headers(), b"")

        await _busy(rate_limiter.admitting(send), iter(range(51)))

    run(main())
    assert rate_limiter._semaphore.width == 4


def test_a_busy_server_narrows_in_a_spent_window_too() -> None:
    """503 is never about the quota, whatever its headers tell."""
    rate_limiter, server = _rate_limiter(), Hour(10)

    async def main() -> None:
        async def send(request: Request) -> RawResponse:
            answer = await server.send(request)
            return RawResponse(503, answer.headers, b"")

        await _spent(rate_limiter, server, leave=1)
        await rate_limiter.admitting(send)(PAGE)

    run(main())
    assert rate_limiter._semaphore.width == 4


def test_a_refusal_by_the_quota_closes_and_does_not_narrow() -> None:
    """429 with nothing left is the window's end, whoever spent it."""
    server = Hour(100)

    async def main() -> RateLimiter:
        rate_limiter = _rate_limiter()
        send = await _spent(rate_limiter, server, leave=80)
        server.served[-1] = 100  # by somebody else, all at once
        answer = await send(PAGE)
        assert answer.status == 429
        assert isinstance((await _outcome(send, CALL))[0], QuotaExhausted)
        await send(PAGE)
        return rate_limiter

    rate_limiter = run(main())
    assert rate_limiter._semaphore.width == 8
    assert server.refused == 1


# Hostile headers


class Hostile(Hour):
    """A server that refuses everything for a while and says what it likes about the end of its window."""

    def __init__(self, said: Callable[[float], dict[str, str]], refusals: int) -> None:
        super().__init__(10**6)
        self.said, self.refusals = said, refusals

    def answer(self) -> RawResponse:
        answer = super().answer()
        if len(self.arrivals) > self.refusals:
            return answer
        honest = {"RateLimit-Limit": "5000", "RateLimit-Remaining": "0", "Date": answer.headers["Date"]}
        return RawResponse(429, Headers(honest | self.said(EPOCH + self.arrivals[-1])), b"")


GATING: dict[str, Callable[[float], dict[str, str]]] = {
    "epoch milliseconds": lambda now: {"RateLimit-Reset": str(int((now + 1800) * 1000))},
    "epoch seconds": lambda now: {"RateLimit-Reset": str(int(now + 1800))},
    "delta seconds": lambda _: {"RateLimit-Reset": "1800"},
    "zero": lambda _: {"RateLimit-Reset": "0"},
    "the past": lambda now: {"RateLimit-Reset": str(int((now - 3600) * 1000))},
    "ten years": lambda now: {"RateLimit-Reset": str(int((now + 10 * 365 * 86400) * 1000))},
    "the largest number": lambda _: {"RateLimit-Reset": "9" * 14},
    "backwards": lambda now: {"RateLimit-Reset": str(int((2 * EPOCH + 9000 - now) * 1000))},
    "a limit that changes": lambda now: {
        "RateLimit-Limit": str(int(now) % 97 + 1),
        "RateLimit-Reset": str(int(now + 60)),
    },
    "no date": lambda now: {"Date": "", "RateLimit-Reset": str(int((now + 1800) * 1000))},
    "a date of long ago": lambda now: {"Date": formatdate(9), "RateLimit-Reset": str(int((now + 1800) * 1000))},
    "a date to come": lambda now: {"Date": formatdate(4e9), "RateLimit-Reset": str(int((now + 1800) * 1000))},
}

SILENT: dict[str, Callable[[float], dict[str, str]]] = {
    f"{name} {text[:12]!r}": lambda now, name=name, text=text: {"RateLimit-Reset": str(int(now * 1000))} | {name: text}
    for name in ("RateLimit-Reset", "RateLimit-Remaining", "RateLimit-Limit")
    for text in ("", "-1", "NaN", "1e400", "9" * 400, "٣٦٠٠", "soon")
}


@pytest.mark.parametrize("kind", GATING)
def test_a_hostile_end_gates_for_an_hour_at_most_and_a_second_at_least(kind: str) -> None:
    """Refused with nothing left: never a busy loop, never a wait beyond the hour, and the rate limiter reopens."""
    server = Hostile(GATING[kind], 12)

    async def main() -> None:
        await _busy(_rate_limiter().admitting(server.send), iter(range(40)))

    run(main())
    gaps = [after - before for before, after in itertools.pairwise(server.arrivals[:13])]
    assert min(gaps) >= 1.0
    assert max(gaps) <= 3605 + 1 + 5 + server.latency
    assert server.arrivals[-1] - server.arrivals[13] < 5


@pytest.mark.parametrize("kind", SILENT)
def test_headers_that_say_nothing_are_as_good_as_none(kind: str) -> None:
    """Refused all the same: one at a time asks again, two minutes apart at most, until it is served."""
    server = Hostile(SILENT[kind], 6)

    async def main() -> None:
        rate_limiter = _rate_limiter()
        await _busy(rate_limiter.admitting(server.send), iter(range(40)))
        assert rate_limiter.quota is None or rate_limiter.quota.limit == 10**6

    run(main())
    gaps = [after - before for before, after in itertools.pairwise(server.arrivals[:7])]
    assert min(gaps) >= 4
    assert max(gaps) <= 132 + server.latency
    assert server.arrivals[-1] - server.arrivals[6] < 5


_junk = st.sampled_from(["", "-1", "NaN", "1e400", "9" * 30, "٣", "0", "1", "60", "3600", "9999999", "5000"])
_reset = st.one_of(
    _junk,
    st.integers(-(10**5), 10**5).map(lambda s: str(int((EPOCH + s) * 1000))),
    st.integers(-(10**5), 10**5).map(lambda s: str(int(EPOCH + s))),
)
_date = st.one_of(_junk, st.integers(-(10**5), 10**5).map(lambda s: formatdate(EPOCH + s)))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([200, 429, 503, 500]), _junk, _junk, _reset, _date), max_size=10),
    st.integers(1, 8),
)
@example([(429, "5000", "0", "9999999", "")] * 3, 8)
def test_no_sequence_of_answers_stops_a_client(answers: list[tuple[int, str, str, str, str]], tasks: int) -> None:
    """Whatever was said, the next request leaves within the hour and a little, and after an honest answer all goes on."""
    server, said, left = Hour(), iter(answers), [0.0]

    async def send(request: Request) -> RawResponse:
        left.append(_now())
        for status, limit, remaining, reset, date in said:
            await asyncio.sleep(0.01)
            headers = {
                "RateLimit-Limit": limit,
                "RateLimit-Remaining": remaining,
                "RateLimit-Reset": reset,
                "Date": date,
            }
            return RawResponse(status, Headers(headers), b"")
        return await server.send(request)

    async def main() -> None:
        await _busy(_rate_limiter().admitting(send), iter(range(len(answers) + 30)), tasks)

    run(main())
    assert max(after - before for before, after in itertools.pairwise(left)) <= 3605 + 1 + 5 + 1


@pytest.mark.parametrize("date", [True, False])
@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_step_of_the_wall_clock_changes_no_delay(step: float, *, date: bool) -> None:
    """Forwards or backwards by an hour in the middle of the run, with dated answers and without: every request at its time."""

    def arrivals(by: float) -> list[float]:
        server, steps = Hour(60, date=date), iter([0.0])

        async def main() -> None:
            rate_limiter = _rate_limiter(wall=lambda: _wall() + next(steps, by), uniform=lambda low, _: low)
            await _busy(rate_limiter.admitting(server.send), iter(range(150)))

        run(main())
        assert server.refused == 0
        return server.arrivals

    assert arrivals(step) == arrivals(0.0)


# Order, and what is given back


def test_everybody_waits_equally_long() -> None:
    """256 tasks, 40 calls each, 8 slots: requests leave in the order in which they came."""
    server = Hour(10**6)

    async def main() -> list[float]:
        came, left = itertools.count(), []

        async def send(request: Request) -> RawResponse:
            left.append(int(request.path))
            return await server.send(request)

        rate_limiter = _rate_limiter().admitting(send)

        async def task() -> float:
            began = _now()
            for _ in range(40):
                await rate_limiter(Request("get", "GET", "/", str(next(came))))
            return _now() - began

        waits = await asyncio.gather(*(task() for _ in range(256)))
        assert left == sorted(left)
        return waits

    waits = run(main(), debug=False)
    assert max(waits) / min(waits) <= 3
    assert server.most_in_flight == 8


async def _whole(rate_limiter: RateLimiter, width: int) -> None:
    """Check that nothing is held, nobody waits, and as many as ever may be in flight together."""
    assert repr(rate_limiter._semaphore) == f"FairSemaphore(0 of {width} held, 0 waiting)"
    assert rate_limiter._semaphore._alarm is None
    server = Hour(10**6)
    await _busy(rate_limiter.admitting(server.send), iter(range(3 * width)), 2 * width)
    assert server.most_in_flight == width


WAITING_FOR: dict[str, tuple[dict[str, Any], int]] = {
    "a slot": ({"concurrency": 1}, 10**6),
    "the first answer": ({}, -1),
    "the turn": ({}, 5),
    "the window": ({}, 0),
    "the bucket": ({"rate": Rate(0.001)}, 10**6),
    "an answer": ({}, 10**6),
}


async def _waiting(kind: str) -> tuple[RateLimiter, list[asyncio.Task[RawResponse]]]:
    """Return a rate limiter with four tasks, one of which at least waits for what is said."""
    options, leave = WAITING_FOR[kind]
    rate_limiter, server = _rate_limiter(**options), Hour(10**6, latency=100.0 if leave else 0.05)
    server.latency = 0.05
    send = rate_limiter.admitting(server.send) if leave < 0 else await _spent(rate_limiter, server, leave)
    server.latency = 100.0
    tasks = [asyncio.create_task(send(PAGE)) for _ in range(4)]
    await asyncio.sleep(0.01)
    return rate_limiter, tasks


@pytest.mark.parametrize("kind", WAITING_FOR)
def test_a_request_that_is_cancelled_gives_everything_back(kind: str) -> None:
    """Whatever it waited for."""

    async def main() -> None:
        rate_limiter, tasks = await _waiting(kind)
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        await asyncio.sleep(4000)
        if rate_limiter._rate is None:
            await _whole(rate_limiter, rate_limiter._semaphore.width)

    run(main())


@pytest.mark.parametrize("kind", [kind for kind in WAITING_FOR if kind != "an answer"])
def test_close_fails_everybody_who_waits_at_once(kind: str) -> None:
    """With a MeitnerError, in no time, whatever they wait for; who comes later likewise. Closing twice is closing once."""

    async def main() -> None:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        rate_limiter, tasks = await _waiting(kind)
        in_flight = rate_limiter._semaphore.held if kind != "the bucket" else 0
        rate_limiter.close()
        rate_limiter.close()
        began = _now()
        failed = [error for error, _ in await asyncio.gather(*(_ended(task) for task in tasks[in_flight:]))]
        assert [str(error) for error in failed] == ["this client is closed"] * (4 - in_flight)
        assert failed
        assert len({id(error) for error in failed}) == len(failed)
        assert type((await _outcome(rate_limiter.admitting(Hour().send), CALL))[0]) is MeitnerError
        assert _now() - began < 0.001
        assert complaints == []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert rate_limiter._semaphore.held == 0

    run(main())


async def _ended(task: asyncio.Task[RawResponse]) -> tuple[BaseException | None, float]:
    await asyncio.wait([task])
    return task.exception(), _now()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 80), st.booleans()), min_size=1, max_size=60),
    st.sampled_from([3, 20, 10**6]),
    st.sampled_from([None, Rate(2.0), Rate(0.7, 3.5)]),
    st.integers(1, 4),
)
def test_permits_are_conserved_under_cancellation(
    calls: list[tuple[float, float, bool]], quota: int, rate: Rate | None, width: int
) -> None:
    """Calls come, are cancelled and fail at any moment: never more in flight than allowed, and at the end all is free."""
    server = Hour(quota, window=30.0, latency=3.0)
    chance = random.Random(1)

    async def send(request: Request) -> RawResponse:
        answer = await server.send(request)
        if chance.random() < 0.2:
            raise APIConnectionError("cut")
        return answer

    async def main() -> None:
        rate_limiter = _rate_limiter(width, rate=rate)
        through = rate_limiter.admitting(send)

        async def call(begins: float, lasts: float, *, bulk: bool) -> None:
            await asyncio.sleep(begins)
            async with asyncio.timeout(lasts):
                await through(PAGE if bulk else CALL)

        made = (call(begins, lasts, bulk=bulk) for begins, lasts, bulk in calls)
        outcomes = await asyncio.gather(*made, return_exceptions=True)
        assert all(isinstance(outcome, TimeoutError | MeitnerError | None) for outcome in outcomes)
        assert server.most_in_flight <= width
        await asyncio.sleep(10_000)
        if rate is None:
            await _whole(rate_limiter, width)

    run(main())


@settings(max_examples=40, deadline=None)
@given(quota=st.integers(1, 40), seed=st.integers(0, 2**30), lossy=st.booleans())
def test_a_lone_client_is_refused_at_most_twice_for_each_answer_that_was_lost(
    quota: int, seed: int, *, lossy: bool
) -> None:
    """Requests and answers overtake each other, hours end in between; where none is lost, none is refused.

    Nobody can know whether a request whose answer never came counted.
    """
    server, lost, rate_limiter = Hour(quota), 0, _rate_limiter()
    chance = random.Random(seed)

    async def send(_: Request) -> RawResponse:
        nonlocal lost
        await asyncio.sleep(chance.expovariate(0.5))
        answer = server.answer()
        await asyncio.sleep(chance.expovariate(0.5))
        known = rate_limiter.quota is not None and rate_limiter.quota.reset_at.timestamp() > EPOCH + _now()
        if lossy and known and chance.random() < 0.05:
            lost += 1
            raise APIConnectionError("cut")
        return answer

    async def main() -> None:
        through = rate_limiter.admitting(send)
        await asyncio.gather(*(through(PAGE) for _ in range(3 * quota)), return_exceptions=True)

    run(main(), debug=False)
    assert server.refused <= 2 * lost  # one that was believed to be left, and one to see whether it is a window


# The local bucket


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.1, 50),
    st.sampled_from([1, 1.5, 3, 10]),
    st.lists(st.floats(0, 20), min_size=2, max_size=60),
    st.integers(0, 2**30),
)
def test_in_any_window_no_more_than_the_burst_and_the_rate(
    per_second: float, burst: float, begins: list[float], seed: int
) -> None:
    """The law of the bucket, for every pair of sends; in the order in which the requests came."""
    sent: list[float] = []
    names: list[str] = []
    chance = random.Random(seed)

    async def send(request: Request) -> RawResponse:
        sent.append(_now())
        names.append(request.path)
        await asyncio.sleep(chance.random())
        return RawResponse(200, Headers(), b"")

    async def main() -> None:
        rate_limiter, came = _rate_limiter(rate=Rate(per_second, burst)).admitting(send), itertools.count()

        async def call(after: float) -> None:
            await asyncio.sleep(after)
            await rate_limiter(Request("get", "GET", "/", f"{next(came):03}"))

        await asyncio.gather(*(call(after) for after in begins))

    run(main())
    assert names == sorted(names)
    for first, start in enumerate(sent):
        for last in range(first, len(sent)):
            assert last - first + 1 <= burst + per_second * (sent[last] - start) + 1e-6


def test_nobody_overtakes_in_the_bucket() -> None:
    """Not even when the one whose turn it is has not been woken yet, as on a busy loop: aiolimiter alone lets that happen."""

    async def main() -> list[str]:
        loop, left = asyncio.get_running_loop(), []
        assert isinstance(loop, VirtualLoop)

        async def send(request: Request) -> RawResponse:
            left.append(request.path)
            return RawResponse(200, Headers(), b"")

        rate_limiter = _rate_limiter(rate=Rate(1.0)).admitting(send)
        await rate_limiter(Request("get", "GET", "/", "0"))
        await rate_limiter(Request("get", "GET", "/", "1"))
        tasks = [asyncio.create_task(rate_limiter(Request("get", "GET", "/", "2")))]
        await asyncio.sleep(0.5)
        loop.advance(1.0)
        tasks.append(asyncio.create_task(rate_limiter(Request("get", "GET", "/", "3"))))
        await asyncio.gather(*tasks)
        return left

    assert run(main()) == ["0", "1", "2", "3"]


def test_the_bucket_is_no_slower_than_its_rate() -> None:
    """100 requests, 4 a second, a burst of 10: 22.5 seconds."""

    async def main() -> float:
        async def send(_: Request) -> RawResponse:
            return RawResponse(200, Headers(), b"")

        await _busy(_rate_limiter(rate=Rate(4, 10)).admitting(send), iter(range(100)))
        return _now()

    assert run(main()) == pytest.approx(22.5, abs=0.01)


def test_requests_in_the_bucket_count_against_the_window() -> None:
    """Eight wait for the bucket when three are left: three leave."""
    server = Hour(100)

    async def main() -> None:
        rate_limiter = _rate_limiter(rate=Rate(0.1))
        send = await _spent(rate_limiter, server, leave=3)
        tasks = [asyncio.create_task(send(LAST)) for _ in range(8)]
        await asyncio.sleep(3000)
        assert sum(task.done() for task in tasks) == 3
        await asyncio.gather(*tasks)

    run(main())
    assert server.refused == 0


def test_every_loop_has_a_bucket_of_its_own() -> None:
    """A client may be built anywhere, and aiolimiter warns about a bucket that moves from loop to loop."""
    rate_limiter = _rate_limiter(rate=Rate(1.0))

    async def main() -> float:
        server = Hour()
        await _busy(rate_limiter.admitting(server.send), iter(range(5)))
        return _now()

    assert run(main()) == pytest.approx(4, abs=1)
    assert run(main()) == pytest.approx(4, abs=1)
