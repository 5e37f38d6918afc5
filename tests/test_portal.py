"""The client without asyncio: typed results, lazy rows, unchanged errors, and nothing left running."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import meitner_aio
from meitner_aio import Meitner, MeitnerError, NotFoundError, Portal
from meitner_aio.portal import Portal as FromItsModule

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def portal() -> Iterator[Portal]:
    """Give an open portal to a sandbox of 450 students."""
    with Portal(Meitner.sandbox(students=450, schools=1)) as portal:
        yield portal
    assert not _threads()


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "meitner_aio.Portal"]


def _requests(portal: Portal) -> int:
    app: Any = portal.meitner._core.transport
    return len(app.received)


def _tasks(portal: Portal) -> int:
    """Return how many tasks the portal's loop has, beside the two that ask and keep it open."""

    async def count() -> int:
        return len(asyncio.all_tasks()) - 2

    return portal.run(count())


def test_it_is_one_name() -> None:
    """`meitner_aio.Portal` and `meitner_aio.portal.Portal` are the same."""
    assert meitner_aio.Portal is FromItsModule


def test_run_returns_what_the_coroutine_returns(portal: Portal) -> None:
    """A coroutine's result, and None."""
    first = portal.run(portal.meitner.students.list().first())
    assert first is not None
    student = portal.run(portal.meitner.students.get(first.id))
    assert student == first
    assert portal.run(portal.meitner.students.delete(student.id)) is None


def test_a_listing_is_not_run_but_iterated(portal: Portal) -> None:
    """One page of 50 rows would pass for all 450: refused before any request, with what gives them, and the page."""
    listing = portal.meitner.students.list()
    with pytest.raises(TypeError, match=r"portal\.iterate\(listing\).*listing\.all\(\).*listing\.pages\(\)"):
        portal.run(listing)
    assert _requests(portal) == 0
    assert len(list(portal.iterate(listing))) == len(portal.run(listing.all())) == 450
    assert len(next(portal.iterate(portal.meitner.students.list(limit=3).pages()))) == 3


def test_errors_come_as_themselves_with_the_way_they_took(portal: Portal) -> None:
    """The error is raised unwrapped, with a traceback from the caller's line to its origin."""
    with pytest.raises(NotFoundError) as caught:
        portal.run(portal.meitner.students.get(NOBODY))
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[0] == "test_errors_come_as_themselves_with_the_way_they_took"
    assert {"sent", "send"} <= {*frames}
    assert caught.value.__cause__ is None


def test_an_error_is_freed_without_the_garbage_collector(portal: Portal) -> None:
    """What failed holds no cycle that keeps its locals alive."""

    class Held(Exception):
        pass

    async def fail() -> None:
        raise Held

    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            with pytest.raises(Held):
                portal.run(fail())
        assert sum(isinstance(found, Held) for found in gc.get_objects()) == 0
    finally:
        gc.enable()


def test_an_exit_raised_inside_is_the_callers(portal: Portal) -> None:
    """`sys.exit()` in a coroutine ends the caller and not the portal."""

    async def leave() -> None:
        sys.exit(3)

    with pytest.raises(SystemExit):
        portal.run(leave())
    assert portal.run(portal.meitner.students.list().count()) == 450


def test_iterate_yields_every_row_in_order(portal: Portal) -> None:
    """The rows of the listing, which then reports on itself."""
    listing = portal.meitner.students.list(limit=50)
    rows = list(portal.iterate(listing))
    assert rows == portal.run(portal.meitner.students.list().all())
    assert listing.report.complete


def test_iterate_asks_for_nothing_before_the_first_row_and_little_ahead(portal: Portal) -> None:
    """A reader who takes one row costs the pages that the concurrency allows to fetch ahead, not the listing."""
    rows = portal.iterate(portal.meitner.students.list(limit=10, concurrency=2))
    assert _requests(portal) == 0
    next(rows)
    _tasks(portal)
    assert 1 <= _requests(portal) <= 1 + 2 * 2
    rows.close()


@pytest.mark.parametrize("how", ["break", "close", "raise", "drop"])
def test_leaving_an_iteration_early_stops_it(portal: Portal, how: str) -> None:
    """However the loop is left, no task is left behind, and nothing more is asked for."""
    rows = portal.iterate(portal.meitner.students.list(limit=1, concurrency=4))
    if how == "break":
        for _ in rows:
            break
        del rows, _
    elif how == "raise":
        with pytest.raises(ZeroDivisionError):
            _fail_at_the_first(rows)
        del rows
    else:
        next(rows)
        if how == "close":
            rows.close()
        else:
            del rows
    gc.collect()
    asked = _requests(portal)
    assert _tasks(portal) == 0
    assert _requests(portal) == asked < 20


def _fail_at_the_first(rows: Iterator[Any]) -> None:
    for _ in rows:
        raise ZeroDivisionError


def test_any_async_iterable_is_iterated_row_by_row(portal: Portal) -> None:
    """Outcomes of a bulk write, a generator of the caller's: each row arrives before the next is made."""
    made, ended = [], []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(10):
                made.append(number)
                yield number
        finally:
            ended.append(True)

    rows = portal.iterate(numbers())
    assert (next(rows), next(rows), made) == (0, 1, [0, 1])
    rows.close()
    assert ended == [True]
    outcomes = portal.iterate(portal.meitner.units.create_many([{"title": "Norr"}, {"title": "Söder"}]))
    assert [outcome.error for outcome in outcomes] == [None, None]


def test_an_error_in_the_middle_of_an_iteration_is_raised_at_its_row(portal: Portal) -> None:
    """What came before it was yielded."""

    async def broken() -> AsyncIterator[int]:
        yield 1
        raise KeyError

    seen = []
    with pytest.raises(KeyError):
        seen.extend(portal.iterate(broken()))
    assert _tasks(portal) == 0


def test_an_iteration_collected_on_the_portals_own_loop_does_not_wait_for_itself(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generator collected on the portal's thread does not block it."""
    waited: list[str] = []

    class Watched(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(threading.current_thread().name)
            return super().wait(timeout)

    monkeypatch.setattr(threading, "Event", Watched)
    monkeypatch.setattr("meitner_aio.portal._PATIENCE", 0.1)
    held = [portal.iterate(portal.meitner.students.list(limit=5))]
    next(held[0])

    async def collect() -> None:
        held.clear()

    portal.run(collect())
    while _tasks(portal):
        pass
    assert set(waited) == {threading.main_thread().name}


async def test_it_works_while_a_loop_runs_in_this_thread() -> None:
    """As in a notebook."""
    with Portal(Meitner.sandbox(students=30)) as portal:
        assert portal.run(portal.meitner.students.list().count()) == 30
        assert len(list(portal.iterate(portal.meitner.students.list(limit=7)))) == 30


def test_several_threads_use_one_portal(portal: Portal) -> None:
    """Calls of different threads are under way at the same time, and each gets its own answer."""
    meeting: list[asyncio.Barrier] = []

    async def meet(number: int) -> int:
        meeting or meeting.append(asyncio.Barrier(5))
        await meeting[0].wait()
        return number

    results: dict[int, int] = {}
    threads = [
        threading.Thread(target=lambda n=n: results.update({n: portal.run(meet(n))}), daemon=True) for n in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert results == {n: n for n in range(5)}


def test_the_callers_context_is_that_of_the_coroutine(portal: Portal) -> None:
    """Context variables cross over: what a block sets around a call holds within it."""
    import contextvars

    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")
    name.set("Ek")

    async def read() -> str:
        return name.get("nobody")

    assert portal.run(read()) == "Ek"


def test_run_on_the_portals_own_loop_says_so(portal: Portal) -> None:
    """An error instead of a wait for itself; the coroutine is not left unawaited."""

    async def inner() -> int:
        return portal.run(portal.meitner.students.list().count())

    async def close() -> None:
        portal.close()

    with pytest.raises(MeitnerError, match="use await here"):
        portal.run(inner())
    with pytest.raises(MeitnerError, match="own event loop"):
        portal.run(close())
    gc.collect()


def test_after_close_calls_are_refused() -> None:
    """Calls raise and leave no coroutine unawaited; a second `close()` does nothing."""
    portal = Portal(Meitner.sandbox(students=3))
    students = portal.meitner.students
    assert portal.run(students.list().count()) == 3
    rows = portal.iterate(students.list(limit=1))
    next(rows)
    portal.close()
    portal.close()
    assert not _threads()
    with pytest.raises(MeitnerError, match="portal is closed"):
        portal.run(students.get(NOBODY))
    with pytest.raises(MeitnerError, match="portal is closed"):
        next(portal.iterate(students.list()))
    with pytest.raises(MeitnerError, match="portal is closed"), portal:
        pass
    with pytest.raises(MeitnerError, match="portal is closed"):
        list(rows)
    with pytest.raises(MeitnerError, match="client is closed"):
        asyncio.run(portal.meitner.__aenter__())
    del rows
    gc.collect()


def test_closing_ends_the_calls_of_other_threads() -> None:
    """Their calls raise, and nobody waits forever."""
    portal = Portal(Meitner.sandbox(students=3))
    waiting, errors = threading.Event(), []

    async def forever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    def wait() -> None:
        try:
            portal.run(forever())
        except MeitnerError as error:
            errors.append(str(error))

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert waiting.wait(10)
    portal.close()
    thread.join(10)
    assert errors == ["this portal was closed during the call"]


def test_a_failing_close_is_raised_and_the_thread_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """If closing the client fails, the error is raised and the thread ends."""
    portal = Portal(Meitner.sandbox(students=3))

    async def fail() -> None:
        raise OSError

    monkeypatch.setattr(portal.meitner, "close", fail)
    with pytest.raises(OSError), portal:
        portal.run(portal.meitner.students.list().count())
    assert not _threads()


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGINT, which whoever started the tests in the background let them ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.skipif(sys.platform == "win32", reason="signals interrupt a wait on POSIX only")
def test_an_interrupt_cancels_the_coroutine(portal: Portal) -> None:
    """Ctrl-C ends the wait, and what was waited for has been cancelled when it does."""
    cancelled = []

    async def forever() -> None:
        threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cancelled.append(True)

    with pytest.raises(KeyboardInterrupt):
        portal.run(forever())
    assert cancelled == [True]
    assert portal.run(portal.meitner.students.list().count()) == 450


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.skipif(sys.platform == "win32", reason="signals interrupt a wait on POSIX only")
def test_an_interrupt_ends_an_iteration_without_a_task(portal: Portal) -> None:
    """The listing is stopped, not left running."""

    async def slow() -> AsyncIterator[int]:
        yield 1
        threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGINT)).start()
        await asyncio.Event().wait()

    rows = portal.iterate(slow())
    assert next(rows) == 1
    with pytest.raises(KeyboardInterrupt):
        next(rows)
    assert _tasks(portal) == 0


@pytest.mark.parametrize("state", ["used", "iterating", "running"])
def test_an_interpreter_ends_though_a_portal_is_open(state: str) -> None:
    """No thread keeps a script alive, whatever it forgot to close."""
    script = f"""
        import asyncio, threading
        from meitner_aio import Meitner, Portal
        portal = Portal(Meitner.sandbox(students=30))
        print(portal.run(portal.meitner.students.list().count()))
        if {state == "iterating"}:
            rows = portal.iterate(portal.meitner.students.list(limit=1))
            next(rows)
        if {state == "running"}:
            threading.Thread(target=lambda: portal.run(asyncio.Event().wait()), daemon=True).start()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=8, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "30\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_does_not_wait_for_a_thread_that_is_not_there(portal: Portal) -> None:
    """In a forked process, calls raise an error that says so."""
    portal.run(portal.meitner.students.list().count())
    child = os.fork()
    if child == 0:
        try:
            portal.run(portal.meitner.students.list().count())
        except MeitnerError:
            os._exit(7)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7


def test_repr_shows_where_it_leads() -> None:
    """The repr shows the client's address, and no secret."""
    assert repr(Portal(Meitner("an-id", "a-secret"))) == "<Portal to <Meitner https://api.meitner.se/directory/v1>>"
