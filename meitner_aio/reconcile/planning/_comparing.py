"""Goes through what a registry says of one resource, row by row, and through what it does not say. Blocking.

A row that cannot be carried out is told, and left out. What its keys may mean is not missing; where they mean nothing
that is known, it may be any record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple, cast

from ...records import DirectoryRecord
from ..registry._declared import declared
from ..registry._desired import Desired
from ..registry._problems import Findings, Flaw
from ..registry._rows import HeldRow, Reference, Row
from ._actions import Action, Held
from ._keys import PLACEMENTS, NaturalKey
from ._matching import Records, match
from ._outcomes import Deciding, Outcome
from ._placements import match_placement
from ._references import Named, References, Unresolved, named

_NAMING = (*PLACEMENTS.values(), "member_ids", "moderator_ids", "student_ids")
"""Fields that hold ids of people."""


class Settled(NamedTuple):
    """What comes of the rows of a resource."""

    actions: list[Action]
    held: list[Held]
    unchanged: int


class Comparison:
    """The rows of one resource against its records."""

    def __init__(
        self, records: Records, desired: Desired, references: References, findings: Findings, deciding: Deciding
    ) -> None:
        """Hold what they are compared with."""
        self.named: set[str] = set()
        """Records that some row may be about, by their ids in lower case."""
        self.people: set[str] = set()
        """People whom rows name."""
        self.strays: Counter[str] = Counter()
        """By school, rows that may be any record."""
        self.ids: dict[Reference, str] = {}
        """Where the references of rows with actions lead."""
        self._resource = records.resource
        self._records = records
        self._desired = desired
        self._references = references
        self._index = references.indexes.get(records.resource)
        self._findings = findings
        self._deciding = deciding
        self._match = match_placement if records.resource in PLACEMENTS else match
        self._naming = [name for name in _NAMING if name in declared(records.resource).fields]
        self._places: list[tuple[str, int, Outcome]] = []
        self._taken: dict[str, int] = {}
        self._keys: dict[NaturalKey, int] = {}
        self._refused: set[int] = set()

    def read(self, incomplete: frozenset[str]) -> Iterator[None]:
        """Go through the rows, those that the registry left out first. Yields after each."""
        for held in self._desired.held(self._resource):
            self._leave_out(held, named(held), incomplete)
            yield
        for row in self._desired.rows(self._resource):
            self._take(row, incomplete)
            yield

    def _take(self, row: Row, incomplete: frozenset[str]) -> None:
        found: dict[Reference, str] = {}
        known = named(row)
        unresolved = self._references.resolved(row, found) or self._references.missing_id(row, incomplete)
        if unresolved is not None:
            self._refuse(row.file, row.line, _told(unresolved))
            self._leave_out(row, known, incomplete)
            return
        key = known.natural_key(found)
        matched = self._match(row, known, key, self._records)
        outcome = Outcome(flaw=matched.flaw)
        if matched.flaw is None:
            outcome = self._deciding.outcome(row, known.keys[0], found, matched.record)
        if outcome.flaw is not None:
            self._refuse(row.file, row.line, outcome.flaw)
            self._leave_out(row, known, incomplete)
            return
        for record in matched.about:
            self.named.add(record.id.lower())
        if self._index is not None:
            self._index.name(row, known, outcome.target)
        self._name_people(row, found)
        if outcome.action is not None:
            self.ids |= found
        self._enter(row, key, outcome)

    def _enter(self, row: Row, key: NaturalKey | None, outcome: Outcome) -> None:
        """Keep what comes of a row; two about the same record are both left out."""
        number = len(self._places)
        self._places.append((row.file, row.line, outcome))
        same_target = self._taken.setdefault(outcome.target, number)
        same_key = number if key is None else self._keys.setdefault(key, number)
        for other in {same_target, same_key} - {number}:
            for place, same in ((number, other), (other, number)):
                if place not in self._refused:
                    self._refused.add(place)
                    file, line, _ = self._places[place]
                    message = f"is about the same record as line {self._places[same][1]}"
                    self._refuse(file, line, Flaw("", message, "keep one of them"))

    def _name_people(self, row: Row, found: dict[Reference, str]) -> None:
        """Note whom a row needs: they are not deleted."""
        self.people.update(found.values())
        for name in self._naming:
            value = row.fields.get(name)
            for one in cast("list[object]", value) if isinstance(value, list) else (value,):
                if isinstance(one, str):
                    self.people.add(one.lower())

    def _leave_out(self, row: Row | HeldRow, known: Named, incomplete: frozenset[str]) -> None:
        """Protect what a row may be about."""
        about = self._records.about(known, self._references)
        self.named.update(record.id.lower() for record in about)
        if self._index is not None:
            self._index.leave_out(known)
            for record in about:
                self._index.name(row, known, record.id.lower())
        parts = [value for value in (known.natural.values if known.natural else ()) if isinstance(value, Reference)]
        for reference in row.references if isinstance(row, Row) else parts:
            self.people.update(self._references.targets(reference))
        if not about:
            self._stray(parts, incomplete)

    def _stray(self, parts: list[Reference], incomplete: frozenset[str]) -> None:
        """Count a row that may be any record: its key names what neither the directory nor the registry has."""
        lost = [part for part in parts if not self._references.targets(part)]
        if any(self._may_be_anybody(part, incomplete) for part in lost):
            schools = [
                target for part in parts if "schools" in part.resources for target in self._references.targets(part)
            ]
            self.strays.update(schools or [""])

    def _may_be_anybody(self, reference: Reference, incomplete: frozenset[str]) -> bool:
        for home in reference.resources:
            if home not in self._desired.resources or home in incomplete or self._desired.doubts(home):
                return True
        return not self._references.is_left_out(reference)

    def _refuse(self, file: str, line: int, flaw: Flaw) -> None:
        self._findings.refuse(self._resource, file, line, [flaw])

    def settled(self) -> Settled:
        """Return what comes of all rows."""
        outcomes = [one for number, (_, _, one) in enumerate(self._places) if number not in self._refused]
        actions = [one.action for one in outcomes if one.action is not None and one.hold is None]
        held = [Held(one.action, one.hold, one.message) for one in outcomes if one.action and one.hold is not None]
        return Settled(actions, held, sum(one.action is None for one in outcomes))

    def missing(self) -> Iterator[DirectoryRecord]:
        """Yield the records of the source that no row can be about."""
        return (record for record_id, record in self._records.ours.items() if record_id.lower() not in self.named)


def _told(unresolved: Unresolved) -> Flaw:
    if unresolved.targets:
        count = len(unresolved.targets)
        return Flaw(unresolved.field, f"means {count} records", "name the right one by another key")
    homes = " or ".join(unresolved.reference.resources) if unresolved.reference is not None else ""
    where = f"{homes} of the directory or of the registry" if homes else "the directory"
    return Flaw(unresolved.field, f"names nothing in {where}", "correct it, or add what it names to the registry")
