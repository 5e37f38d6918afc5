"""An outbox from code without a loop: writes of any thread, all sent or listed, whatever ends the block."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from meitner_aio import ConflictError, Meitner, MeitnerError, Portal

PERSON = {"identity_number": "20150101-9876", "first_name": "Bo", "last_name": "Ek"}


@pytest.fixture
def portal() -> Iterator[Portal]:
    """Give an open portal to an empty sandbox."""
    with Portal(Meitner.sandbox(students=0, schools=1)) as portal:
        yield portal
    gc.collect()  # a coroutine that nobody awaited would warn now


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGINT, which whoever started the tests in the background let them ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _requests(portal: Portal) -> int:
    app: Any = portal.meitner._core.transport
    return len(app.received)


class Log:
    """Makes writes that end when they are let, on the portal's loop."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.may_end = threading.Event()
        self._let = portal.run(self._event())

    async def _event(self) -> asyncio.Event:
        return asyncio.Event()

    def let(self) -> None:
        """Let all writes end."""

        async def let() -> None:
            self._let.set()

        self._portal.run(let())

    async def write(self, number: int) -> None:
        """Begin, and end when it is let."""
        self.begun.append(number)
        await self._let.wait()
        self.ended.append(number)


def interrupt_when(holds: Callable[[], bool]) -> None:
    """Send this process what Ctrl-C sends, once something holds."""

    def interrupt() -> None:
        while not holds():
            pass
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()


def test_leaving_the_block_waits_until_every_write_is_sent(portal: Portal) -> None:
    """One request a write, in the order of `put`, and the numbers afterwards."""
    units = portal.meitner.units
    before = _requests(portal)
    with portal.outbox(concurrency=2) as outbox:
        for number in range(20):
            outbox.put(units.create(title=f"Enhet {number:02}"))
    assert (outbox.sent, outbox.failures, len(outbox)) == (20, [], 0)
    assert _requests(portal) - before == 20
    titles = [unit.title for unit in portal.iterate(units.list()) if unit.title.startswith("Enhet")]
    assert sorted(titles) == [f"Enhet {number:02}" for number in range(20)]
    assert repr(outbox) == "<PortalOutbox: 0 to send, 20 sent, 0 failed>"


def test_a_write_that_fails_is_listed_and_stops_no_other(portal: Portal) -> None:
    """With its index and its error, as in the outbox of asyncio."""
    students = portal.meitner.with_options(max_retries=0).students
    with portal.outbox(concurrency=1) as outbox:
        outbox.put(students.create(**PERSON))
        outbox.put(students.create(**PERSON))
        outbox.put(students.create(**PERSON | {"identity_number": "20150101-1111"}))
    ((index, error),) = [(one.index, one.error) for one in outbox.failures]
    assert (index, type(error), outbox.sent) == (1, ConflictError, 2)


def test_many_threads_put_into_one(portal: Portal) -> None:
    """None of their writes is lost or sent twice."""
    units = portal.meitner.units

    with portal.outbox(concurrency=4, maxsize=3) as outbox:

        def put(thread: int) -> None:
            for number in range(10):
                outbox.put(units.create(title=f"Enhet {thread}-{number}"))

        threads = [threading.Thread(target=put, args=(thread,), daemon=True) for thread in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert (outbox.sent, outbox.failures) == (50, [])
    titles = {unit.title for unit in portal.iterate(units.list())}
    assert {f"Enhet {thread}-{number}" for thread in range(5) for number in range(10)} <= titles


def test_flush_waits_for_what_was_put_before(portal: Portal) -> None:
    """Inside the block, as a program does that counts in between."""
    with portal.outbox() as outbox:
        outbox.put(portal.meitner.units.create(title="Norr"))
        outbox.flush()
        assert outbox.sent == 1
        outbox.put(portal.meitner.units.create(title="Söder"))
    assert outbox.sent == 2


def test_put_waits_for_room(portal: Portal) -> None:
    """Memory is bounded: a thread that puts faster than the server takes waits."""
    log, put = Log(portal), threading.Event()
    with portal.outbox(concurrency=1, maxsize=1) as outbox:
        outbox.put(log.write(0))  # in flight

        def second() -> None:
            outbox.put(log.write(1))
            put.set()

        thread = threading.Thread(target=second, daemon=True)
        thread.start()
        while len(outbox) < 2:
            pass
        assert not put.is_set()
        log.let()
        thread.join(60)
        assert put.is_set()
    assert log.ended == [0, 1]


def test_an_error_of_the_block_waits_for_its_writes(portal: Portal) -> None:
    """What was put before it is sent, and the error is raised as it is."""
    with pytest.raises(ZeroDivisionError) as caught, portal.outbox() as outbox:
        outbox.put(portal.meitner.units.create(title="Norr"))
        raise ZeroDivisionError
    assert outbox.sent == 1
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(sys.platform == "win32", reason="signals interrupt a wait on POSIX only")
@pytest.mark.parametrize("where", ["in the block", "while leaving it"])
def test_an_interrupt_loses_no_write_in_silence(portal: Portal, where: str) -> None:
    """Those in flight are cancelled, the others not begun; all are listed, and the interrupt says how many."""
    log = Log(portal)
    outbox = portal.outbox(concurrency=2)
    with pytest.raises(KeyboardInterrupt) as caught, outbox:
        outbox.put(portal.meitner.units.create(title="Norr"))
        outbox.flush()
        for number in range(5):
            outbox.put(log.write(number))
        if where == "in the block":
            raise KeyboardInterrupt
        interrupt_when(lambda: outbox._outbox._closed)
    assert (log.begun, log.ended) == ([0, 1], [])
    assert sorted(one.index for one in outbox.failures) == [1, 2, 3, 4, 5]
    assert {type(one.error) for one in outbox.failures} == {asyncio.CancelledError}
    assert (outbox.sent, len(outbox)) == (1, 0)
    assert caught.value.__notes__ == [
        "5 of the 6 writes of an outbox were not sent, or may not have happened: its `failures` lists them by their index"
    ]


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(sys.platform == "win32", reason="signals interrupt a wait on POSIX only")
def test_an_interrupt_while_a_write_is_put_is_told_too(portal: Portal) -> None:
    """One that waits for room is queued, and listed with the others."""
    log = Log(portal)
    outbox = portal.outbox(concurrency=1, maxsize=1)
    with pytest.raises(KeyboardInterrupt) as caught, outbox:
        outbox.put(log.write(0))
        interrupt_when(lambda: len(outbox) == 2)
        outbox.put(log.write(1))
        pytest.fail("the interrupt did not end the wait")
    assert sorted(one.index for one in outbox.failures) == [0, 1]
    assert caught.value.__notes__[0].startswith("2 of the 2 writes")


def test_a_write_that_was_not_handed_over_is_counted(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt before the loop took it: it is closed, and the note counts it."""
    outbox = portal.outbox()

    def interrupted(work: Any) -> None:
        work.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(outbox, "_run", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught, outbox:
        outbox.put(portal.meitner.units.create(title="Norr"))
    assert caught.value.__notes__[0].startswith("1 of the 1 writes")
    gc.collect()


def test_put_outside_of_the_block_is_refused(portal: Portal) -> None:
    """Before it and after it nobody would wait for the write, which is closed and not sent."""
    outbox = portal.outbox()
    before = _requests(portal)
    with pytest.raises(MeitnerError, match="inside the outbox's `with` block"):
        outbox.put(portal.meitner.units.create(title="Norr"))
    with outbox:
        pass
    with pytest.raises(MeitnerError, match="inside the outbox's `with` block"):
        outbox.put(portal.meitner.units.create(title="Norr"))
    assert _requests(portal) == before
    gc.collect()


def test_only_coroutines_are_put(portal: Portal) -> None:
    """A result, or a function that was not called, is a mistake: told at once."""
    with portal.outbox() as outbox, pytest.raises(TypeError, match="put takes a coroutine"):
        outbox.put(portal.meitner.units.create)  # type: ignore[arg-type]


def test_numbers_are_checked_when_it_is_made(portal: Portal) -> None:
    """As in the outbox of asyncio."""
    with pytest.raises(ValueError, match="concurrency must be an int of at least 1"):
        portal.outbox(concurrency=0)


def test_put_on_the_portals_own_loop_says_so(portal: Portal) -> None:
    """There it would wait for itself; the write is closed."""
    with portal.outbox() as outbox:

        async def inside() -> None:
            outbox.put(portal.meitner.units.create(title="Norr"))

        with pytest.raises(MeitnerError, match="use await here"):
            portal.run(inside())
    gc.collect()


def test_a_portal_that_is_closed_under_it_is_told() -> None:
    """Its writes are cancelled with the loop, and leaving says that they are."""
    portal = Portal(Meitner.sandbox(students=0))
    log = Log(portal)
    outbox = portal.outbox(concurrency=2)
    outbox.__enter__()
    outbox.put(log.write(0))
    outbox.put(log.write(1))
    portal.close()
    with pytest.raises(MeitnerError, match="portal is closed") as caught:
        outbox.__exit__(None, None, None)
    assert caught.value.__notes__[0].startswith("2 of the 2 writes")
    gc.collect()
