"""How a call is tried again: when, how often, until when, and what it says of itself."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import pytest
import tenacity
from conftest import CREDENTIALS, Scripted
from raw_server import STUDENT, STUDENT_ID, RawServer, Seen, answer, failure
from scripted_send import DATE, EPOCH, Script, call, endless, garbled, lost, request, said, stepping, unsent
from virtual_time import run

from meitner_aio import (
    AmbiguousWriteError,
    ConflictError,
    InternalServerError,
    Meitner,
    NotFoundError,
    OAuth2,
    QuotaExhausted,
    QuotaPolicy,
    Rate,
    RetryPolicy,
)
from meitner_aio._pipeline.authentication import Authenticated, BearerAuth
from meitner_aio._pipeline.rate_limit import RateLimiter
from meitner_aio._pipeline.retry import Retrying
from meitner_aio._pipeline.retry_budget import FULL, RetryBudget
from meitner_aio._wire.messages import Headers, RawResponse, Request, Send
from meitner_aio.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    BadRequestError,
    MeitnerError,
    RateLimitError,
    ResponseValidationError,
)
from meitner_aio.events import Event, RequestSent, ResponseReceived, RetryScheduled

FIELDS = {"identity_number": "20150101-0000", "first_name": "Bo", "last_name": "Ek"}


# Over a socket.


async def test_an_answer_after_retries_is_the_record(scripted: Scripted) -> None:
    """Two 502s in HTML, then the student."""
    html = answer(502, headers={"Content-Type": "text/html"}, body=b"<html>bad gateway</html>")
    meitner, server = await scripted(html, html, answer())
    assert (await meitner.students.get(STUDENT_ID)).last_name == STUDENT["lastName"]
    assert len(server.seen) == 3


async def test_an_ambiguous_create_says_so_and_was_sent_once(scripted: Scripted) -> None:
    """The connection is cut after the request, and nothing is sent again."""
    meitner, server = await scripted(None, answer(201))
    with pytest.raises(AmbiguousWriteError, match="may or may not have happened") as caught:
        await meitner.units.create(title="Enhet Nord")
    assert len(server.seen) == 1
    assert "title" in str(caught.value)
    assert "Enhet Nord" not in str(caught.value)


async def test_no_retries_means_one_attempt(scripted: Scripted) -> None:
    """`max_retries=0` switches retries off, for creates too."""
    meitner, server = await scripted(failure(500), retry=None, max_retries=0)
    with pytest.raises(InternalServerError) as caught:
        await meitner.students.get(STUDENT_ID)
    assert (len(server.seen), caught.value.attempts, caught.value.request_id) == (1, 1, "req-1")
    with pytest.raises(AmbiguousWriteError):
        await meitner.units.create(title="Enhet Nord")


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


async def test_a_bad_request_is_raised_as_such(scripted: Scripted) -> None:
    """400 with an unknown error code keeps the code."""
    meitner, _ = await scripted(failure(400, "BrandNewCode", "what"))
    with pytest.raises(BadRequestError) as caught:
        await meitner.students.get(STUDENT_ID)
    assert caught.value.code == "BrandNewCode"


GARBLED = {
    "JSON cut short": answer(body=b'{"id": "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64", "ident'),
    "HTML": answer(headers={"Content-Type": "text/html"}, body=b"<html>log in</html>"),
    "nothing": answer(body=b""),
    "another shape": answer(data=[STUDENT]),
    "a field of another type": answer(data={**STUDENT, "firstName": 7}),
    "no UTF-8": answer(body=b'{"id": "\xff"}'),
    "too deep": answer(body=b'{"id":' * 100_000),
    "another record": answer(data={**STUDENT, "id": "00000000-0000-4000-8000-000000000000"}),
}


@pytest.mark.parametrize("reply", GARBLED.values(), ids=GARBLED)
async def test_an_answer_that_cannot_be_read_is_asked_for_again(scripted: Scripted, reply: bytes) -> None:
    """200 proves nothing: twice more for a read or an update, and then the error."""
    meitner, server = await scripted(reply, reply, answer())
    assert (await meitner.students.get(STUDENT_ID)).id == STUDENT_ID
    assert len(server.seen) == 3
    meitner, server = await scripted(reply)
    with pytest.raises(ResponseValidationError) as caught:
        await meitner.students.update(STUDENT_ID, **FIELDS)
    assert (len(server.seen), caught.value.attempts) == (3, 3)


@pytest.mark.parametrize("reply", [reply for name, reply in GARBLED.items() if name != "another record"])
async def test_a_create_whose_answer_cannot_be_read_is_ambiguous(scripted: Scripted, reply: bytes) -> None:
    """It most probably happened: asking again would create a second one."""
    meitner, server = await scripted(reply, answer(201))
    with pytest.raises(AmbiguousWriteError):
        await meitner.units.create(title="Enhet Nord")
    assert len(server.seen) == 1


async def test_a_page_that_cannot_be_read_is_asked_for_again(scripted: Scripted) -> None:
    """Also where the listing reads it late."""
    empty = answer(data={"data": [], "pagination": {"offset": 0, "limit": 100, "total": 0}})
    meitner, server = await scripted(GARBLED["HTML"], GARBLED["JSON cut short"], empty)
    assert await meitner.students.list().all() == []
    assert len(server.seen) == 3


# Waits.


async def test_backoff_grows_is_jittered_and_capped() -> None:
    """Full jitter: waits spread from 0 to the bound of their turn, which doubles up to the maximum."""
    policy = RetryPolicy(max_retries=6, initial=1.0, maximum=8.0)
    turns: list[list[float]] = [[] for _ in range(6)]
    for _ in range(300):
        for turn, wait in zip(turns, (await call(said(500), policy=policy)).waits, strict=True):
            turn.append(wait)
    for turn, bound in zip(turns, [1, 2, 4, 8, 8, 8], strict=True):
        assert 0 <= min(turn) < 0.1 * bound
        assert 0.9 * bound < max(turn) <= bound


@pytest.mark.parametrize("exponent", [1.0, 2.0, 1e300])
async def test_thousands_of_attempts_overflow_nothing(exponent: float) -> None:
    """Attempt 1 to 5,001: every wait is finite and within the cap."""
    policy = RetryPolicy(max_retries=5000, maximum=3.0, exponent=exponent)
    outcome = await call(said(500), policy=policy, budget=endless())
    assert outcome.sent == 5001
    assert all(0 <= wait <= 3.0 for wait in outcome.waits)


async def test_jitter_is_uniform() -> None:
    """10,000 waits fall into ten equal parts with at most a fifth more or less in each."""
    policy = RetryPolicy(max_retries=10_000, initial=10.0, maximum=10.0)
    waits = (await call(said(500), policy=policy, budget=endless())).waits
    parts = [0] * 10
    for wait in waits:
        parts[min(int(wait), 9)] += 1
    assert all(800 <= part <= 1200 for part in parts)


async def test_the_waits_are_tenacitys() -> None:
    """With the same chance, calls wait as tenacity's own controller does with the wait that the policy names."""
    policy, asked = RetryPolicy(max_retries=9, initial=0.3, maximum=20.0, exponent=2.5, deadline=1e6), []

    async def keep(seconds: float) -> None:
        asked.append(seconds)

    random.seed(11)
    with suppress(InternalServerError):
        await Retrying(Script(*[said(500)] * 10), policy, endless(), sleep=keep).send(request())
    ours, asked = asked, []
    random.seed(11)
    with suppress(tenacity.RetryError):
        await tenacity.AsyncRetrying(
            sleep=keep,
            wait=tenacity.wait_random_exponential(0.3, 20.0, 2.5),
            stop=tenacity.stop_after_attempt(10),
            retry=tenacity.retry_always,
        )(Script(*[said(500)] * 10), request())
    assert len(ours) == 9
    assert ours == asked


async def test_concurrent_calls_do_not_share_their_retries() -> None:
    """A retry controller shared by calls would hand one call's outcome to another."""
    attempts: dict[str, int] = {}

    async def send(asked: Request) -> RawResponse:
        attempts[asked.path] = attempts.get(asked.path, 0) + 1
        await asyncio.sleep(0)
        if attempts[asked.path] < 3:
            return said(503)
        return RawResponse(200, Headers(), asked.path.encode())

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    retrying = Retrying(send, RetryPolicy(), endless(), sleep=sleep)
    paths = [f"/student/{n}" for n in range(200)]
    answers = await asyncio.gather(*(retrying.send(Request("get", "GET", "/student/{id}", path)) for path in paths))
    assert [response.body.decode() for response in answers] == paths


# Deadlines.


async def test_no_wait_begins_that_would_cross_the_deadline() -> None:
    """The last failure is raised at once instead."""
    outcome = await call(said(429, Retry_After="30"), policy=RetryPolicy(deadline=10))
    assert isinstance(outcome.result, RateLimitError)
    assert (outcome.sent, outcome.waits, outcome.result.retry_after) == (1, [], 30.0)


class Timed:
    """A server on virtual time whose answers take as long as they like, and a record of who did what when."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.deadline = self.random.choice([0.5, 3.0, 20.0, 100.0])
        self.starts: list[float] = []
        self.sleeps: list[tuple[float, float]] = []
        self.last: object = None

    async def send(self, _: Request) -> RawResponse:
        self.starts.append(asyncio.get_running_loop().time())
        self.last = APITimeoutError
        await asyncio.sleep(self.random.choice([0.0, 0.1, 1.0, 7.0, 60.0]))
        reply = self.random.choice([said(500), said(503, Retry_After="3"), said(429), lost, unsent, garbled])
        self.last = reply.status if isinstance(reply, RawResponse) else type(reply())
        if isinstance(reply, RawResponse):
            return reply
        raise reply()

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append((asyncio.get_running_loop().time(), seconds))
        await asyncio.sleep(seconds)


@pytest.mark.parametrize("bulk", [False, True])
def test_a_deadline_holds_whatever_happens(bulk: bool) -> None:
    """200 histories: no attempt starts after it, no wait crosses it, none ends later; the error is the last outcome's."""

    async def history(seed: int) -> bool:
        server = Timed(seed)
        random.seed(seed)
        policy = RetryPolicy(max_retries=9, deadline=server.deadline, outage=7200.0 if bulk else 0.0)
        retrying = Retrying(server.send, policy, endless(), sleep=server.sleep)
        with pytest.raises(MeitnerError) as caught:
            await retrying.send(request("list", bulk=bulk))
        assert asyncio.get_running_loop().time() <= server.deadline + 1e-6
        assert all(start < server.deadline for start in server.starts)
        assert all(begun + seconds < server.deadline for begun, seconds in server.sleeps)
        assert getattr(caught.value, "status_code", type(caught.value)) == server.last
        assert caught.value.attempts == len(server.starts)
        return server.last is APITimeoutError

    cut = [run(history(seed)) for seed in range(200)]
    assert 0 < sum(cut) < len(cut)


def test_a_clock_that_oversleeps_starts_no_attempt_after_the_deadline() -> None:
    """A busy machine wakes up late: the failure that was is raised."""

    async def main() -> None:
        async def sleep(_: float) -> None:
            await asyncio.sleep(60.0)

        script = Script(said(503), said(200))
        with pytest.raises(InternalServerError) as caught:
            await Retrying(script, RetryPolicy(deadline=30.0), sleep=sleep).send(request())
        assert (script.sent, caught.value.attempts) == (1, 1)

    run(main())


def test_a_create_that_the_deadline_cuts_off_is_ambiguous() -> None:
    """It was on its way."""

    async def main() -> None:
        async def send(_: Request) -> RawResponse:
            await asyncio.sleep(60)
            return said(201)

        with pytest.raises(AmbiguousWriteError):
            await Retrying(send, RetryPolicy(deadline=1.0)).send(request("create", "POST"))

    run(main())


def test_a_create_that_the_deadline_keeps_at_the_gate_never_left() -> None:
    """Nothing was sent, so nothing is ambiguous; the same with a smoother, and with a token to wait for."""

    async def main() -> None:
        async def slow(_: Request) -> RawResponse:
            await asyncio.sleep(100)
            return said(201)

        class SlowAuth:
            async def headers(self) -> dict[str, str]:
                await asyncio.sleep(100)
                return {}

        rate_limiter, smooth = RateLimiter(1), RateLimiter(8, Rate(per_second=0.01))
        busy = [asyncio.ensure_future(one.admitting(slow)(request())) for one in (rate_limiter, smooth)]
        await asyncio.sleep(0)
        for send in (
            rate_limiter.admitting(slow),
            smooth.admitting(slow),
            Authenticated(slow, SlowAuth(), {}, 60.0).send,
        ):
            with pytest.raises(APITimeoutError) as caught:
                await Retrying(send, RetryPolicy(deadline=5.0)).send(request("create", "POST"))
            assert not caught.value.sent
        for one in busy:
            one.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        with pytest.raises(AmbiguousWriteError):
            await Retrying(rate_limiter.admitting(slow), RetryPolicy(deadline=5.0)).send(request("create", "POST"))

    run(main())


# The budget of a client.


@pytest.mark.parametrize("reply", [said(503), said(500), lost, unsent], ids=["503", "500", "cut", "refused"])
def test_a_total_outage_adds_35_attempts_to_1000_calls(reply: Any) -> None:
    """However many fail at once, the server sees few more requests than calls; who was cut short is told."""

    async def main() -> None:
        script, budget = Script(reply), RetryBudget()
        retrying = Retrying(script, RetryPolicy(), budget)
        calls = [retrying.send(request(path=f"/student/{n}")) for n in range(1000)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert asyncio.get_running_loop().time() <= 1.5
        assert 1000 <= script.sent <= 1035
        kind = InternalServerError if isinstance(reply, RawResponse) else APIConnectionError
        assert all(isinstance(error, kind) for error in errors)
        for error in errors:
            assert isinstance(error, MeitnerError)
            assert error.retry_budget_exhausted == (error.attempts is not None and error.attempts < 3)
        assert script.sent == sum(error.attempts for error in errors)  # type: ignore[union-attr,misc]

    run(main())


def test_retries_that_fail_are_bounded_by_what_succeeds() -> None:
    """A tenth of all calls fails for good: retries beyond the first 35 have to be earned, 14 successes each."""

    async def main() -> None:
        sent: dict[str, int] = {}

        async def send(asked: Request) -> RawResponse:
            sent[asked.path] = sent.get(asked.path, 0) + 1
            return said(500 if int(asked.path) % 10 == 0 else 200)

        retrying = Retrying(send, RetryPolicy())
        for n in range(2000):
            with suppress(InternalServerError):
                await retrying.send(request(path=str(n)))
        assert 2000 < sum(sent.values()) <= 2000 + 35 + 1800 / 14

    run(main())


def test_a_retry_that_is_cancelled_while_it_waits_costs_nothing() -> None:
    """Two hundred callers that lose patience do not take the retries of all others."""

    async def main() -> None:
        budget = RetryBudget()
        retrying = Retrying(Script(said(503, Retry_After="60")), RetryPolicy(), budget)
        for _ in range(200):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await retrying.send(request())
        assert budget.tokens == FULL

    run(main())


# The quota.


SPENT = {"RateLimit_Limit": "5000", "RateLimit_Remaining": "0", "RateLimit_Reset": f"{EPOCH + 900}000", "Date": DATE}


def test_a_quota_that_is_spent_is_waited_for_once_and_by_the_gate() -> None:
    """429 with the end of the window: a look whether it is a bucket, and then the call waits until the window has ended."""

    async def main() -> None:
        script, rate_limiter = (
            Script(said(429, **SPENT), said(429, **SPENT), said(200)),
            RateLimiter(8, policy=QuotaPolicy(max_wait=3600)),
        )
        response = await Retrying(rate_limiter.admitting(script), RetryPolicy()).send(request())
        assert (response.status, script.sent) == (200, 3)
        assert 900 < asyncio.get_running_loop().time() <= 910

    run(main())


@pytest.mark.parametrize("bulk", [False, True])
def test_a_gate_that_refuses_to_wait_leaves_the_servers_own_words(bulk: bool) -> None:
    """The server said 429 first, and when to come back; only who never asked gets QuotaExhausted."""

    async def main() -> None:
        script, rate_limiter = Script(said(429, **SPENT)), RateLimiter(8, policy=QuotaPolicy(on_exhausted="raise"))
        retrying = Retrying(rate_limiter.admitting(script), RetryPolicy(outage=7200.0))
        with pytest.raises(RateLimitError) as caught:
            await retrying.send(request("list", bulk=bulk))
        assert caught.value.reset_at is not None
        assert (int(caught.value.reset_at.timestamp()), caught.value.attempts, script.sent) == (EPOCH + 900, 1, 1)
        with pytest.raises(QuotaExhausted):
            await retrying.send(request("list", bulk=bulk))
        assert script.sent == 1

    run(main())


async def test_a_refusal_after_another_failure_is_the_gates() -> None:
    """The call failed with 503 and may not be sent again: what keeps it is the quota."""
    script = Script(said(503), lambda: QuotaExhausted("spent"))
    with pytest.raises(QuotaExhausted) as caught:
        await Retrying(script, RetryPolicy(initial=0.0)).send(request())
    assert caught.value.attempts == 1


# What a call tells.


async def _told(script: Send, **how: Any) -> list[Any]:
    events: list[Any] = []
    retrying = Retrying(script, RetryPolicy(initial=1.0), on_event=events.append, **how)
    await asyncio.gather(retrying.send(request()), return_exceptions=True)
    return events


async def test_events_tell_the_story_in_order() -> None:
    """Sent, answered, scheduled, sent, lost, scheduled, sent, answered: with the attempt each belongs to."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    events = await _told(Script(said(503), lost, said(200)), sleep=sleep)
    assert [(type(event), event.attempt) for event in events] == [
        (RequestSent, 1),
        (ResponseReceived, 1),
        (RetryScheduled, 1),
        (RequestSent, 2),
        (RetryScheduled, 2),
        (RequestSent, 3),
        (ResponseReceived, 3),
    ]
    scheduled = [event for event in events if isinstance(event, RetryScheduled)]
    assert [event.reason for event in scheduled] == ["503", "APIConnectionError"]
    assert [event.delay for event in scheduled] == waits
    assert {(event.method, event.route) for event in events} == {("GET", "/student/{id}")}


async def test_nothing_is_announced_that_does_not_happen() -> None:
    """The last failure schedules no retry, a final one none at all."""

    async def sleep(_: float) -> None:
        return

    events = await _told(Script(said(500)), sleep=sleep)
    assert [type(event) for event in events] == [RequestSent, ResponseReceived, RetryScheduled] * 2 + [
        RequestSent,
        ResponseReceived,
    ]
    assert [type(event) for event in await _told(Script(said(404)))] == [RequestSent, ResponseReceived]


async def test_a_callback_that_raises_breaks_nothing(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    """Metrics must not cost a call; what they raise is logged."""

    def broken(event: Event) -> None:
        raise RuntimeError(type(event).__name__)

    meitner, server = await scripted(failure(503), answer(), on_event=broken)
    assert (await meitner.students.get(STUDENT_ID)).id == STUDENT_ID
    assert len(server.seen) == 2
    assert [record.message for record in caplog.records].count("on_event failed") == 5


async def test_elapsed_spans_every_attempt() -> None:
    """Waits included, by the loop's clock."""

    async def main() -> float:
        retrying = Retrying(Script(said(503, Retry_After="5"), said(200)), RetryPolicy())
        return (await retrying.send(request())).elapsed

    assert 5.0 <= await asyncio.to_thread(run, main()) <= 5.5


# Cancellation.


class Client:
    """Retries, credentials and gate over a server that answers on virtual time: first badly, then well."""

    def __init__(self, *replies: Any, policy: RetryPolicy) -> None:
        self.script, self.tokens, self.budget = Script(*replies), 0, RetryBudget()
        self.rate_limiter = RateLimiter(1)
        admitted = self.rate_limiter.admitting(self._answer)
        self.auth = BearerAuth(OAuth2("an-id", "a-secret"), Retrying(admitted, policy, self.budget).send, "/token")
        self.retrying = Retrying(Authenticated(admitted, self.auth, {}, 1.0).send, policy, self.budget)

    async def _answer(self, asked: Request) -> RawResponse:
        await asyncio.sleep(1.0)
        if asked.operation == "token":
            self.tokens += 1
            return RawResponse(200, Headers(), f'{{"access_token":"t{self.tokens}","expires_in":9}}'.encode())
        return await self.script(asked)

    async def settled(self) -> None:
        """Wait for the token request, which belongs to nobody; then nothing may be left."""
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(1.0)
        assert self.rate_limiter._semaphore.held == 0
        assert not self.budget.outage.probing


def _cancelled_at(step: int, client: Client, asked: Request) -> asyncio.Task[RawResponse]:
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1
        if steps == step:
            task.cancel()

    async def stepped() -> RawResponse:
        return await stepping(client.retrying.send(asked), count)  # type: ignore[no-any-return]

    task = asyncio.ensure_future(stepped())
    return task


SCENES: dict[str, Callable[[], tuple[Client, Request]]] = {
    "a read": lambda: (Client(said(503), lost, said(200), policy=RetryPolicy()), request()),
    "with a deadline": lambda: (Client(said(503), lost, said(200), policy=RetryPolicy(deadline=600)), request()),
    "a token refused": lambda: (Client(said(401), said(200), policy=RetryPolicy()), request()),
    "a page in an outage": lambda: (
        Client(*[lost] * 9, said(200), policy=RetryPolicy(outage=7200)),
        request("list", bulk=True),
    ),
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_a_call_cancelled_at_any_step_is_cancelled(scene: Callable[[], tuple[Client, Request]]) -> None:
    """Wherever it waits: never swallowed, no slot and no turn kept, and the next call works."""

    async def main(step: int) -> bool:
        client, asked = scene()
        task = _cancelled_at(step, client, asked)
        await asyncio.wait([task])
        if task.cancelled():
            await client.settled()
            assert client.budget.tokens >= FULL - 28
        else:
            assert task.result().status == 200
        assert (await client.retrying.send(asked)).status == 200
        await client.settled()
        return task.cancelled()

    steps = 1
    while run(main(steps)):
        steps += 1
    assert steps > 4


def test_one_call_cancelled_at_any_moment_harms_no_other() -> None:
    """Eight pages wait through an outage; one is cancelled at any of its steps, the others arrive."""

    async def main(step: int) -> bool:
        client, asked = SCENES["a page in an outage"]()
        task = _cancelled_at(step, client, asked)
        others = [asyncio.ensure_future(client.retrying.send(asked)) for _ in range(7)]
        assert all(response.status == 200 for response in await asyncio.gather(*others))
        await asyncio.wait([task])
        await client.settled()
        return task.cancelled()

    steps = 1
    while run(main(steps)):
        steps += 1
    assert steps > 4


@pytest.mark.parametrize("name", ["get", "create", "delete"])
async def test_a_call_cancelled_at_any_turn_of_a_real_loop_leaves_no_connection(name: str) -> None:
    """Over a socket, at the k-th turn of the loop: the pool is empty of borrowed connections, the next call works."""
    async with RawServer([answer()]) as server, Meitner(*CREDENTIALS, base_url=server.url, max_retries=0) as meitner:
        calls: dict[str, Callable[[], Any]] = {
            "get": lambda: meitner.students.get(STUDENT_ID),
            "create": lambda: meitner.students.create(**FIELDS),
            "delete": lambda: meitner.students.delete(STUDENT_ID),
        }
        cancelled, turns = True, 0
        while cancelled:
            turns += 1
            task = asyncio.ensure_future(calls[name]())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            cancelled = task.cancelled()
            for session in meitner._core.transport._sessions.values():  # type: ignore[attr-defined]
                assert not session.connector._acquired
        assert turns > 5
        assert (await meitner.students.get(STUDENT_ID)).id == STUDENT_ID


async def test_cancelling_a_call_that_waits_to_retry_stops_it() -> None:
    """Also on a real clock, where nothing jumps."""
    retrying = Retrying(Script(said(503)), RetryPolicy(initial=1000, maximum=1000), sleep=asyncio.sleep)
    waiting = asyncio.create_task(retrying.send(request()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_the_last_failure_is_the_one_raised() -> None:
    """Not the first, and not a RetryError."""
    outcome = await call(lost, said(500), said(404))
    assert isinstance(outcome.result, NotFoundError)
    assert outcome.result.attempts == 3
    assert isinstance(outcome.result, APIStatusError)


def _reset_alone(spelling: str, *, dated: bool) -> bytes:
    """Return a 429 that says nothing but when the quota is reset: in 30 seconds."""
    now = time.time()
    said = {"delta": "30", "seconds": f"{now + 30:.0f}", "milliseconds": f"{(now + 30) * 1000:.0f}"}[spelling]
    date = {"Date": formatdate(now, usegmt=True)} if dated else {}
    return answer(429, {}, headers={"RateLimit-Reset": said, **date})


@pytest.mark.parametrize("spelling", ["delta", "seconds", "milliseconds"])
@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("policy", [QuotaPolicy(), QuotaPolicy(per_hour=math.inf)])
def test_a_429_that_says_only_when_the_quota_is_reset_is_not_tried_again_before(
    spelling: str,
    dated: bool,
    known: bool,
    policy: QuotaPolicy,
) -> None:
    """Whatever was known of the quota before; and a call that would not wait so long is told for how long it is."""

    async def main() -> None:
        told = {"RateLimit-Limit": "1000", "RateLimit-Remaining": "900", "RateLimit-Reset": "3600"}
        first = answer(200, headers=told if known else {})

        def replies(_: Seen) -> bytes:
            return first if len(server.seen) != 2 else _reset_alone(spelling, dated=dated)

        now = asyncio.get_running_loop().time
        async with (
            RawServer(replies) as server,
            Meitner(*CREDENTIALS, base_url=server.url, quota=policy) as meitner,
        ):
            await meitner.students.get(STUDENT_ID)
            began = now()
            await meitner.students.get(STUDENT_ID)
            assert 29 <= now() - began <= 38
            assert len(server.seen) == 3

    run(main())


def test_who_does_not_wait_for_a_reset_is_told_when_it_is() -> None:
    """`retry_after` of the error is the time until then, where nothing else says it."""

    async def main() -> None:
        limited = answer(429, {}, headers={"RateLimit-Reset": "1800"})
        async with RawServer([limited]) as server, Meitner(*CREDENTIALS, base_url=server.url) as meitner:
            with pytest.raises(RateLimitError) as caught:
                await meitner.students.get(STUDENT_ID)
            assert caught.value.retry_after == 1800
            assert len(server.seen) == 1

    run(main())


async def test_the_limit_headers_of_an_answer_are_parsed_once() -> None:
    """Rate limiter, retries and the error of a 429 share what the first of them parsed."""
    asked: Counter[str] = Counter()

    class Counted(Headers):
        def get(self, name: str, default: Any = None, /) -> Any:
            asked[name] += 1
            return super().get(name, default)

    names = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Date", "Retry-After")
    refusal = RawResponse(429, Counted(dict(zip(names, ("9", "0", str(EPOCH + 60), DATE, "7"), strict=True))), b"")

    async def send(_: Request) -> RawResponse:
        return refusal

    retrying = Retrying(RateLimiter(1).admitting(send), RetryPolicy(max_retries=0), RetryBudget())
    with pytest.raises(RateLimitError) as caught:
        await retrying.send(request())
    assert (caught.value.retry_after, caught.value.reset_at) == (7.0, datetime.fromtimestamp(EPOCH + 60, UTC))
    assert [asked[name] for name in names] == [1] * 5


def test_a_reset_that_stands_alone_shuts_the_gate_for_every_call() -> None:
    """Calls that begin meanwhile wait for it, too: none is sent to learn the same."""

    async def main() -> None:
        told = {"RateLimit-Limit": "1000", "RateLimit-Remaining": "900", "RateLimit-Reset": "3600"}

        def replies(_: Seen) -> bytes:
            return answer(200, headers=told) if len(server.seen) != 2 else _reset_alone("delta", dated=False)

        async with RawServer(replies) as server, Meitner(*CREDENTIALS, base_url=server.url) as meitner:
            await meitner.students.get(STUDENT_ID)
            one = asyncio.create_task(meitner.students.get(STUDENT_ID))
            await asyncio.sleep(1)
            other = asyncio.create_task(meitner.students.get(STUDENT_ID))
            await asyncio.sleep(28)
            assert not any(call.done() for call in (one, other))
            assert len(server.seen) == 2
            await asyncio.gather(one, other)
            assert len(server.seen) == 4

    run(main())
