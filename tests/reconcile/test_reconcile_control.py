"""The checks find a loop wanting that lists everything, compares and writes: they would find this package wanting, too."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from naive_reconcile import NaiveReconcile
from reconcile_oracle import expected
from reconcile_runs import check_strangers, on_clock, sent
from reconcile_tables import Directory, duplicates
from reconcile_trouble import Editors, Trouble
from reconcile_worlds import World, comparable, plain, sandbox_of, world

from meitner_aio.sandbox import Sandbox
from meitner_aio.testing import VirtualClock

SEEDS = range(8)


def pushed(one: World, *, share: float = 0.0, meanwhile: Callable[[Trouble], object] | None = None) -> Sandbox:
    """Push a registry in the naive way."""

    async def main(clock: VirtualClock, _: Path) -> Sandbox:
        sandbox = sandbox_of(one.directory, clock=clock.time)
        trouble = Trouble(sandbox, 1, share)
        if meanwhile is not None:
            meanwhile(trouble)
        try:
            await NaiveReconcile(sandbox, one.registry).run()
        finally:
            await trouble.over()
        return sandbox

    return on_clock(main)


def wrong(check: Callable[[World], object]) -> int:
    """Return in how many worlds a check fails."""
    failed = 0
    for seed in SEEDS:
        try:
            check(world(seed))
        except AssertionError:
            failed += 1
    return failed


def test_it_comes_to_another_directory() -> None:
    """It deletes placements in place of ending them, and knows nothing of owners, sources and what is left out."""

    def check(one: World) -> None:
        oracle = expected(one.directory, one.registry, one.rules, one.today)
        assert comparable(plain(pushed(one))) == comparable(oracle.final)

    assert wrong(check) == len(SEEDS)


def test_it_writes_what_nobody_planned() -> None:
    """Records of other sources, and of nobody, are changed and deleted."""

    def check(one: World) -> None:
        oracle = expected(one.directory, one.registry, one.rules, one.today)
        check_strangers(one.directory, plain(pushed(one)), oracle)

    assert wrong(check) == len(SEEDS)


def test_it_makes_duplicates_where_answers_are_lost() -> None:
    """A create is sent again, and the server does not refuse a second placement of a student at a school."""
    twice = 0
    for seed in SEEDS:
        one = world(seed, dirt=False, people={"students": 6})
        twice += duplicates(plain(pushed(one, share=0.3))) != []
    assert twice > len(SEEDS) // 2


def test_it_writes_over_what_others_edited() -> None:
    """It sends what it worked out from a listing, however long ago that was read."""
    troubles: list[Trouble] = []
    for seed in SEEDS:
        pushed(world(seed), meanwhile=partial(_edited, troubles, seed))
    assert any(trouble.wrong for trouble in troubles)


def _edited(troubles: list[Trouble], seed: int, trouble: Trouble) -> None:
    troubles.append(trouble)
    trouble.plan_made()
    trouble.edit = Editors(trouble, seed).edit


@pytest.mark.parametrize("resource", ["students", "employees", "guardians"])
def test_it_empties_the_directory_where_a_file_is_empty(resource: str) -> None:
    """A registry without a row of a resource deletes every record of it; the server takes their placements along."""
    one = world(3, dirt=False)
    there: Directory = plain(pushed(one._replace(registry={resource: []})))
    assert one.directory[resource] != []
    assert there[resource] == there.get(f"{resource.removesuffix('s')}_placements", []) == []


def test_it_leaves_alone_what_is_as_it_should_be() -> None:
    """It is no straw man: where every record has its row, and says the same, it only reads."""
    one = world(0, people={})
    one.directory["schools"] = one.directory["schools"][:1]
    school = one.directory["schools"][0]
    row = {"source_id": school["source_id"], "title": school["title"], "school_type": "GR"}
    school |= {"source": None, "source_id": None}
    del row["source_id"]
    assert sent(pushed(one._replace(registry={"schools": [row]}))) == []
