"""Plans made by hand, for the tests of what carries them out: each action says its row or record, and what is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from meitner_aio import Meitner
from meitner_aio._pipeline.identity import Stamp, reader_of
from meitner_aio.reconcile import Desired, Reference
from meitner_aio.reconcile.planning._actions import Action, ActionKind, Change
from meitner_aio.reconcile.planning._hashes import Hashes
from meitner_aio.reconcile.planning._plan import Plan
from meitner_aio.reconcile.planning._proposal import Proposal
from meitner_aio.reconcile.planning._source_ids import made_source_id
from meitner_aio.reconcile.registry._rows import Row

ADDED, CLAIM, UPDATE, END = ActionKind.CREATE, ActionKind.CLAIM, ActionKind.UPDATE, ActionKind.END
ARCHIVE, RESTORE, DELETE = ActionKind.ARCHIVE, ActionKind.RESTORE, ActionKind.DELETE


class Planner:
    """Collects the actions of a plan, as the present is right now."""

    def __init__(self, meitner: Meitner, desired: Desired, hashes: Hashes, directory: Stamp) -> None:
        self.meitner = meitner
        self.desired = desired
        self.hashes = hashes
        self.directory = directory
        self.actions: list[Action] = []
        self.ids: dict[str, str] = {}
        self._rows = {name: list(desired.rows(name)) for name in desired.resources}

    @classmethod
    async def of(cls, meitner: Meitner, desired: Desired | None = None) -> Planner:
        """Begin a plan."""
        reader = await reader_of(meitner)
        assert reader is not None
        return cls(meitner, desired or Desired(), Hashes(reader), reader.stamp())

    def row(self, resource: str, number: int = 0) -> Row:
        """Return a row of the registry, by its number from 0."""
        return self._rows[resource][number]

    def create(self, resource: str, number: int = 0) -> Action:
        """Let a row be created."""
        row = self.row(resource, number)
        external = row.fields.get("external")
        source_id = made_source_id() if external is None else external.source_id
        name = self.hashes.of_key(resource, row.keys[0])
        return self._add(ADDED, row, source_id=source_id, name=name, changes=_changes(row.fields))

    def create_all(self, *resources: str) -> None:
        """Let every row of some resources be created, and references to each other lead to them."""
        for resource in resources:
            for number, row in enumerate(self._rows[resource]):
                action = self.create(resource, number)
                for key in row.keys:
                    for homes in ((resource,), ("students", "employees", "guardians")):
                        self._refer(homes, key, f"@{action.name}")

    def _refer(self, homes: tuple[str, ...], key: Any, target: str) -> None:
        if isinstance(key.by, str):
            self.ids[self.hashes.of_reference(Reference(homes, key.by, key.values[0]))] = target

    def refer(self, row: Row, target: str) -> None:
        """Let every reference of a row lead to an id, or to a create."""
        for reference in row.references:
            self.ids[self.hashes.of_reference(reference)] = target

    def update(self, resource: str, record: Any, *fields: str, number: int = 0, kind: ActionKind = UPDATE) -> Action:
        """Let fields of a record become those of a row."""
        row = self.row(resource, number)
        changes = {name: Change(getattr(record, name), row.fields.get(name)) for name in fields}
        source_id = made_source_id() if kind is CLAIM and "external" not in row.fields else None
        return self._add(kind, row, record, changes=changes, source_id=source_id)

    def remove(self, kind: ActionKind, resource: str, record: Any) -> Action:
        """Let a record be ended, archived or deleted."""
        changes = {"end_date": Change()} if kind is END else {}
        action = Action(
            kind=kind,
            resource=resource,
            id=record.id,
            changes=changes,
            name=self.hashes.of_id(resource, record.id),
            seen=self.hashes.of_record(record),
        )
        self.actions.append(action)
        return action

    def _add(self, kind: ActionKind, row: Row, record: Any = None, **more: Any) -> Action:
        known = {} if record is None else {"id": record.id, "seen": self.hashes.of_record(record)}
        named = {} if record is None else {"name": self.hashes.of_id(row.resource, record.id)}
        wanted = self.hashes.of_row(row)
        action = Action(kind=kind, resource=row.resource, line=row.line, wanted=wanted, **known, **named, **more)
        self.actions.append(action)
        return action

    def proposal(self, source: str | None = "api", **more: Any) -> Proposal:
        """Return what was collected."""
        counts = {name: self.desired.count(name) for name in self.desired.resources}
        said = {
            "resources": self.desired.resources,
            "actions": tuple(self.actions),
            "source": source,
            "ids": self.ids,
            "salt": self.hashes.salt,
            "directory": self.directory,
            "made_at": datetime.now(UTC).timestamp(),
            "row_counts": counts,
        }
        plan = Plan(**(said | more))
        return Proposal(plan, self.meitner, self.desired)


def _changes(fields: dict[str, Any]) -> dict[str, Change]:
    return {name: Change(None, value) for name, value in fields.items()}


def pupils(count: int, start: int = 0, **more: Any) -> list[dict[str, Any]]:
    """Return rows of students."""
    return [
        {"identity_number": number(index), "first_name": "Bo", "last_name": f"Ek{index}", **more}
        for index in range(start, start + count)
    ]


def number(index: int) -> str:
    """Return an identity number whose last digit fits."""
    digits = f"1501{1 + index // 200 % 28:02d}{index % 200:03d}"
    total = sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(digits))
    return f"20{digits[:6]}-{digits[6:]}{-total % 10}"
