"""Whatever a directory and a registry are, a plan does what the rules say, and carrying it out brings that about."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from reconcile_oracle import expected
from reconcile_runs import carried_out, on_clock, options, sent
from reconcile_tables import REMOVALS, duplicates
from reconcile_worlds import FOREIGN, OURS, World, comparable, plain, sandbox_of, world, worlds

from meitner_aio import Meitner
from meitner_aio.errors import ConfigurationError
from meitner_aio.reconcile import Desired, plan


def carry(one: World, *, again: bool = True) -> None:
    """Bring a world to its registry on a clock of its own."""
    on_clock(lambda clock, folder: carried_out(one, clock, folder, again=again))


@settings(max_examples=30, deadline=None)
@given(one=worlds())
def test_a_directory_comes_to_be_what_its_registry_says(one: World) -> None:
    """Plan, requests and result are the oracle's, strangers' records stay, and a second plan is empty."""
    carry(one)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(one=worlds())
def test_many_directories_come_to_be_what_their_registries_say(one: World) -> None:
    """The same, for more of them."""
    carry(one)


@settings(max_examples=12, deadline=None)
@given(one=worlds(brakes=True))
def test_brakes_hold_the_removals_that_they_have_to(one: World) -> None:
    """Shares of a resource and of a school, of removals and of updates; everything else is done."""
    carry(one, again=False)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(one=worlds(brakes=True))
def test_brakes_hold_the_removals_of_many_worlds(one: World) -> None:
    """The same, for more of them."""
    carry(one, again=False)


@settings(max_examples=12, deadline=None)
@given(one=worlds(brakes=True))
def test_the_exact_number_of_removals_lifts_the_brakes(one: World) -> None:
    """All removals are done when their number is said; with any other number none that a brake held."""
    oracle = expected(one.directory, one.registry, one.rules, one.today)
    kinds = [write.kind for write in oracle.writes] + [kind for kind, _, _ in oracle.held]
    removals = sum(kind in REMOVALS for kind in kinds)
    for number in (removals, removals + 1):
        carry(one._replace(rules=one.rules._replace(accept_removals=number)), again=False)


def test_the_worlds_hold_everything_that_there_is_to_do() -> None:
    """Every kind of action on every resource that has it, and every reason to hold one: the tests above prove something."""
    done: set[tuple[str, str]] = set()
    reasons: set[str] = set()
    for seed in range(400):
        one = world(seed, brakes=seed % 4 == 0)
        oracle = expected(one.directory, one.registry, one.rules, one.today)
        done |= {(write.kind, write.resource) for write in oracle.writes}
        reasons |= {reason for held in oracle.held.values() for reason in held}
    people, placements = ("students", "employees", "guardians"), ("student_placements", "employee_placements")
    sourced = (*people, *placements, "groups")
    wanted = {(kind, resource) for kind in ("create", "update", "claim") for resource in ("schools", *sourced)}
    wanted |= {("end", resource) for resource in placements}
    wanted |= {("delete", resource) for resource in (*people, "groups", "student_placements")}
    wanted |= {("archive", "student_placements"), ("restore", "student_placements")}
    assert done == wanted
    assert reasons == {"unowned", "foreign", "empty", "unknown_rows", "share"}


@settings(max_examples=12, deadline=None)
@given(one=worlds())
def test_a_plan_writes_nothing_and_says_the_same_again(one: World) -> None:
    """Planning only reads, and the same directory and registry make the same plan."""

    async def main(clock: Any, _: Any) -> None:
        sandbox = sandbox_of(one.directory, clock=clock.time)
        async with Meitner.sandbox(sandbox) as meitner:
            plans = [await plan(meitner, Desired(**one.registry), **options(one.rules)) for _ in range(2)]
        told = [[(a.kind, a.resource, a.id, a.line, set(a.changes)) for a in made.actions] for made in plans]
        assert told[0] == told[1]
        assert sent(sandbox) == []
        assert comparable(plain(sandbox)) == comparable(one.directory)

    on_clock(main)


def test_source_ids_of_two_sources_are_refused() -> None:
    """Nobody said which source is meant, and the registry has ids of both: nothing is planned."""

    async def main(clock: Any, _: Any) -> None:
        one = world(1, dirt=False)
        named = {row.get("source_id") for row in one.registry["students"]}
        ours = [record for record in one.directory["students"] if record["source_id"] in named]
        ours[0]["source"] = FOREIGN
        sandbox = sandbox_of(one.directory, clock=clock.time)
        async with Meitner.sandbox(sandbox) as meitner:
            with pytest.raises(ConfigurationError, match="source="):
                await plan(meitner, Desired(**one.registry))
            assert (await plan(meitner, Desired(**one.registry), source=OURS)).data.source == OURS

    on_clock(main)


def test_no_two_actions_are_of_one_record() -> None:
    """Two rows that each know a record by another key: one of them, or neither, has it."""

    async def main(clock: Any, _: Any) -> None:
        names = {"first_name": "Bo", "last_name": "Ek"}
        record = {"id": f"{1:08x}-0000-4000-8000-000000000000", "source": OURS, "source_id": "a"}
        one = world(0, people={})
        one.directory["students"].append(record | names | {"identity_number": "20150101-0001"})
        rows = [
            {"source_id": "a", "identity_number": "20150101-0002", **names},
            {"source_id": "b", "identity_number": "20150101-0001", **names, "last_name": "Al"},
        ]
        sandbox = sandbox_of(one.directory, clock=clock.time)
        async with Meitner.sandbox(sandbox) as meitner:
            made = await plan(meitner, Desired(students=rows), source=OURS, delete=True)
        ids = [action.id for action in made.actions if action.id]
        assert len(ids) == len(set(ids))
        assert not [action for action in made.actions if action.kind == "delete"]
        assert duplicates(plain(sandbox)) == []

    on_clock(main)
