"""When the runs of `sync --every` begin and how they end, on a clock of the tests' own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run

from meitner_aio.cli._schedule import Schedule
from meitner_aio.cli._service import Stop, serve, stoppable

EVERY = 900.0


def _even() -> float:
    return 0.0


def _times(schedule: Schedule, took: list[float], start: float = 100.0) -> list[float]:
    """Return when runs begin that take so many seconds each."""
    now, begun = start, []
    for seconds in took:
        now = schedule.next(now)
        begun.append(now)
        now += seconds
    return begun


def test_the_first_run_is_at_once_and_the_others_are_regular() -> None:
    """How long runs take moves none of them."""
    assert _times(Schedule(EVERY, _even), [5, 60, 899, 1]) == [100, 1000, 1900, 2800]


@pytest.mark.parametrize(("took", "next_at"), [(900, 1000), (901, 1900), (2600, 2800), (86_400.5, 100 + 97 * EVERY)])
def test_a_run_longer_than_the_interval_is_followed_at_the_next_time(took: float, next_at: float) -> None:
    """What was missed is not made up for, however long it was: a clock that jumps is the same."""
    assert _times(Schedule(EVERY, _even), [took, 1])[1] == next_at


def test_chance_moves_a_run_by_a_tenth_of_the_interval_at_most() -> None:
    """Earlier and later; the times after it stay where they were."""
    chances = iter([1.0, -1.0, 0.5])
    assert _times(Schedule(EVERY, lambda: next(chances)), [1, 1, 1, 1]) == [100, 1090, 1810, 2845]


def test_a_time_that_chance_puts_into_the_past_is_not_used() -> None:
    """A run that ends shortly before the next time is followed at that time, not at once."""
    assert _times(Schedule(EVERY, lambda: -1.0), [850, 1]) == [100, 1000]


@given(
    st.floats(1, 1e6),
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1, 1)), min_size=2, max_size=30),
)
def test_runs_never_overlap_and_keep_to_their_times(every: float, runs: list[tuple[float, float]]) -> None:
    """Whatever they take and whatever chance says: none begins before the last ended, or far from a time of its own."""
    chances = iter([chance for _, chance in runs])
    schedule = Schedule(every, lambda: next(chances))
    took = [seconds for seconds, _ in runs]
    begun = _times(schedule, took)
    numbers = [round((at - begun[0]) / every) for at in begun]
    assert all(later >= at + seconds for at, seconds, later in zip(begun, took, begun[1:], strict=False))
    assert all(
        abs(at - begun[0] - number * every) <= every * 0.1 + 1e-6 for at, number in zip(begun, numbers, strict=True)
    )
    assert all(later > number for number, later in pairwise(numbers))


# -- a service


Doing = Callable[[Stop], Coroutine[Any, Any, object]]


def _served(took: list[float], doing: Doing | None = None) -> list[tuple[float, float | None]]:
    """Return when the runs of a service begin and end, which take so long each; the last asks for the end."""

    async def main() -> list[tuple[float, float | None]]:
        time, left = asyncio.get_running_loop().time, iter(took)
        stop, runs = Stop(), list[tuple[float, float | None]]()

        async def one() -> None:
            runs.append((time(), None))
            seconds = next(left)
            await asyncio.sleep(seconds)
            runs[-1] = runs[-1][0], time()
            if len(runs) == len(took):
                stop.request()

        other = asyncio.ensure_future((doing or _nothing)(stop))
        try:
            with stoppable(stop):
                await serve(one, Schedule(EVERY, _even), stop)
        except KeyboardInterrupt:
            runs.append((time(), None))
        finally:
            other.cancel()
            await asyncio.wait([other])
        return runs

    return [(round(begun), ended if ended is None else round(ended)) for begun, ended in run(main())]


async def _nothing(_: Stop) -> None:
    return None


def _at(*times: float) -> Doing:
    """Ask for the end at so many seconds."""

    async def doing(stop: Stop) -> None:
        for at in times:
            await asyncio.sleep(at - asyncio.get_running_loop().time())
            stop.request()

    return doing


def test_a_service_runs_at_its_times() -> None:
    """One run after the other, a long one included; it ends when it is asked to."""
    assert _served([10, 2000, 10]) == [(0, 10), (900, 2900), (3600, 3610)]


def test_a_stop_between_two_runs_ends_at_once() -> None:
    """Nobody waits for the next time."""
    assert _served([10] * 9, _at(1200)) == [(0, 10), (900, 910)]


def test_a_stop_during_a_run_ends_behind_it() -> None:
    """The run comes to its end, even where that takes longer than the interval."""
    assert _served([10, 2000, 10], _at(950)) == [(0, 10), (900, 2900)]


def test_a_second_stop_ends_the_run_under_way() -> None:
    """At that moment, as Ctrl-C ends any command."""
    assert _served([10, 2000, 10], _at(950, 960)) == [(0, 10), (900, None), (960, None)]


@pytest.mark.parametrize("at", [0.0, 5.0, 10.0, 10.5, 899.0, 899.9999, 900.0, 900.0001, 905.0, 910.0])
def test_a_stop_is_heard_at_any_step(at: float) -> None:
    """Every run that began came to its end, and none begins afterwards."""
    runs = _served([10] * 9, _at(at))
    assert all(ended is not None for _, ended in runs)
    assert all(begun <= at + 1e-3 for begun, _ in runs)
    assert len(runs) <= 2


def test_what_a_run_raises_ends_the_service() -> None:
    """What is transient, a run keeps to itself."""

    async def wrong() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        await serve(wrong, Schedule(EVERY, _even), Stop())

    with pytest.raises(ZeroDivisionError):
        run(main())


def test_a_cancellation_by_others_stays_one() -> None:
    """Only who asked twice is told of an interrupt."""

    async def main() -> None:
        stop = Stop()
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(5, task.cancel)
        with stoppable(stop):
            await serve(lambda: asyncio.sleep(10), Schedule(EVERY, _even), stop)

    with pytest.raises(asyncio.CancelledError):
        run(main())
