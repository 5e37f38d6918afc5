"""Many writes at once: every item has an outcome, none blocks another, and nothing is left running."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from typing import Any

import pytest
import virtual_time
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from raw_server import STUDENT_ID, answer, failure
from sandbox_calls import KEY, NOON

from meitner_aio import Meitner, Outcome, QuotaExhausted, QuotaPolicy
from meitner_aio._operations.bulk import outcomes
from meitner_aio._pipeline.rate_limit import RateLimiter
from meitner_aio._pipeline.retry import Retrying
from meitner_aio._pipeline.retry_policy import RetryPolicy
from meitner_aio._wire.messages import RawResponse, Request
from meitner_aio.errors import APIConnectionError, ConflictError, MeitnerError, NotFoundError, UnprocessableEntityError
from meitner_aio.events import ResponseReceived
from meitner_aio.resources import Students
from meitner_aio.sandbox import Sandbox

CREDENTIALS = tuple(KEY.values())


async def doubled(item: int) -> int:
    """Take a moment that depends on the item."""
    await asyncio.sleep(item % 7)
    return item * 2


def people(number: int) -> Iterator[dict[str, Any]]:
    """Yield what different students are created from."""
    for n in range(number):
        yield {"identity_number": f"20150101-{n:04}", "first_name": "Bo", "last_name": f"Ek {n}"}


async def one_by_one(items: Any) -> AsyncIterator[Any]:
    """Make an async iterable of any other."""
    for item in items:
        await asyncio.sleep(0)
        yield item


def alone() -> bool:
    """Whether no task but this one is left."""
    return asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("make", [list, iter, one_by_one])
def test_every_item_has_an_outcome_with_its_index(make: Callable[[Any], Any]) -> None:
    """From sync and async iterables: outcomes are yielded when they are ready, with the index of their item."""

    async def main() -> None:
        got = [outcome async for outcome in outcomes(make(range(100)), doubled, 8)]
        assert sorted(got, key=lambda outcome: outcome.index) == [Outcome(n, n * 2) for n in range(100)]
        assert [outcome.index for outcome in got] != list(range(100))
        assert alone()

    virtual_time.run(main())


@pytest.mark.parametrize("make", [list, one_by_one])
def test_no_items_have_no_outcomes(make: Callable[[Any], Any]) -> None:
    """Without items there are no outcomes, and the iteration ends."""

    async def main() -> None:
        assert [outcome async for outcome in outcomes(make([]), doubled, 8)] == []

    virtual_time.run(main())


def test_a_concurrency_below_one_is_refused_at_once() -> None:
    """It is refused before any item is read, and without an event loop."""
    taken = iter(range(3))
    with pytest.raises(ValueError, match="at least 1"):
        outcomes(taken, doubled, 0)
    assert next(taken) == 0


@pytest.mark.parametrize("concurrency", [1, 3, 8])
def test_no_more_calls_are_under_way_than_allowed(concurrency: int) -> None:
    """Exactly as many calls as allowed are in flight while there are items."""

    async def main() -> None:
        running = most = 0

        async def call(item: int) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(1 + item % 3)
            running -= 1

        async for _ in outcomes(range(50), call, concurrency):
            pass
        assert most == concurrency

    virtual_time.run(main())


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("make", [iter, one_by_one])
def test_items_are_taken_as_fast_as_outcomes_are_consumed(make: Callable[[Any], Any], concurrency: int) -> None:
    """An endless source is read only as fast as outcomes are consumed; closing early ends it."""

    async def main() -> None:
        taken = 0

        def endless() -> Iterator[int]:
            nonlocal taken
            while True:
                taken += 1
                yield taken

        consumed, going = 0, outcomes(make(endless()), doubled, concurrency)
        async for _ in going:
            consumed += 1
            await asyncio.sleep(20)
            assert taken - consumed <= 2 * concurrency + 1
            if consumed == 30:
                break
        await going.aclose()
        before = taken
        await asyncio.sleep(100)
        assert taken == before
        assert alone()

    virtual_time.run(main())


class _PoorError(Exception):
    """What an iterable raises."""


@pytest.mark.parametrize("make", [iter, one_by_one])
@pytest.mark.parametrize("end", [0, 1, 5, 40])
def test_what_the_iterable_raises_comes_after_the_outcomes_of_the_items_before(make: Any, end: int) -> None:
    """When the iterable raises, the outcomes of all items before are yielded first, slow calls included."""

    async def main() -> None:
        def breaking() -> Iterator[int]:
            yield from range(end)
            raise _PoorError

        got: list[int] = []

        async def consume() -> None:
            async for outcome in outcomes(make(breaking()), doubled, 8):
                got.append(outcome.index)

        with pytest.raises(_PoorError):
            await consume()
        assert sorted(got) == list(range(end))
        assert alone()

    virtual_time.run(main())


def test_an_item_that_fails_does_not_stop_the_others() -> None:
    """An exception of any kind is the outcome of its own item."""

    async def main() -> None:
        problems: list[Exception] = [
            TypeError("no"), ValueError("no"), KeyError("no"), IndexError("no"), AttributeError("no"),
            MeitnerError("no"), TimeoutError("no"), RuntimeError("no"),
        ]  # fmt: skip

        async def call(item: int) -> int:
            if item % 2:
                raise problems[item // 2]
            return item

        got = sorted([o async for o in outcomes(range(16), call, 3)], key=lambda outcome: outcome.index)
        assert [outcome.record for outcome in got[::2]] == list(range(0, 16, 2))
        assert [outcome.error for outcome in got[1::2]] == problems

    virtual_time.run(main())


@given(step=st.integers(0, 120), close=st.booleans(), concurrency=st.integers(1, 5), slow=st.integers(0, 3))
def test_cancelling_or_closing_at_any_step_leaves_nothing(  # noqa: C901 - a source, a call and a consumer
    step: int,
    close: bool,
    concurrency: int,
    slow: int,
) -> None:
    """At any step of the loop, no task, open generator or running call is left."""

    async def main() -> None:  # noqa: C901
        running, ended = 0, False

        async def source() -> AsyncIterator[int]:
            nonlocal ended
            try:
                for item in count():
                    await asyncio.sleep(0)
                    yield item
            finally:
                ended = True

        async def call(item: int) -> None:
            nonlocal running
            running += 1
            try:
                for _ in range(item % 4):
                    await asyncio.sleep(0)
            finally:
                running -= 1

        started = False

        async def consume() -> None:
            nonlocal started
            going = outcomes(source(), call, concurrency)
            try:
                async for outcome in going:
                    started = True
                    for _ in range(slow):
                        await asyncio.sleep(0)
                    if close and outcome.index * 4 >= step:
                        break
            finally:
                await going.aclose()

        task = asyncio.create_task(consume())
        for _ in range(step):
            await asyncio.sleep(0)
        if not close:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.gather(task, return_exceptions=True)
        assert (running, alone()) == (0, True)
        assert ended or not started

    virtual_time.run(main())


def test_memory_does_not_grow_with_the_number_of_items() -> None:
    """Of 100,000 items the last 10,000 leave nothing behind that the first did not."""

    async def call(item: int) -> int:
        return item

    async def main() -> None:
        asyncio.get_running_loop().set_debug(False)  # it would keep a stack for every future
        seen = 0
        try:
            async for _ in outcomes(iter(range(100_000)), call, 8):
                seen += 1
                if seen == 90_000:
                    gc.collect()
                    tracemalloc.start()
            assert tracemalloc.get_traced_memory()[1] < 50_000
        finally:
            tracemalloc.stop()

    virtual_time.run(main())


async def _collected(going: Any) -> list[Outcome[Any]]:
    return sorted([outcome async for outcome in going], key=lambda outcome: outcome.index)


async def test_students_are_created_updated_and_deleted_in_bulk() -> None:
    """The three writes of a resource, from mappings, records and pairs."""
    async with Meitner.sandbox(students=0) as meitner:
        made = await _collected(meitner.students.create_many(people(50), concurrency=4))
        assert [outcome.record.last_name for outcome in made] == [f"Ek {n}" for n in range(50)]  # type: ignore[union-attr]
        pairs = [(o.record.id, {**body, "last_name": "Alm"}) for o, body in zip(made, people(50), strict=True)]  # type: ignore[union-attr]
        changed = await _collected(meitner.students.update_many(one_by_one(pairs)))
        assert {outcome.record.last_name for outcome in changed} == {"Alm"}  # type: ignore[union-attr]
        gone = await _collected(meitner.students.delete_many(identity for identity, _ in pairs))
        assert [outcome.error for outcome in gone] == [None] * 50
        assert await meitner.students.list().count() == 0


async def test_wrong_items_taken_values_and_missing_records_are_outcomes() -> None:
    """Items that the client or the server refuses have errors at their index; the others are written."""
    async with Meitner.sandbox(students=0) as meitner:
        good, other = list(people(2))
        bad: list[Any] = [good, {"first_name": "Bo"}, {**other, "shoe_size": 44}, None, 7,
                          {**other, "identity_number": "soon"}, other, good]  # fmt: skip
        made = await _collected(meitner.students.create_many(bad, concurrency=1))
        kinds = [type(outcome.error) for outcome in made]
        nothing = type(None)
        assert kinds == [
            nothing,
            TypeError,
            TypeError,
            TypeError,
            TypeError,
            UnprocessableEntityError,
            nothing,
            ConflictError,
        ]
        pairs: list[Any] = [(), None, ("no id", {}), (STUDENT_ID, good)]
        changed = await _collected(meitner.students.update_many(pairs))
        assert [type(outcome.error) for outcome in changed] == [IndexError, TypeError, ValueError, NotFoundError]
        gone = await _collected(meitner.students.delete_many([STUDENT_ID, "no id"]))
        assert [type(outcome.error) for outcome in gone] == [NotFoundError, ValueError]


async def test_a_network_failure_is_the_outcome_of_its_item_alone(scripted: Any) -> None:
    """When one item's connection is cut every time, only that item fails."""
    meitner, _ = await scripted(None, None, None, answer())
    pairs = [(STUDENT_ID, body) for body in people(2)]
    got = await _collected(meitner.students.update_many(pairs, concurrency=1))
    assert isinstance(got[0].error, APIConnectionError)
    assert got[1].error is None


async def test_a_server_error_is_the_outcome_of_its_item_alone(scripted: Any) -> None:
    """A lasting server error for one item does not affect the next."""
    meitner, _ = await scripted(failure(422, "UnprocessableEntity"), answer(204, body=b""))
    got = await _collected(meitner.students.delete_many([STUDENT_ID, STUDENT_ID], concurrency=1))
    assert isinstance(got[0].error, UnprocessableEntityError)
    assert got[1].error is None


async def test_progress_is_told_by_events() -> None:
    """`on_event` is called for every create, so that an import can show its progress."""
    seen: list[Any] = []
    async with (
        Sandbox(students=0) as sandbox,
        Meitner(*CREDENTIALS, base_url=sandbox.url, on_event=seen.append) as meitner,
    ):
        await _collected(meitner.students.create_many(people(20)))
    statuses = [event.status for event in seen if isinstance(event, ResponseReceived)]
    assert statuses == [201] * 20


def test_the_quota_is_respected_and_its_end_is_an_outcome() -> None:
    """Items that fit the quota are written; every other outcome says when the quota opens again."""

    async def main() -> None:
        now = asyncio.get_running_loop().time
        sandbox = Sandbox(students=0, quota=30, limiter="window", clock=lambda: NOON + now())

        async def signed(request: Request) -> RawResponse:
            return await sandbox.send(structs.replace(request, headers=KEY))

        rate_limiter = RateLimiter(8, None, QuotaPolicy(on_exhausted="raise"))
        students = Students(Retrying(rate_limiter.admitting(signed), RetryPolicy()).send)
        got = await _collected(students.create_many(people(50)))
        refused = [outcome.error for outcome in got if outcome.error is not None]
        assert len(sandbox.records("students")) == 50 - len(refused)
        assert 20 <= len(refused) < 30
        assert {type(error) for error in refused} == {QuotaExhausted}
        assert 429 not in [seen.status for seen in sandbox.requests]

    virtual_time.run(main())


def test_outcomes_show_nothing_personal() -> None:
    """The repr of an outcome shows its index, the id and masks."""

    async def main() -> None:
        async with Meitner.sandbox(students=0) as meitner:
            got = await _collected(meitner.students.create_many([*people(1), *people(1)], concurrency=1))
            assert "20150101" not in repr(got)
            assert "Ek" not in repr(got)

    virtual_time.run(main())
