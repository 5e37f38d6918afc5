"""Audit events."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from .._operations import Get, List, Resource, Search
from ..query import Exact, Instant, MetaQuery, ResourceQuery
from ..records import Id, Meta, OpenEnum, OrAbsent, Record, Timestamp


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


class AuditEvent(Record):
    """That a record was deleted."""

    id: Id
    meta: OrAbsent[Meta] = None
    timestamp: Timestamp
    resource: AuditEventResource
    resource_id: Id
    type: AuditEventType


class AuditEventQuery(ResourceQuery):
    """Conditions on audit events."""

    id: Exact[Id] = UNSET
    meta: MetaQuery | UnsetType = UNSET
    timestamp: Instant = UNSET
    resource: Exact[AuditEventResource] = UNSET
    resource_id: Exact[Id] = UNSET
    type: Exact[AuditEventType] = UNSET


class AuditEvents(Resource[AuditEvent]):
    """Which records were deleted, and when. Written by the server only."""

    path = "/audit-event"
    model = AuditEvent

    list = List()
    search = Search(AuditEventQuery)
    get = Get()
