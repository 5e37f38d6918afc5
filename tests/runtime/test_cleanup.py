"""Clean-ups come to their end, however often and whenever whoever waits for them is cancelled; then the next call works.

Each scene is run once for every turn of the loop and every way of cancelling. What is under way in it takes its time to
tidy up once it is cancelled, as a body that is read to its end or a file that is written does.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from fake_directory import FakeDirectory, row
from fault_server import FaultServer, run
from turns import EVERY_WAY, Turns, TurnsWithThreads, Ways, alone, in_every_way, no_file_left, turns

from meitner_aio import Meitner, OAuth2, Portal
from meitner_aio._listing.listing import Listing
from meitner_aio._operations.bulk import chunks, outcomes
from meitner_aio._operations.operations import Binding
from meitner_aio._pipeline.authentication import BearerAuth
from meitner_aio._pipeline.core import Core, Options
from meitner_aio._pipeline.credentials import ApiKey
from meitner_aio._pipeline.rate_limit import RateLimiter
from meitner_aio._pipeline.retry_policy import RetryPolicy
from meitner_aio._runtime.cleanup import finished, stopped
from meitner_aio._runtime.private_files import read_private
from meitner_aio._runtime.threads import stoppable, threaded
from meitner_aio._wire.messages import RawResponse, Request
from meitner_aio._wire.page_size import PageSizes
from meitner_aio.cached import Caches
from meitner_aio.export import export
from meitner_aio.outbox import Outbox
from meitner_aio.sandbox import Sandbox
from meitner_aio.testing._served import ServedSandbox

every_way = pytest.mark.parametrize("way", in_every_way(*EVERY_WAY))

STEPS = 12
"""Turns of the loop that tidying up takes: more than any of the cancellations in a row."""


class Tidy:
    """Work without an end that takes its time to tidy up once it is cancelled, and counts how often it could."""

    def __init__(self) -> None:
        self.begun = self.tidied = 0

    async def __call__(self, *_: object, **__: object) -> Any:
        self.begun += 1
        try:
            await asyncio.sleep(3600)
        finally:
            for _ in range(STEPS):
                await asyncio.sleep(0)
            self.tidied += 1

    def check(self) -> None:
        """Assert that all that began was tidied up."""
        assert self.begun == self.tidied


Scene = Callable[[], Coroutine[Any, Any, Any]]


async def at_every_turn(scene: Scene, way: Ways, check: Callable[[], object] = lambda: None) -> int:
    """Cancel a scene at each turn, from the first until it comes to its end before; return how often it was."""
    turn = 1
    while await turns().cancelled(turn, scene(), way):
        await alone()
        check()
        turn += 1
        assert turn < 3000
    await alone()
    check()
    assert turns().complaints == []
    return turn - 1


def played(scene: Scene, way: Ways, check: Callable[[], object] = lambda: None) -> int:
    """Play a scene on a loop of its own; nothing may be left of it."""
    with no_file_left():
        return run(at_every_turn(scene, way, check), Turns)


# The mechanism.


@every_way
def test_what_must_finish_finishes(way: Ways) -> None:
    """Its waiter is cancelled afterwards, and once; cancelled before it waits, too."""
    ended: list[bool] = []
    caught: list[int] = []

    async def work() -> None:
        ended.append(False)
        for _ in range(STEPS):
            await asyncio.sleep(0)
        ended[-1] = True

    async def scene() -> None:
        try:
            await finished(work())
        except asyncio.CancelledError:
            caught.append(1)
            raise

    cancelled = played(scene, way)
    assert cancelled >= STEPS
    assert len(caught) == cancelled - (way != "anyio")  # a task that is cancelled before its first turn does not begin
    assert all(ended)


async def test_a_result_and_an_error_are_handed_on() -> None:
    """Where nobody cancels, waiting for a clean-up is like awaiting it."""

    async def broken() -> None:
        raise OSError(28, "full")

    assert await finished(asyncio.sleep(0, 7)) == 7
    with pytest.raises(OSError, match="full"):
        await finished(broken())


async def test_work_that_somebody_else_cancels_differs_from_ones_own_cancellation() -> None:
    """The waiter hears of it, and counts as cancelled by nobody."""
    work = asyncio.ensure_future(asyncio.sleep(3600))
    asyncio.get_running_loop().call_soon(work.cancel)
    with pytest.raises(asyncio.CancelledError):
        await finished(work)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_who_is_interrupted_hears_of_it_at_once_and_once() -> None:
    """So that what takes long can be asked to hurry."""
    heard: list[int] = []
    hurry = asyncio.Event()

    def interrupted() -> None:
        heard.append(1)
        hurry.set()

    waiting = asyncio.ensure_future(finished(hurry.wait(), interrupted))
    for _ in range(3):
        await asyncio.sleep(0)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert heard == [1]


async def test_timeouts_above_end_as_timeouts() -> None:
    """One, and one within another: each finds the cancellation that is its own."""
    ended = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        ended.append(1)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await finished(work())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02), asyncio.timeout(0.01):
            await finished(work())
    assert ended == [1, 1]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_group_above_ends_as_a_group() -> None:
    """It waits for the clean-ups of its tasks, and of its own block, and raises what failed."""
    ended = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        ended.append(1)

    async def failing() -> None:
        await asyncio.sleep(0.01)
        raise ValueError

    async def grouped() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(failing())
            group.create_task(finished(work()))
            await finished(work())

    with pytest.raises(ExceptionGroup) as caught:
        await grouped()
    assert [type(error) for error in caught.value.exceptions] == [ValueError]
    assert ended == [1, 1]


async def test_scopes_of_anyio_above_end_as_scopes() -> None:
    """Also with a timeout of asyncio between, that expired first: the scope takes all that is its own."""
    ended = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        ended.append(1)

    with anyio.move_on_after(0.01) as scope:
        await finished(work())
    assert scope.cancelled_caught
    with anyio.move_on_after(0.02) as scope:
        async with asyncio.timeout(0.01):
            await finished(work())
    assert scope.cancelled_caught

    async def scoped() -> None:
        with anyio.move_on_after(0.01):
            await finished(work())

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await scoped()
    assert ended == [1, 1, 1]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@every_way
def test_what_is_stopped_is_cancelled_once(way: Ways) -> None:
    """Tasks may tidy up in peace."""
    tidy = Tidy()

    async def scene() -> None:
        tasks = [asyncio.ensure_future(tidy()) for _ in range(3)]
        try:
            await asyncio.sleep(0)
        finally:
            await stopped(*tasks)

    assert played(scene, way, tidy.check) > STEPS


# Listings, bulk writes, the outbox, the cache.


@every_way
def test_a_listing_that_is_left_stops_its_pages(way: Ways) -> None:
    """By a `break` or by a cancellation: every page under way has been tidied up."""
    tidy = Tidy()

    async def scene() -> None:
        directory = FakeDirectory([row(number) for number in range(100)])
        directory.fetch_raw = tidy  # type: ignore[method-assign]
        async with aclosing(Listing(directory, limit=10, concurrency=3).pages()) as pages:
            await anext(pages)
            await asyncio.sleep(0)

    assert played(scene, way, tidy.check) > STEPS


@every_way
def test_bulk_calls_that_are_left_are_stopped(way: Ways) -> None:
    """Also when their outcomes are not read to the end."""
    tidy = Tidy()

    async def call(item: int) -> Any:
        return item if item == 0 else await tidy()

    async def scene() -> None:
        async with aclosing(outcomes(range(100), call, 3)) as calls:
            await anext(calls)
            await asyncio.sleep(0)

    assert played(scene, way, tidy.check) > STEPS


@every_way
def test_the_source_of_bulk_items_is_closed(way: Ways) -> None:
    """An async generator that gives the items gets its turn to tidy up, in the task that it was opened for."""
    opened, closed = [], []

    async def items() -> AsyncGenerator[int, None]:
        opened.append(1)
        try:
            for number in range(100):
                yield number
        finally:
            closed.append(1)

    async def scene() -> None:
        async with aclosing(outcomes(items(), lambda _: asyncio.sleep(0), 3)) as calls:
            await anext(calls)

    played(scene, way)
    assert len(opened) == len(closed) > 1


@every_way
def test_items_taken_in_chunks_are_stopped_with_them(way: Ways) -> None:
    """The next item is under way while a chunk is dealt with; nobody wants it any more."""
    tidy = Tidy()

    async def items() -> AsyncGenerator[int, None]:
        yield 0
        await tidy()

    async def scene() -> None:
        async with aclosing(chunks(items(), 3, patience=0.001)) as taking:
            await anext(taking)

    assert played(scene, way, tidy.check) > STEPS


class _Interrupt(BaseException):
    """What Ctrl-C and the like are: no error of the block."""


@every_way
def test_an_outbox_that_is_left_accounts_for_every_write(way: Ways) -> None:
    """What was under way is cancelled and listed, what was not begun is not sent and listed."""
    tidy = Tidy()
    boxes: list[Outbox] = []

    async def scene() -> None:
        async with Outbox(concurrency=2) as outbox:
            boxes.append(outbox)
            for _ in range(5):
                outbox.put(tidy())
            await asyncio.sleep(0)
            raise _Interrupt

    async def interrupted() -> None:
        with suppress(_Interrupt):
            await scene()

    assert played(interrupted, way, tidy.check) > STEPS
    for outbox in boxes:
        assert (len(outbox), outbox.sent) == (0, 0)
        assert {failure.index for failure in outbox.failures} == set(range(5))


@every_way
def test_an_outbox_that_is_flushed_accounts_for_every_write(way: Ways) -> None:
    """The block was left as it should be, and cancelled while it waited for the rest."""
    boxes: list[Outbox] = []

    async def scene() -> None:
        async with Outbox(concurrency=2) as outbox:
            boxes.append(outbox)
            for _ in range(6):
                outbox.put(asyncio.sleep(0))

    played(scene, way)
    for outbox in boxes:
        assert len(outbox) == 0
        assert outbox.sent + len(outbox.failures) == 6
    assert boxes[-1].sent == 6


@every_way
def test_a_cached_read_that_is_given_up_leaves_no_request(way: Ways) -> None:
    """The last one who waits takes the request along, and waits until it is gone; the next one asks anew."""
    tidy = Tidy()
    id_ = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"

    async def main() -> int:
        cached = Caches(Binding(tidy, 4, PageSizes()), lambda send: send, b"me")()

        async def scene() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.001):
                    await cached.students.get(id_)

        cancelled = await at_every_turn(scene, way, tidy.check)
        assert cached._caching is not None
        assert cached._caching._flights == {}
        return cancelled

    with no_file_left():
        assert run(main(), Turns) > STEPS


# The client.


class SlowTransport:
    """A transport that takes its time to close."""

    def __init__(self) -> None:
        self.closing = self.closed = 0

    async def send(self, _: Request) -> RawResponse:
        return RawResponse(200, {}, b"{}")

    async def close(self) -> None:
        self.closing += 1
        for _ in range(STEPS):
            await asyncio.sleep(0)
        self.closed += 1


@every_way
def test_a_client_that_is_closed_is_closed_once(way: Ways) -> None:
    """However often close() is cancelled, and called: its connections are let go of once, and to the end."""
    transports: list[SlowTransport] = []

    async def scene() -> None:
        transports.append(SlowTransport())
        core = Core("sandbox:", transports[-1], ApiKey("an-id", "a-secret"), RateLimiter(8), Options(RetryPolicy(), {}))
        try:
            await core.close()
        finally:
            assert transports[-1].closed == 1
            await core.close()

    assert played(scene, way) > STEPS
    assert {(transport.closing, transport.closed) for transport in transports} == {(1, 1)}


async def test_a_close_whose_own_task_was_cancelled_is_made_good_by_the_next() -> None:
    """As the end of a loop does it, which cancels every task: another close() does the rest."""
    transport = SlowTransport()
    core = Core("sandbox:", transport, ApiKey("an-id", "a-secret"), RateLimiter(8), Options(RetryPolicy(), {}))
    closing = asyncio.ensure_future(core.close())
    while not transport.closing:
        await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task(), closing}:
        task.cancel()
    await asyncio.wait([closing])
    assert transport.closed == 0
    await core.close()
    assert transport.closed == 1


@every_way
def test_a_token_request_is_stopped_with_its_client(way: Ways) -> None:
    """The request is gone when close() is over."""
    tidy = Tidy()

    async def scene() -> None:
        auth = BearerAuth(OAuth2("an-id", "a-secret"), tidy, "https://api.test/token")
        call = asyncio.ensure_future(auth.headers())
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        finally:
            try:
                await auth.close()
                tidy.check()
            finally:
                await stopped(call)

    assert played(scene, way, tidy.check) > STEPS


@pytest.mark.parametrize("deadline", [0.0, 0.0005, 0.02])
async def test_a_client_in_a_scope_of_anyio_leaves_nothing_open(deadline: float) -> None:
    """`move_on_after` cancels at every turn until the block is left: session closed, connections gone, no task, no file."""
    with no_file_left():
        async with FaultServer(40_000) as server:
            for _ in range(50):
                meitner = Meitner("an-id", "a-secret", base_url=server.url)
                with anyio.move_on_after(deadline) as scope:
                    async with meitner:
                        async for _ in meitner.students.list(limit=100, concurrency=4):
                            pass
                assert scope.cancelled_caught
                await meitner.close()
                assert all(session.closed for session in meitner._core.transport._sessions.values())  # type: ignore[attr-defined]
                assert len(asyncio.all_tasks()) == 1 + server.open
            while server.open:
                await asyncio.sleep(0)


# Files, and threads that write them.


@every_way
def test_nobody_goes_on_while_a_thread_works(way: Ways) -> None:
    """A file is closed by whoever waits for the thread that writes it, who must not come back before."""
    working = threading.Event()
    early: list[bool] = []

    def write() -> None:
        working.set()
        asyncio.run(asyncio.sleep(0.005))
        working.clear()

    async def scene() -> None:
        try:
            await threaded(write)
        finally:
            early.append(working.is_set())

    with no_file_left(), asyncio.Runner(loop_factory=TurnsWithThreads) as runner:
        assert runner.run(at_every_turn(scene, way)) > 0
    assert len(early) > 1
    assert not any(early)


@every_way
def test_a_long_work_in_a_thread_is_asked_to_stop(way: Ways) -> None:
    """At the first cancellation, and waited for at all of them."""
    working = threading.Event()
    stopped: list[bool] = []

    def convert(stop: threading.Event) -> None:
        working.set()
        stopped.append(stop.wait(5.0))
        asyncio.run(asyncio.sleep(0.005))
        working.clear()

    async def scene() -> None:
        try:
            await stoppable(convert)
        finally:
            assert not working.is_set()

    async def main() -> None:
        for turn in (2, 3):
            assert await turns().cancelled(turn, scene(), way)
            await alone()

    with no_file_left(), asyncio.Runner(loop_factory=TurnsWithThreads) as runner:
        runner.run(main())
    assert stopped == [True, True]


@every_way
def test_an_export_that_writes_in_threads_can_be_continued(tmp_path: Path, way: Ways) -> None:
    """From wherever it was cancelled, again and again: in the end every row is there once, and no file is open."""

    async def main() -> int:
        async with Meitner.sandbox(students=300, schools=1, quota=10**6) as meitner:

            async def scene() -> None:
                await export(meitner, ["students"], to=tmp_path, page_size=20, concurrency=2, resume=True)

            turn = 1
            while await turns().cancelled(turn, scene(), way):
                await alone()
                turn += 1
            assert turns().complaints == []
            return turn

    with no_file_left(), asyncio.Runner(loop_factory=TurnsWithThreads) as runner:
        assert runner.run(main()) > 10
    ids = [json.loads(line)["id"] for line in (tmp_path / "students.ndjson").read_bytes().splitlines()]
    assert len(ids) == len(set(ids)) == 300


async def test_a_snapshot_is_read_once_although_its_first_reader_is_cancelled(tmp_path: Path) -> None:
    """Reading a file in a thread ends with its call, at the latest, and the next call need not read again."""
    async with Meitner.sandbox(students=40, schools=1) as meitner:
        await export(meitner, ["students"], to=tmp_path)
    reading = threading.Event()
    reads: list[int] = []
    real = read_private

    def read_slowly(path: Path) -> bytes:
        reads.append(1)
        reading.set()
        asyncio.run(asyncio.sleep(0.02))
        reading.clear()
        return real(path)

    snapshot = Meitner(offline=tmp_path)
    with pytest.MonkeyPatch.context() as patch, no_file_left():
        patch.setattr("meitner_aio.offline._folder.read_private", read_slowly)
        with anyio.move_on_after(0.005) as scope:
            await snapshot.students.list().count()
        assert scope.cancelled_caught
        assert not reading.is_set()
        assert await snapshot.students.list().count() == 40
        assert reads == [1]


# The sandbox that serves.


def _listens(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
    with suppress(ConnectionError), socket.create_connection((host, int(port)), timeout=1.0):
        return True
    return False


@every_way
def test_a_sandbox_that_is_left_serves_no_longer(way: Ways) -> None:
    """Also when it is cancelled while it begins to serve, or while it ends: its port is free, its connections are gone."""
    urls: list[str] = []

    async def scene() -> None:
        async with Sandbox(students=3, schools=1) as sandbox:
            urls.append(sandbox.url)
            async with Meitner("an-id", "a-secret", base_url=sandbox.url) as meitner:
                await meitner.students.list().count()

    assert played(scene, way) > 5
    assert urls
    assert not any(map(_listens, urls))


@every_way
def test_a_sandbox_that_was_closed_can_be_started_again(way: Ways) -> None:
    """Whatever turn it was cancelled at."""

    async def main() -> int:
        sandbox = Sandbox(students=3, schools=1)

        async def scene() -> None:
            try:
                await sandbox.start()
            finally:
                await sandbox.close()

        cancelled = await at_every_turn(scene, way)
        async with sandbox, Meitner("an-id", "a-secret", base_url=sandbox.url) as meitner:
            assert await meitner.students.list().count() == 3
        return cancelled

    with no_file_left():
        assert run(main(), Turns) > 2


# Threads with a loop, and Ctrl-C in the thread that waits for them.


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Give what lets the next so many waits of this thread for another end with an interrupt, as they begin."""
    left = [0]
    main = threading.current_thread()

    def interrupting(wait: Callable[..., Any]) -> Callable[..., Any]:
        def waits(*args: Any, **kwargs: Any) -> Any:
            if left[0] and threading.current_thread() is main:
                left[0] -= 1
                raise KeyboardInterrupt
            return wait(*args, **kwargs)

        return waits

    monkeypatch.setattr(threading.Event, "wait", interrupting(threading.Event.wait))
    monkeypatch.setattr(threading.Thread, "join", interrupting(threading.Thread.join))
    return lambda times: left.__setitem__(0, times)


@pytest.mark.parametrize("times", [1, 2, 3, 4, 5])
def test_a_portal_that_is_closed_under_interrupts_is_closed(
    meitner_sandbox: Any, interrupted: Callable[[int], None], times: int
) -> None:
    """Ctrl-C ends the waiting and not the closing; calling close() again waits for the rest."""
    url = meitner_sandbox.url
    with no_file_left():
        portal = Portal(Meitner("an-id", "a-secret", base_url=url))
        rows = portal.iterate(portal.meitner.students.list(limit=10))
        next(rows)
        interrupted(times)
        with pytest.raises(KeyboardInterrupt):
            portal.close()
        for _ in range(times):
            with suppress(KeyboardInterrupt):
                portal.close()
        assert [thread.name for thread in threading.enumerate() if thread.name == "meitner_aio.Portal"] == []
        assert all(session.closed for session in portal.meitner._core.transport._sessions.values())  # type: ignore[attr-defined]
        rows.close()


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_served_sandbox_that_is_stopped_under_interrupts_is_stopped(
    interrupted: Callable[[int], None], times: int
) -> None:
    """As when the tests of a user are interrupted twice: no socket that listens outlives them."""
    with no_file_left():
        sandbox = ServedSandbox(students=3, schools=1)
        url = sandbox.url
        assert _listens(url)
        interrupted(times)
        for _ in range(times):
            with pytest.raises(KeyboardInterrupt):
                sandbox.stop()
        sandbox.stop()
        assert not _listens(url)
        assert [thread.name for thread in threading.enumerate() if thread.name == "meitner sandbox"] == []
