"""Audit events."""

from __future__ import annotations

from msgspec import UNSET

from .._operations.composed import Find, Readable
from .._operations.operations import Get, List, Search
from ..query import Exact, Instant, ResourceQuery
from ..records import DirectoryRecord, Id, OpenEnum, Timestamp

__all__ = ["AuditEvent", "AuditEventQuery", "AuditEventResource", "AuditEventType", "AuditEvents"]

AUDIT_EVENTS = "audit_events"

NO_CHANGES = f"{AUDIT_EVENTS} never change, so there are no changes to follow: list, search or export them"
"""Why changes and mirrors refuse them."""


class AuditEventResource(OpenEnum):
    """The resources whose deletions leave an event; a deleted grade leaves none."""

    GROUP = "Group"
    GUARDIAN = "Guardian"
    EMPLOYEE = "Employee"
    EMPLOYEE_PLACEMENT = "EmployeePlacement"
    STUDENT = "Student"
    STUDENT_PLACEMENT = "StudentPlacement"


class AuditEventType(OpenEnum):
    """What happened."""

    DELETE = "Delete"


class AuditEvent(DirectoryRecord):
    """That a record was deleted."""

    timestamp: Timestamp
    resource: AuditEventResource
    resource_id: Id
    type: AuditEventType


class AuditEventQuery(ResourceQuery):
    """Conditions on audit events."""

    timestamp: Instant = UNSET
    resource: Exact[AuditEventResource] = UNSET
    resource_id: Exact[Id] = UNSET
    type: Exact[AuditEventType] = UNSET


class AuditEvents(Readable[AuditEvent]):
    """Which records were deleted, and when. Written by the server only."""

    path = "/audit-event"
    model = AuditEvent
    permanent = True

    list = List()
    search = Search(AuditEventQuery)
    find = Find(AuditEventQuery)
    get = Get()
