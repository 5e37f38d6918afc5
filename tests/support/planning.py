"""A directory put together record by record, plans for it, and what carries them out by hand.

Records are put straight into the tables of a sandbox: they may be of any source, archived, or contradict each other.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from meitner_aio import Meitner
from meitner_aio._pipeline.identity import reader_of
from meitner_aio.reconcile import Action, ActionKind, Desired, Proposal, Reference, plan
from meitner_aio.reconcile.planning._hashes import Hashes
from meitner_aio.records import External, Meta
from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox import Sandbox

DAY = timedelta(days=1)
NOW = datetime(2026, 8, 17, 12, tzinfo=UTC)
TODAY = NOW.date()
OURS = "api"
"""What the sandbox writes for every credential."""
THEIRS = "another"
BEGAN = date(2025, 8, 18)

NUMBERS = [f"2015{month:02}{day:02}-{1000 + month * 31 + day}" for month in range(1, 13) for day in range(1, 29)]
"""Identity numbers of different people."""


class World:
    """A directory, and a client of it."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(students=0, schools=0, limiter="none", clock=NOW.timestamp)
        self.meitner = Meitner.sandbox(self.sandbox)
        self._ids = itertools.count(1)
        for resource in RESOURCES:
            for record in self.sandbox.records(resource):
                self._table(resource).remove(record.id)

    def _table(self, resource: str) -> Any:
        return self.sandbox._directory._tables[resource]

    def put(self, resource: str, source_id: str | None = None, source: str | None = OURS, **fields: Any) -> Any:
        """Put a record into the directory, of a source where it has a source id."""
        model: Any = RESOURCES[resource].model
        record_id = f"00000000-0000-4000-8000-{next(self._ids):012x}"
        external = None if source_id is None else External(source_id=source_id, source=source)
        record = model(id=record_id, external=external, meta=Meta(created_at=NOW), **fields)
        self._table(resource).put(record)
        return record

    def school(self, source_id: str | None = "school", **fields: Any) -> Any:
        """Put a school."""
        return self.put("schools", source_id, **{"title": "Skolan", "school_type": "GR", **fields})

    def student(self, number: int, source_id: str | None = None, source: str = OURS, **fields: Any) -> Any:
        """Put a student by the number of an identity number."""
        given = {"identity_number": NUMBERS[number], "first_name": "Bo", "last_name": "Ek", **fields}
        return self.put("students", source_id, source, **given)

    def placement(
        self, student: Any, school: Any, source_id: str | None = None, source: str = OURS, **fields: Any
    ) -> Any:
        """Put a placement of a student."""
        given = {"student_id": student.id, "school_id": school.id, "school_type": "GR", "start_date": BEGAN, **fields}
        return self.put("student_placements", source_id, source, **given)

    def records(self, resource: str) -> list[Any]:
        """Return what the directory has."""
        return self.sandbox.records(resource)

    async def plan(self, _desired: Desired | None = None, **options: Any) -> Proposal:
        """Plan for a registry: rows by resource, and options of `plan`."""
        rows = {name: options.pop(name) for name in list(options) if name in RESOURCES}
        return await plan(self.meitner, _desired or Desired(**rows), **options)

    async def carry_out(self, proposal: Proposal) -> None:
        """Do what a proposal says, by the client's own calls."""
        reader = await reader_of(self.meitner)
        assert reader is not None
        hashes, made = Hashes(reader, proposal.data.salt), {}

        def resolved(value: Any) -> Any:
            if isinstance(value, Reference):
                target = proposal.data.ids[hashes.of_reference(value)]
                return made[target.removeprefix("@")] if target.startswith("@") else target
            return [resolved(item) for item in value] if isinstance(value, list) else value

        for action in proposal.actions:
            given = {name: resolved(change.after) for name, change in action.changes.items()}
            resource = getattr(self.meitner, action.resource)
            match action.kind:
                case ActionKind.CREATE:
                    made[action.name] = (await resource.create(**given)).id
                case ActionKind.ARCHIVE:
                    await resource.archive(action.id)
                case ActionKind.DELETE:
                    await resource.delete(action.id)
                case _:
                    if action.kind is ActionKind.RESTORE:
                        await resource.restore(action.id)
                    if given:
                        await resource.modify(await resource.get(action.id), **given)


def row(number: int, **fields: Any) -> dict[str, Any]:
    """Return a row of a student, by the number of an identity number."""
    return {"identity_number": NUMBERS[number], "first_name": "Bo", "last_name": "Ek", **fields}


def placed(number: int, school: str = "school", **fields: Any) -> dict[str, Any]:
    """Return a row of a placement at a school by its source id."""
    given = {"student.identity_number": NUMBERS[number], "school.source_id": school, "school_type": "GR"}
    return {**given, "start_date": BEGAN.isoformat(), **fields}


SCHOOL = {"source_id": "school", "title": "Skolan", "school_type": "GR"}


def told(proposal: Proposal) -> list[tuple[str, str, str | None]]:
    """Return kind, resource and id of every action."""
    return [_told(action) for action in proposal.actions]


def held(proposal: Proposal) -> list[tuple[str, str, str | None, str]]:
    """Return kind, resource, id and reason of everything held."""
    return [(*_told(one.action), one.reason.value) for one in proposal.held]


def wrong(proposal: Proposal) -> list[tuple[str, int, str]]:
    """Return resource, line and field of every problem."""
    return [(problem.resource, problem.line, problem.field) for problem in proposal.problems]


def _told(action: Action) -> tuple[str, str, str | None]:
    return action.kind.value, action.resource, action.id


@pytest.fixture
async def world() -> AsyncGenerator[World, None]:
    """Give an empty directory."""
    there = World()
    async with there.meitner:
        yield there
