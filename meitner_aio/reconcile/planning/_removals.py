"""What the registry lacks: which of the source's records no row names, and what is to happen to them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from ...records import DirectoryRecord
from ._actions import Action, ActionKind, Change
from ._hashes import Hashes
from ._keys import PEOPLE, PLACEMENTS, school_of
from ._placements import Day, Step, as_placement, next_step


class Removals:
    """Collects the removals of one plan."""

    def __init__(self, hashes: Hashes, day: Day, *, delete: bool) -> None:
        """Delete people and groups where `delete` says so."""
        self.actions: list[Action] = []
        self.waiting: Counter[str] = Counter()
        self.people: dict[str, str] = {}
        """Whose the placements are that are to be deleted, by the name of the action."""
        self._hashes = hashes
        self._day = day
        self._delete = delete
        self._leaving: list[Action] = []
        self._remaining: set[str] = set()
        """People who will have a placement still."""

    def missing(self, resource: str, records: Iterable[DirectoryRecord]) -> None:
        """Take in the records of a resource that the source owns and that no row names."""
        for record in records:
            if resource in PLACEMENTS:
                self.step(resource, record, next_step(as_placement(record), resource, self._day))
            elif self._delete and resource in PEOPLE:
                self._leaving.append(self._removal(resource, record, Step(ActionKind.DELETE, "not in the registry")))
            elif self._delete and resource == "groups":
                self.actions.append(self._removal(resource, record, Step(ActionKind.DELETE, "not in the registry")))

    def step(self, resource: str, record: DirectoryRecord, step: Step) -> None:
        """Take in what is next for a placement."""
        self.waiting[resource] += step.is_waiting
        if step.kind is None:
            return
        action = self._removal(resource, record, step)
        self.actions.append(action)
        if step.kind is ActionKind.DELETE:
            self.people[action.name] = person_of(resource, record)

    def placements(self, resource: str, records: Iterable[DirectoryRecord]) -> None:
        """Note who has placements, whoever owns them, when it is known which of these are to be deleted."""
        deleted = {action.id for action in self.actions if action.kind is ActionKind.DELETE}
        self._remaining.update(person_of(resource, record) for record in records if record.id not in deleted)

    def finish(self, named: Collection[str]) -> None:
        """Delete the people who have no placement left and whom no row names; the others wait."""
        for action in self._leaving:
            person = str(action.id).lower()
            if person in self._remaining or person in named:
                self.waiting[action.resource] += 1
            else:
                self.actions.append(action)
        self.actions.sort(key=_place)

    def _removal(self, resource: str, record: DirectoryRecord, step: Step) -> Action:
        changes: Mapping[str, Change] = {}
        if step.end_date is not None:
            changes = {"end_date": Change(as_placement(record).end_date, step.end_date)}
        return Action(
            kind=step.kind or ActionKind.DELETE,
            resource=resource,
            id=record.id,
            changes=changes,
            reason=step.reason,
            school_id=school_of(record),
            name=self._hashes.of_id(resource, record.id),
            seen=self._hashes.of_record(record),
        )


def person_of(resource: str, record: DirectoryRecord) -> str:
    """Return whose a placement is."""
    person: str = getattr(record, PLACEMENTS[resource])
    return person.lower()


def _place(action: Action) -> tuple[int, int]:
    """Return where a removal stands: groups go before placements, and people last."""
    kind = (ActionKind.END, ActionKind.ARCHIVE, ActionKind.DELETE).index(action.kind)
    return kind, 0 if action.resource == "groups" else 1 if action.resource in PLACEMENTS else 2
