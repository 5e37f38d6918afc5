"""Synthetic history: what was deleted before the directory became what it is, and the audit events that tell of it."""

from __future__ import annotations

from ...resources.audit_events import AuditEvent, AuditEventResource
from ..store.audit import deletion
from .chance import OPERATOR, Clock, Dice

_ONE_IN = 40
"""Of so many students, employees and groups that are there, one more was."""

_GUARDIANS = 0.4
"""How probable it is that a guardian, too, had no other child here."""


def depart(dice: Dice, clock: Clock, *, students: int, employees: int, groups: int) -> list[AuditEvent]:
    """Return the events of those who left a directory that holds so many now, in the order of time.

    Placements go before the one who had them. No id is that of a record that exists: each is drawn anew.
    """
    kind = AuditEventResource
    leaving = [
        *[(kind.STUDENT_PLACEMENT, kind.STUDENT)] * (students // _ONE_IN),
        *[(kind.EMPLOYEE_PLACEMENT, kind.EMPLOYEE)] * (employees // _ONE_IN),
        *[(kind.GROUP,)] * (groups // _ONE_IN),
    ]
    events: list[AuditEvent] = []
    for index, gone in enumerate(dice.sample(leaving, len(leaving))):
        clock.reach(index / len(leaving))
        alone = kind.STUDENT in gone and dice.chance(_GUARDIANS)
        resources = (*gone, *([kind.GUARDIAN] if alone else []))
        events += [deletion(dice.id(), clock.next(), resource, dice.id(), OPERATOR) for resource in resources]
    return events
