"""An outbox's journal at whose every step the process may end, on virtual time: nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from deaths import Death
from fault_server import run

from meitner_aio import Meitner
from meitner_aio._pipeline import identity
from meitner_aio.sandbox import Sandbox

BEGINS = date(2019, 8, 1)
EVERY = [pytest.param(1, marks=pytest.mark.slow), 4]


@pytest.fixture(autouse=True)
def _quick_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_ROUNDS", 1)


async def _put(meitner: Meitner, outbox: Any, taken: list[str]) -> None:
    """Put creates of which the server takes two, one that is unique, updates that must keep their order, a delete."""
    (school,) = await meitner.schools.list().all()
    first, second, third = await meitner.students.list().all()
    placed = {"school_id": school.id, "school_type": "GR", "start_date": BEGINS}
    person = {"identity_number": "20150101-9876", "first_name": "Bo", "last_name": "Ek"}
    writes: list[tuple[str, Callable[[], Any]]] = [
        ("placed", lambda: meitner.student_placements.create(student_id=first.id, **placed)),
        ("made", lambda: meitner.students.create(**person)),
        *((name, partial(_named, meitner, second, name)) for name in "ABC"),
        ("deleted", lambda: meitner.students.delete(third.id)),
    ]
    for name, write in writes:
        outbox.put(write())
        taken.append(name)


def _named(meitner: Meitner, student: Any, name: str) -> Any:
    return meitner.students.update(
        student.id, identity_number=student.identity_number, first_name=name, last_name=student.last_name
    )


async def _trial(folder: Path, at: int, *, late: float = 0.0, torn: bool = False) -> int:
    sandbox, taken = Sandbox(students=3, schools=1, seed=4), []
    before = list(sandbox.records("students"))
    death = Death(at, late=late, torn=torn)

    async def sent() -> None:
        async with Meitner.sandbox(sandbox) as meitner, meitner.outbox(journal=folder / "box", concurrency=2) as box:
            await _put(meitner, box, taken)

    with death.watching(sandbox):
        assert await death.of(sent) is bool(at)
    async with Meitner.sandbox(sandbox) as meitner:
        for _ in range(2):
            async with meitner.outbox(journal=folder / "box") as outbox:
                pass
            assert outbox.failures == []
        assert not outbox.refused.exists()
    assert not (folder / "box").exists()
    held = {one.id: one for one in sandbox.records("students")}
    placed = [one for one in sandbox.records("student_placements") if one.start_date == BEGINS]
    assert ("placed" in taken) <= len(placed) <= 1
    assert ("made" in taken) <= sum(one.identity_number == "20150101-9876" for one in held.values()) <= 1
    names = [name for name in taken if name in "ABC"]
    assert held[before[1].id].first_name in (
        [names[-1]] if len(names) == 3 else [*names[-1:], *"ABC", before[1].first_name]
    )
    assert (before[2].id not in held) >= ("deleted" in taken)
    return death.steps


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("late", [0.0, 5.0])
def test_a_death_at_any_step_neither_doubles_nor_loses(tmp_path: Path, every: int, late: float, torn: bool) -> None:
    """Also with half a line at the end, and where the directory does what it was asked only later."""
    steps = run(_trial(_made(tmp_path / "whole"), 0))
    assert steps > 25
    for at in range(1, steps + 1, every):
        run(_trial(_made(tmp_path / str(at)), at, late=late, torn=torn))


async def _placed_once(folder: Path, at: int) -> int:
    sandbox = Sandbox(students=1, schools=1, seed=4)
    (school,), (student,) = sandbox.records("schools"), sandbox.records("students")
    death = Death(at)

    async def sent() -> None:
        async with Meitner.sandbox(sandbox) as meitner, meitner.outbox(journal=folder / "box") as box:
            box.put(
                meitner.student_placements.create(
                    student_id=student.id, school_id=school.id, school_type="GR", start_date=BEGINS
                )
            )

    with death.watching(sandbox):
        await death.of(sent)
    async with Meitner.sandbox(sandbox) as meitner, meitner.outbox(journal=folder / "box"):
        pass
    assert len([one for one in sandbox.records("student_placements") if one.start_date == BEGINS]) == (at not in {1, 2})
    return death.steps


def test_what_the_server_would_take_twice_is_looked_up(tmp_path: Path) -> None:
    """A placement, at every step: the server refuses no second one."""
    for at in range(run(_placed_once(_made(tmp_path / "whole"), 0)) + 1):
        run(_placed_once(_made(tmp_path / f"at {at}"), at))
