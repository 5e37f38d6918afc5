"""A listing that outlasts an outage without hammering the server, and goes on at full speed when it is over."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from scripted_send import Script, garbled, lost, request, said, timed_out, unsent
from virtual_time import run

from meitner_aio import InternalServerError, NotFoundError, OAuth2, RetryPolicy
from meitner_aio._pipeline.authentication import Authenticated, BearerAuth
from meitner_aio._pipeline.core import Core, NoAuth, Options
from meitner_aio._pipeline.rate_limit import RateLimiter
from meitner_aio._pipeline.retry import Retrying
from meitner_aio._pipeline.retry_budget import FULL, RetryBudget
from meitner_aio._wire.messages import Headers, RawResponse, Request
from meitner_aio.errors import APIConnectionError, ConnectionReason, MeitnerError, ResponseValidationError
from meitner_aio.events import RequestSent, RetryScheduled
from meitner_aio.resources import Schools

ROWS, PAGE = 400, 10
BEGINS, ENDS = 3.0, 603.0
PATIENT = RetryPolicy(outage=7200.0)


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep listings at their full width: on virtual time every wait looks like hard work."""
    monkeypatch.setattr("meitner_aio._listing.prefetch.Idle.busy", lambda _: False)


OPTIONS = Options(policy=PATIENT, headers={})


class Scripted:
    """A transport with scripted answers."""

    identity = b"scripted"

    def __init__(self, *replies: Any) -> None:
        self.send = Script(*replies)

    async def close(self) -> None:
        """Nothing is open."""


def _id(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


def _now() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


class Directory:
    """400 schools on virtual time, whose server is down from the third second for ten minutes.

    `down` says what a request comes to meanwhile; every other takes a second.
    """

    def __init__(
        self, down: Callable[[], Coroutine[Any, Any, RawResponse]], *, concurrency: int = 8, lifetime: float = 9e9
    ) -> None:
        self._down, self._lifetime = down, lifetime
        self.asked: list[float] = []
        self.tokens = 0
        self.answered: list[float] = []
        self.budget = RetryBudget()
        self.events: list[Any] = []
        self.admitted = RateLimiter(concurrency).admitting(self._send)

    async def _send(self, asked: Request) -> RawResponse:
        self.asked.append(_now())
        if BEGINS <= _now() < ENDS:
            return await self._down()
        if asked.operation == "token":
            self.tokens += 1
            body: dict[str, Any] = {"access_token": "t", "expires_in": self._lifetime}
        else:
            await asyncio.sleep(1.0)
            offset = int(asked.query.rpartition("=")[2])
            rows = [
                {"id": _id(n), "title": "x", "unitID": _id(0), "schoolType": "GR"}
                for n in range(offset, min(offset + PAGE, ROWS))
            ]
            body = {"data": rows, "pagination": {"offset": offset, "limit": PAGE, "total": ROWS}}
        self.answered.append(_now())
        return RawResponse(200, Headers(), json.dumps(body).encode())

    def schools(self, policy: RetryPolicy, *, oauth: bool = False) -> Schools:
        """Return the listing's resource, over retries, credentials and gate."""
        send = self.admitted
        if oauth:
            auth = BearerAuth(OAuth2("a", "b"), Retrying(send, policy, self.budget).send, "/token", clock=_now)
            send = Authenticated(send, auth, {}, None).send
        return Schools(Retrying(send, policy, self.budget, on_event=self.events.append).send, concurrency=8)

    @property
    def during(self) -> list[float]:
        """When requests arrived at a server that was down."""
        return [at for at in self.asked if BEGINS <= at < ENDS]


async def _says_503() -> RawResponse:
    return said(503)


async def _gateway() -> RawResponse:
    return said(502, None)


async def _refuses() -> RawResponse:
    raise unsent()


async def _cuts() -> RawResponse:
    await asyncio.sleep(0.3)
    raise lost()


async def _cuts_whenever_it_likes() -> RawResponse:
    await asyncio.sleep(random.uniform(0.0, 3.0))
    raise lost()


async def _hangs() -> RawResponse:
    await asyncio.sleep(60.0)
    raise lost()


DOWN = [_says_503, _gateway, _refuses, _cuts, _cuts_whenever_it_likes, _hangs]


@pytest.mark.parametrize("down", DOWN)
@pytest.mark.parametrize("oauth", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_a_listing_outlasts_an_outage_of_ten_minutes(down: Any, oauth: bool, seed: int) -> None:
    """Every row once; at most 30 requests in all meanwhile, at most one in 30 s after the first minute.

    With OAuth the token expires in the middle, and its endpoint is down too.
    """

    async def main() -> None:
        random.seed(seed)
        directory = Directory(down, lifetime=100.0)
        rows = [school.id async for school in directory.schools(PATIENT, oauth=oauth).list(limit=PAGE)]
        assert rows == [_id(n) for n in range(ROWS)]
        assert 14 < len(directory.during) <= 30
        late = [at for at in directory.during if at >= BEGINS + 60.0]
        assert all(after - before >= 30.0 for before, after in pairwise(late))
        assert ENDS <= min(at for at in directory.answered if at >= ENDS) <= ENDS + 40.0 + 60.0

    run(main())


def test_all_go_at_once_when_the_server_is_back() -> None:
    """The probe that is answered releases the pages that wait, and the rest is read at full speed."""

    async def main() -> None:
        directory = Directory(_refuses)
        directory.budget.tokens = 0
        assert len(await directory.schools(PATIENT).list(limit=PAGE).all()) == ROWS
        first, *rest = [at for at in directory.answered if at >= ENDS]
        assert rest[6] <= first + 3.0
        assert rest[-1] - first <= len(rest) / 8 + 3.0
        assert not directory.budget.outage.failures
        assert directory.budget.tokens >= FULL // 2

    run(main())


def test_an_answer_to_anybody_ends_the_wait() -> None:
    """A single call that is answered wakes the page whose turn it is to probe."""

    async def main() -> None:
        down, sent = True, list[float]()

        async def send(_: Request) -> RawResponse:
            sent.append(_now())
            return said(503 if down else 200)

        retrying = Retrying(send, PATIENT)
        pages = [asyncio.ensure_future(retrying.send(request("list", bulk=True))) for _ in range(3)]
        await asyncio.sleep(300.0)
        down = False
        while _now() - sent[-1] > 10.0:  # a moment at which the next probe is far away
            await asyncio.sleep(1.0)
        await asyncio.sleep(10.0)
        await retrying.send(request())
        answered = _now()
        await asyncio.gather(*pages)
        assert _now() <= answered + 1.0

    run(main())


def test_without_patience_the_first_failure_is_raised_at_its_turn() -> None:
    """A policy without `outage` gives up after its retries, as itself and after the rows that came before."""

    async def main() -> None:
        directory, rows = Directory(_says_503), list[str]()

        async def read() -> None:
            async for school in directory.schools(RetryPolicy()).list(limit=PAGE):
                rows.append(school.id)

        with pytest.raises(InternalServerError) as caught:
            await read()
        assert rows == [_id(n) for n in range(len(rows))]
        assert (caught.value.status_code, caught.value.attempts) == (503, 3)
        assert 0 < len(rows) < ROWS
        assert len(directory.during) <= 8 * 3

    run(main())


def test_patience_ends() -> None:
    """An outage that lasts longer than the policy allows is raised then, as the last failure."""

    async def main() -> None:
        directory = Directory(_says_503)
        directory.budget.tokens = 0
        with pytest.raises(InternalServerError) as caught:
            await directory.schools(RetryPolicy(outage=120.0)).list(limit=PAGE).all()
        assert not caught.value.retry_budget_exhausted
        assert BEGINS + 80.0 <= _now() <= BEGINS + 121.0

    run(main())


def test_a_single_call_does_not_wait_through_an_outage() -> None:
    """Patience is for pages; whoever asks for one record wants to know."""

    async def main() -> None:
        script = Script(said(503))
        with pytest.raises(InternalServerError):
            await Retrying(script, PATIENT).send(request())
        assert script.sent == 3
        assert _now() < 2.0

    run(main())


async def _fails(script: Script, policy: RetryPolicy = PATIENT) -> MeitnerError:
    with pytest.raises(MeitnerError) as caught:
        await Retrying(script, policy).send(request("list", bulk=True))
    return caught.value


def test_an_odd_answer_is_no_outage() -> None:
    """What cannot be read, a conflict or a no is not waited for, however patient the policy."""

    async def main() -> None:
        for reply, sent in ((garbled, 3), (said(409), 3), (said(404), 1), (said(400), 1)):
            script = Script(reply)
            await _fails(script)
            assert script.sent == sent
        script = Script(lost, lost, lost, lost, garbled)
        assert isinstance(await _fails(script), ResponseValidationError)
        assert script.sent == 4 + 3
        assert _now() < 60.0

    run(main())


def test_what_is_final_is_not_probed() -> None:
    """A server that cannot prove who it is will not do so in two hours either."""

    def untrusted() -> MeitnerError:
        return APIConnectionError("who is it", sent=False, reason=ConnectionReason.UNTRUSTED)

    async def main() -> None:
        script = Script(untrusted)
        assert (await _fails(script)).attempts == 1
        assert script.sent == 1

    run(main())


def test_a_probe_respects_what_the_server_asked_for() -> None:
    """No request of a page before its Retry-After, also when others are answered meanwhile."""

    async def main() -> None:
        sent: list[float] = []
        budget = RetryBudget()

        async def send(asked: Request) -> RawResponse:
            if asked.path == "/other":
                return said(200, None)
            sent.append(_now())
            return said(503, Retry_After="100") if len(sent) < 6 else said(200, None)

        retrying = Retrying(send, PATIENT, budget)
        page = asyncio.ensure_future(retrying.send(request("list", bulk=True)))
        while not page.done():
            await asyncio.sleep(5.0)
            await retrying.send(request(path="/other"))
        assert all(after - before >= 100.0 for before, after in pairwise(sent))

    run(main())


def test_a_probe_does_not_wait_for_ever_because_it_is_told_to() -> None:
    """An hour and a little, whatever the server says."""

    async def main() -> None:
        script = Script(said(503, Retry_After="99999999"), said(200))
        response = await Retrying(script, RetryPolicy(max_retries=0, outage=9e9)).send(request("list", bulk=True))
        assert response.status == 200
        assert 3600.0 <= _now() <= 3700.0

    run(main())


def test_one_dead_page_among_living_ones_is_not_hammered() -> None:
    """Others are answered all the time, which ends no outage of this page: its own pauses grow."""

    async def main() -> None:
        sent: list[float] = []

        async def send(asked: Request) -> RawResponse:
            if asked.path == "/other":
                return said(200, None)
            sent.append(_now())
            return said(500)

        retrying = Retrying(send, RetryPolicy(outage=600.0))
        page = asyncio.ensure_future(retrying.send(request("list", bulk=True)))
        while not page.done():
            await asyncio.sleep(0.5)
            await retrying.send(request(path="/other"))
        with pytest.raises(InternalServerError):
            await page
        assert 15 <= len(sent) <= 30

    run(main())


def test_a_hiccup_is_not_taken_for_an_outage() -> None:
    """One failure in ten, at random: retried at once, and the read takes hardly longer."""

    async def main() -> None:
        random.seed(1)
        directory = Directory(_refuses)
        send = directory.admitted

        async def now_and_then(asked: Request) -> RawResponse:
            if random.random() < 0.1:
                raise lost()
            return await send(asked)

        schools = Schools(Retrying(now_and_then, PATIENT).send, concurrency=8)
        await asyncio.sleep(ENDS)
        assert len(await schools.list(limit=PAGE).all()) == ROWS
        assert _now() - ENDS <= 2 * ROWS / PAGE / 8 + 10.0

    run(main())


def test_probes_are_told_like_any_other_retry() -> None:
    """Every further attempt is announced before it is sent."""

    async def main() -> None:
        directory = Directory(_says_503)
        await directory.schools(PATIENT).list(limit=PAGE).all()
        further = [event for event in directory.events if isinstance(event, RequestSent) and event.attempt > 1]
        scheduled = [event for event in directory.events if isinstance(event, RetryScheduled)]
        # A quick retry that gives way to the probes was announced, and is announced anew.
        assert 15 < len(further) <= len(scheduled) <= len(further) + 8
        assert max(event.delay for event in scheduled) > 30.0
        assert all(event.delay >= 0 for event in scheduled)

    run(main())


def test_a_deadline_beats_patience() -> None:
    """The smaller of the two decides."""

    async def main() -> None:
        script = Script(said(503))
        await _fails(script, RetryPolicy(outage=7200.0, deadline=40.0))
        assert _now() <= 40.0

    run(main())


def test_patience_may_be_endless() -> None:
    """Six hours of outage, and then the page."""

    async def main() -> None:
        async def send(_: Request) -> RawResponse:
            return said(503 if _now() < 21_600 else 200)

        response = await Retrying(send, RetryPolicy(outage=float("inf"))).send(request("list", bulk=True))
        assert response.status == 200
        assert 21_600 <= _now() <= 21_600 + 40

    run(main())


@pytest.mark.parametrize("ends", [said(200), said(404)])
def test_a_page_that_outlasts_an_outage_counts_every_attempt(ends: RawResponse) -> None:
    """Those before it was clear that the size of the page is not to blame, and those after."""

    async def main() -> None:
        core = Core("https://x.example", Scripted(*[unsent] * 7, ends), NoAuth(), RateLimiter(1), OPTIONS)
        send = core.pipeline(OPTIONS, None, shrinks=True)
        asked = request("list", bulk=True, shrinks=True)
        if ends.status == 200:
            attempts = (await send(asked)).attempts
        else:
            with pytest.raises(NotFoundError) as caught:
                await send(asked)
            attempts = caught.value.attempts or 0
        assert attempts == 8

    run(main())


def test_a_large_page_that_waits_through_an_outage_may_time_out() -> None:
    """It is asked for as it is until the server is back: then a timeout says that it is down, not that it is slow."""

    async def main() -> None:
        transport = Scripted(*[unsent] * 4, *[timed_out] * 3, said(200))
        core = Core("https://x.example", transport, NoAuth(), RateLimiter(1), OPTIONS)
        send = core.pipeline(OPTIONS, None, shrinks=True)
        assert (await send(request("list", bulk=True, shrinks=True))).attempts == 8

    run(main())
