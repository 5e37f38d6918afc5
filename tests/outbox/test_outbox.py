"""Writes in the background: all sent or listed, in order, bounded, and none lost."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
import virtual_time
from hypothesis import given, settings
from hypothesis import strategies as st

from meitner_aio import Meitner
from meitner_aio.errors import ConflictError, MeitnerError
from meitner_aio.outbox import Outbox

PERSON = {"identity_number": "20150101-9876", "first_name": "Bo", "last_name": "Ek"}


class Log:
    """Makes writes, and keeps when they began and ended."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.done: list[Any] = []
        self.running = self.most = 0

    async def write(self, name: Any, seconds: float = 1.0, error: Exception | None = None) -> None:
        """Take some seconds, and perhaps fail."""
        self.begun.append(name)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(seconds)
            if error is not None:
                raise error
            self.done.append(name)
        finally:
            self.running -= 1


def on_virtual_time(main: Callable[[Log], Any]) -> Callable[[], None]:
    """Make a test of a coroutine function; nothing may be left running, and no coroutine unawaited."""

    def test() -> None:
        async def whole() -> None:
            await main(Log())
            assert asyncio.all_tasks() == {asyncio.current_task()}

        virtual_time.run(whole())
        gc.collect()

    test.__doc__ = main.__doc__
    return test


@on_virtual_time
async def test_put_returns_at_once_and_leaving_sends_everything(log: Log) -> None:
    """The block costs no time; its end waits for what was put."""
    now = asyncio.get_running_loop().time
    async with Outbox(concurrency=2) as outbox:
        for number in range(7):
            outbox.put(log.write(number))
        assert (round(now(), 3), len(outbox), log.done) == (0, 7, [])
    assert (log.begun, sorted(log.done), log.most) == (list(range(7)), list(range(7)), 2)
    assert (len(outbox), outbox.sent, outbox.failures) == (0, 7, [])


@on_virtual_time
async def test_one_at_a_time_keeps_the_order_of_put(log: Log) -> None:
    """With a concurrency of one, each write ends before the next begins."""
    async with Outbox(concurrency=1) as outbox:
        for number in range(20):
            outbox.put(log.write(number, seconds=20 - number))
    assert (log.done, log.most) == (list(range(20)), 1)


@on_virtual_time
async def test_awaiting_put_holds_a_producer_back(log: Log) -> None:
    """The queue of a patient producer never grows beyond its size."""
    longest = 0
    async with Outbox(concurrency=2, maxsize=3) as outbox:
        for number in range(50):
            await outbox.put(log.write(number))
            longest = max(longest, len(outbox))
    assert longest <= 2 + 3
    assert outbox.sent == 50


@on_virtual_time
async def test_an_impatient_producer_loses_nothing(log: Log) -> None:
    """Without awaiting `put`, the queue grows beyond its size, and nothing is dropped."""
    async with Outbox(concurrency=2, maxsize=3) as outbox:
        for number in range(50):
            outbox.put(log.write(number))
        assert len(outbox) == 50
    assert outbox.sent == 50


@on_virtual_time
async def test_flush_waits_for_what_was_put_before_and_no_longer(log: Log) -> None:
    """Writes put during a flush do not prolong it."""

    async def busy() -> None:
        for number in range(1000, 1300):
            await outbox.put(log.write(number, 1.0))
            await asyncio.sleep(0.1)

    async with Outbox(concurrency=3) as outbox:
        for number in range(10):
            outbox.put(log.write(number, 1.0 + number % 3))
        going = asyncio.create_task(busy())
        await asyncio.sleep(0)
        await outbox.flush()
        assert set(range(10)) <= set(log.done)
        assert not going.done()
        await going
    async with Outbox() as outbox:
        await outbox.flush()


@on_virtual_time
async def test_failures_are_listed_with_their_place_and_error(log: Log) -> None:
    """A write that fails stops no other."""
    errors = {number: MeitnerError(f"number {number}") for number in (1, 4)}
    async with Outbox(concurrency=1) as outbox:
        for number in range(6):
            outbox.put(log.write(number, error=errors.get(number)))
    assert [(failure.index, failure.error) for failure in outbox.failures] == list(errors.items())
    assert (outbox.sent, log.done) == (4, [0, 2, 3, 5])


@on_virtual_time
async def test_an_exception_in_the_block_still_sends_what_was_put(log: Log) -> None:
    """All queued writes are sent before the exception is raised."""

    async def block() -> None:
        async with Outbox(concurrency=1) as outbox:
            outbox.put(log.write(1))
            outbox.put(log.write(2))
            raise KeyError

    with pytest.raises(KeyError):
        await block()
    assert log.done == [1, 2]


@on_virtual_time
async def test_a_cancellation_abandons_and_lists(log: Log) -> None:
    """At any moment, in the block or while leaving it: each write was sent, or is listed."""
    for moment in range(9):
        for inside in (False, True):
            outbox = Outbox(concurrency=2)

            async def block(outbox: Outbox = outbox, *, inside: bool = inside) -> None:
                async with outbox:
                    for number in range(6):
                        outbox.put(log.write(number, 2.0))
                    if inside:
                        await asyncio.sleep(100)

            task = asyncio.create_task(block())
            await asyncio.sleep(0)
            if moment:
                await asyncio.sleep(moment - 0.5)
            cancelled = task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled() == cancelled
            kinds = {type(failure.error) for failure in outbox.failures}
            assert kinds <= {asyncio.CancelledError}
            assert outbox.sent + len({failure.index for failure in outbox.failures}) == 6
            assert (len(outbox), log.running) == (0, 0)


@on_virtual_time
async def test_a_cancellation_before_anything_began_lists_everything(log: Log) -> None:
    """Writes that had a task but no turn yet are listed, too, and none is left unawaited."""
    outbox = Outbox(concurrency=2)

    async def block() -> None:
        async with outbox:
            for number in range(4):
                outbox.put(log.write(number))
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await block()
    assert (sorted(failure.index for failure in outbox.failures), outbox.sent, log.begun) == ([0, 1, 2, 3], 0, [])


@on_virtual_time
async def test_what_is_no_write_is_refused(log: Log) -> None:
    """`put` of anything but a coroutine raises at once."""
    async with Outbox() as outbox:
        with pytest.raises(TypeError, match="takes a coroutine"):
            outbox.put(log.write)  # type: ignore[arg-type]
    assert len(outbox) == 0


@on_virtual_time
async def test_nothing_can_be_put_after_the_block(log: Log) -> None:
    """`put` raises and closes the coroutine, so that Python does not warn about it."""
    async with Outbox() as outbox:
        pass
    write = log.write(1)
    with pytest.raises(MeitnerError, match="is closed"):
        outbox.put(write)
    assert write.cr_frame is None


@on_virtual_time
async def test_several_tasks_share_one_outbox(log: Log) -> None:
    """Each is held back, and everything arrives."""

    async def produce(name: int) -> None:
        for number in range(30):
            await outbox.put(log.write((name, number), 0.5))

    async with Outbox(concurrency=4, maxsize=5) as outbox:
        await asyncio.gather(*(produce(name) for name in range(10)))
    assert len(set(log.done)) == outbox.sent == 300
    assert log.most == 4


@pytest.mark.parametrize("size", [{"concurrency": 0}, {"maxsize": 0}])
def test_sizes_below_one_are_refused(size: dict[str, int]) -> None:
    """A concurrency or size below one is refused."""
    with pytest.raises(ValueError, match="at least 1"):
        Outbox(**size)


_write = st.tuples(
    st.sampled_from([0.0, 0.5, 1.0, 3.0]), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.3, 2.0])
)


@settings(max_examples=250)
@given(
    producers=st.lists(st.lists(_write, max_size=8), max_size=4),
    concurrency=st.integers(1, 4),
    maxsize=st.integers(1, 4),
    cancel=st.none() | st.sampled_from([0.0, 0.4, 1.0, 2.5, 6.0]),
)
def test_nothing_is_lost(producers: Any, concurrency: int, maxsize: int, cancel: float | None) -> None:
    """Whatever the interleaving, the failures and the cancellation: put = sent + failures, each once."""

    async def main() -> None:
        log, put, outbox = Log(), 0, Outbox(concurrency=concurrency, maxsize=maxsize)

        async def produce(writes: Any) -> None:
            nonlocal put
            for seconds, fails, patient, pause in writes:
                room = outbox.put(log.write(put, seconds, MeitnerError("no") if fails else None))
                put += 1
                if patient:
                    await room
                await asyncio.sleep(pause)

        async def whole() -> None:
            async with outbox:
                await asyncio.gather(*(produce(writes) for writes in producers))

        task = asyncio.create_task(whole())
        if cancel is not None:
            await asyncio.sleep(cancel)
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        failed = [failure.index for failure in outbox.failures]
        assert (len(failed), len(outbox), log.running) == (len(set(failed)), 0, 0)
        assert sorted([*log.done, *failed]) == list(range(put))
        assert (outbox.sent, log.most <= concurrency) == (len(log.done), True)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtual_time.run(main())


async def test_a_client_gives_an_outbox_for_its_writes() -> None:
    """Records arrive in the directory; a refused one is listed with its route and shows nothing personal."""
    async with Meitner.sandbox(students=0) as meitner:
        async with meitner.outbox(concurrency=1) as outbox:
            outbox.put(meitner.students.create(**PERSON))
            outbox.put(meitner.students.create(**PERSON))
        assert await meitner.students.list().count() == 1
    (failure,) = outbox.failures
    assert isinstance(failure.error, ConflictError)
    assert (failure.index, failure.error.route) == (1, "/student")
    assert PERSON["identity_number"] not in repr(failure)
    assert repr(outbox) == "<Outbox: 0 to send, 1 sent, 1 failed>"


@pytest.mark.parametrize("flushed", [False, True])
def test_an_outbox_that_is_dropped_with_writes_says_how_many(flushed: bool) -> None:
    """Outside a block the end of the loop stops it: nothing else is begun, no coroutine is left, and no number lost."""
    log = Log()

    async def main() -> None:
        outbox = Outbox(concurrency=2)
        outbox.put(log.write("refused", 0.5, ConflictError("no")))
        if flushed:
            await outbox.flush()
        for number in range(9):
            outbox.put(log.write(number))
        await asyncio.sleep(0.7)

    def ended() -> None:
        asyncio.run(main())
        gc.collect()

    with pytest.warns(RuntimeWarning, match=f"{9 if flushed else 10} writes may not have been sent"):
        ended()
    assert len(log.begun) <= 4
    assert log.done == []


@on_virtual_time
async def test_an_outbox_without_a_block_goes_on_while_the_loop_runs(log: Log) -> None:
    """Dropped or not, what was put is sent; and there is nothing to warn of."""
    outbox = Outbox(concurrency=2)
    for number in range(5):
        outbox.put(log.write(number))
    del outbox
    gc.collect()
    await asyncio.sleep(10)
    assert sorted(log.done) == list(range(5))


@on_virtual_time
async def test_a_write_that_cancels_itself_stops_no_other(log: Log) -> None:
    """Only a task that somebody cancels is a sign of the loop's end."""

    async def cancelled() -> None:
        raise asyncio.CancelledError

    async with Outbox(concurrency=1) as outbox:
        outbox.put(cancelled())
        outbox.put(log.write("next"))
    assert (log.done, len(outbox.failures)) == (["next"], 1)
