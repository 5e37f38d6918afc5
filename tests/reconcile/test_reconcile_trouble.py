"""Answers get lost, writes come late, others edit: nothing is there twice, and nothing is written that was not planned."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reconcile_oracle import expected
from reconcile_runs import on_clock, what
from reconcile_trouble import Troubled
from reconcile_worlds import World, comparable, plain, worlds

from meitner_aio.testing import VirtualClock


async def lost(one: World, seed: int, clock: VirtualClock, folder: Path) -> None:
    """Bring a world to its registry while answers get lost."""
    run = Troubled(one, clock, folder, seed)
    await run.until_quiet()
    run.check()
    oracle = expected(one.directory, one.registry, one.rules, one.today)
    planned = {what(action)[1:] for made in run.plans for action in made.actions}
    assert planned == {write.what[1:] for write in oracle.writes}  # half a restore is an update next time
    assert comparable(plain(run.sandbox)) == comparable(oracle.final)


async def edited(one: World, seed: int, clock: VirtualClock, folder: Path, share: float) -> None:
    """Bring a world to its registry while others edit, between plan and apply, and during apply."""
    run = Troubled(one, clock, folder, seed, share)
    for _ in range(3):
        proposal = await run.plan()
        run.editors.create(proposal, one)
        for _ in range(4):
            run.editors.edit()
        run.trouble.edit = run.editors.edit
        await run.apply(proposal)
        run.trouble.edit = None
        await run.trouble.settled()
    run.check()
    await run.over()
    oracle = expected(plain(run.sandbox), one.registry, one.rules, one.today)
    assert {what(action) for action in (await run.plan()).actions} == {write.what for write in oracle.writes}


async def stopped(one: World, seed: int, clock: VirtualClock, folder: Path) -> None:
    """Bring a world to its registry in runs of which each ends at its so-manieth create, which is committed later."""
    run = Troubled(one, clock, folder, seed, share=0.0)
    for _ in range(4):
        task = asyncio.ensure_future(run.apply(await run.plan()))
        run.trouble.dying, run.trouble.left = task, run.trouble.chance.randrange(1, 5)
        await asyncio.wait([task])
        run.trouble.dying = None
    await run.until_quiet()
    run.check()
    oracle = expected(one.directory, one.registry, one.rules, one.today)
    assert comparable(plain(run.sandbox)) == comparable(oracle.final)


SEEDS = st.integers(0, 2**32)


@settings(max_examples=12, deadline=None)
@given(one=worlds(), seed=SEEDS)
def test_a_third_of_the_answers_is_lost(one: World, seed: int) -> None:
    """Requests, answers and connections of writes that are committed later; and 429 now and then."""
    on_clock(lambda clock, folder: lost(one, seed, clock, folder))


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(one=worlds(), seed=SEEDS)
def test_a_third_of_the_answers_is_lost_again_and_again(one: World, seed: int) -> None:
    """The same, for more worlds."""
    on_clock(lambda clock, folder: lost(one, seed, clock, folder))


@settings(max_examples=12, deadline=None)
@given(one=worlds(), seed=SEEDS, share=st.sampled_from([0.0, 0.3]))
def test_others_edit_meanwhile(one: World, seed: int, share: float) -> None:
    """No write goes over an edit that its guard could see; who was entered by hand is not entered again."""
    on_clock(lambda clock, folder: edited(one, seed, clock, folder, share))


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(one=worlds(), seed=SEEDS, share=st.sampled_from([0.0, 0.3]))
def test_others_edit_meanwhile_again_and_again(one: World, seed: int, share: float) -> None:
    """The same, for more worlds."""
    on_clock(lambda clock, folder: edited(one, seed, clock, folder, share))


@settings(max_examples=12, deadline=None)
@given(one=worlds(), seed=SEEDS)
def test_runs_that_are_cancelled_are_gone_on_with(one: World, seed: int) -> None:
    """What was on its way is looked for before anything is sent again, however late it arrives."""
    on_clock(lambda clock, folder: stopped(one, seed, clock, folder))


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(one=worlds(), seed=SEEDS)
def test_runs_that_are_cancelled_are_gone_on_with_again_and_again(one: World, seed: int) -> None:
    """The same, for more worlds."""
    on_clock(lambda clock, folder: stopped(one, seed, clock, folder))
