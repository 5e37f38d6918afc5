"""Turns: in the order in which they came, side by side without a name in common, and never in a circle."""

from __future__ import annotations

import asyncio
import gc
import random
from typing import Literal

import pytest

from meitner_aio._operations.turns import Turns


async def test_what_shares_a_name_goes_in_its_order_and_the_rest_at_once() -> None:
    """B waits for A and C for both of its names, although the last of them is free; D waits for nobody."""
    turns, log, may = Turns(), [], {name: asyncio.Event() for name in "ABCD"}

    async def work(name: str, *names: str) -> None:
        async with turns.take(names):
            log.append(name)
            await may[name].wait()

    async with asyncio.TaskGroup() as group:
        for name, names in (("A", "x"), ("B", "xy"), ("C", "yz"), ("D", "w")):
            group.create_task(work(name, *names))
            await asyncio.sleep(0)
        assert log == ["A", "D"]
        for name in "ABCD":
            may[name].set()
            for _ in range(5):
                await asyncio.sleep(0)
    assert log == ["A", "D", "B", "C"]


@pytest.mark.parametrize("seed", range(5))
async def test_names_in_any_order_end_and_never_meet(seed: int) -> None:
    """Many with two of four names each, some cancelled: all end, and no two with a name in common are in at once."""
    rng, turns, inside = random.Random(seed), Turns(), set[str]()

    async def work(names: list[str]) -> None:
        async with turns.take(names):
            assert not inside & set(names)
            inside.update(names)
            await asyncio.sleep(0)
            inside.difference_update(names)

    tasks = [asyncio.create_task(work(rng.sample("abcd", 2))) for _ in range(100)]
    await asyncio.sleep(0)
    for task in rng.sample(tasks[5:], 30):
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(one) for one in done} <= {type(None), asyncio.CancelledError}


async def test_one_that_is_cancelled_while_it_waits_lets_nobody_pass() -> None:
    """Who comes after it waits for those before it, however many gave up in between."""
    turns, log, may = Turns(), [], asyncio.Event()

    async def work(name: object) -> None:
        async with turns.take("x"):
            log.append(name)
            await may.wait()

    first = asyncio.create_task(work("first"))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(work(number)) for number in range(3000)]
    await asyncio.sleep(0)
    last = asyncio.create_task(work("last"))
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert log == ["first"]
    may.set()
    await asyncio.gather(first, last)
    assert log == ["first", "last"]


async def test_names_of_the_past_are_forgotten() -> None:
    """A client that lives for months keeps none of the keys it upserted by."""
    turns = Turns()
    for number in range(10):
        async with turns.take([number]):
            pass
    gc.collect()
    assert len(turns._latest) == 0


async def test_many_that_gave_up_are_passed_in_a_step_each() -> None:
    """Sixty cancelled in a row, with two names in common: their paths to the first are 2**60, themselves are sixty."""
    turns = Turns()
    first = turns.take("ab")
    await first.__aenter__()
    given_up = [turns.take("ab") for _ in range(60)]
    waiting = [asyncio.create_task(turn.__aenter__()) for turn in given_up]
    last = turns.take("ab")
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    looked = 0

    class Counted(asyncio.Event):
        async def wait(self) -> Literal[True]:
            nonlocal looked
            looked += 1
            assert looked < 1000
            return await super().wait()

    for turn in (first, *given_up):
        over = turn.over
        turn.over = Counted()
        if over.is_set():
            turn.over.set()
    await first.__aexit__(None, None, None)
    await last.__aenter__()
    assert looked <= 2 * 61
