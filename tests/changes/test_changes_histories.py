"""A copy that plays changes back is the directory, whatever happened: random histories of one that shares nothing with us.

Rows share whole seconds, are committed up to a minute after their stamp, and are stamped by a clock that is minutes off;
searches are answered by an index that lags; lists of grades come back empty.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
from changing_directory import GRADES, ChangingDirectory, Nature, nature
from following import Follower, Naive, truth
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from meitner_aio._pipeline import identity

TIMES = (1.0, 20.0, 300.0, 4000.0, 90_000.0)
"""Seconds between two things that happen."""

QUIET = 4000.0
"""Seconds after which everything is committed, indexed, and old."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a digest of who reads what be quick: it is slow on purpose."""
    monkeypatch.setattr(identity, "_ROUNDS", 1)


def _settled(directory: ChangingDirectory) -> None:
    directory.nature = directory.nature._replace(busy=0.0)
    directory.empty_lists = 0
    directory.pass_time(QUIET)


def _live(directory: ChangingDirectory, steps: int, chance: random.Random) -> Iterator[None]:
    """Let things happen, and stop wherever somebody may follow."""
    for _ in range(steps):
        step = chance.random()
        if step < 0.35:
            directory.pass_time(chance.choice(TIMES))
            yield
        elif step < 0.4:
            directory.empty_lists = chance.choice((1, 3))
        else:
            directory.happen(large=True)


async def _followed(seed: int, steps: int) -> Follower:
    directory = ChangingDirectory(nature(seed), rows=random.Random(seed).choice((3, 12, 70)))
    follower = Follower(directory)
    for _ in _live(directory, steps, random.Random(seed)):
        await follower.run()
    _settled(directory)
    assert await follower.run()
    assert follower.rows == truth(directory), seed
    return follower


def _naive_loses(seed: int, steps: int) -> bool:
    directory = ChangingDirectory(nature(seed), rows=random.Random(seed).choice((3, 12, 70)))
    naive = Naive(directory)
    for _ in _live(directory, steps, random.Random(seed)):
        naive.run()
    _settled(directory)
    naive.run()
    return naive.rows != truth(directory)


def test_a_copy_is_the_directory_after_any_history() -> None:
    """Changes played back leave no row out, none behind and none changed; most runs come to their end."""
    followers = [asyncio.run(_followed(seed, 30), debug=False) for seed in range(30)]
    runs, failed = (sum(getattr(one, name) for one in followers) for name in ("runs", "failed"))
    assert runs > 200
    assert failed < runs / 5


def test_the_naive_way_loses() -> None:
    """The control: a watermark and `>` go wrong in most of the same histories."""
    assert sum(_naive_loses(seed, 30) for seed in range(30)) > 20


@pytest.mark.slow
def test_a_copy_is_the_directory_after_a_thousand_histories() -> None:
    """The same, until it would be noticed."""
    for seed in range(1000):
        asyncio.run(_followed(seed, 50), debug=False)


class Following(RuleBasedStateMachine):
    """A directory to which anything may happen, and a copy of it."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(debug=False)

    @initialize(
        ahead=st.sampled_from((0.0, 400.0, -250.0)),
        lag=st.sampled_from((0.0, 90.0, 300.0)),
        late=st.sampled_from((0.0, 59.0)),
        page=st.sampled_from((8, 1000)),
        busy=st.sampled_from((0.0, 0.1)),
        rows=st.sampled_from((0, 3, 70)),
    )
    def begins(self, *, rows: int, **plot: Any) -> None:
        self.directory = ChangingDirectory(Nature(**plot), rows=rows)
        self.follower = Follower(self.directory)

    @rule(path=st.sampled_from(("/group", "/student-placement", GRADES)), late=st.booleans())
    def creates(self, path: str, late: bool) -> None:
        self.directory.create(path, late=late)

    @rule(path=st.sampled_from(("/group", GRADES)), count=st.sampled_from((2, 60)))
    def imports(self, path: str, count: int) -> None:
        self.directory.import_(path, count)

    @rule(data=st.data(), deletes=st.booleans(), late=st.booleans())
    def changes(self, data: st.DataObject, deletes: bool, late: bool) -> None:
        path = data.draw(st.sampled_from(("/group", "/student-placement", GRADES)))
        ids = [id_ for id_ in self.directory.tables[path] if not self.directory.is_busy(id_)]
        if ids:
            happens = self.directory.delete if deletes else self.directory.update
            happens(path, ids[data.draw(st.integers(0, len(ids) - 1))], late=late)

    @rule()
    def deletes_most_grades(self) -> None:
        grades = [id_ for id_ in self.directory.tables[GRADES] if not self.directory.is_busy(id_)]
        for id_ in grades[1:]:
            self.directory.delete(GRADES, id_)

    @precondition(lambda self: not self.directory.nature.lag and self.directory.dead)
    @rule()
    def revives(self) -> None:
        self.directory.revive()

    @rule()
    def lists_nothing(self) -> None:
        self.directory.empty_lists = 1

    @rule(seconds=st.sampled_from(TIMES))
    def waits(self, seconds: float) -> None:
        self.directory.pass_time(seconds)

    @rule(every=st.sampled_from((None, 3600.0)))
    def follows(self, every: float | None) -> None:
        self.runner.run(self.follower.run(grades_every=every))

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            _settled(self.directory)
            assert self.runner.run(self.follower.run())
            assert self.follower.rows == truth(self.directory)
        self.runner.close()


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def test_whatever_happens_a_copy_is_the_directory() -> None:
    """The same by a search for what breaks it."""
    run_state_machine_as_test(Following, settings=_settings(30, 30))


@pytest.mark.slow
def test_whatever_happens_a_copy_is_the_directory_in_a_thousand_examples() -> None:
    """The same, for longer."""
    run_state_machine_as_test(Following, settings=_settings(1000, 50))
