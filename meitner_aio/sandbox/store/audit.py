"""The audit event of a deletion, the only kind that the API knows."""

from __future__ import annotations

from datetime import datetime

from ...records import Meta
from ...resources.audit_events import AuditEvent, AuditEventResource, AuditEventType


def deletion(event_id: str, stamp: datetime, resource: AuditEventResource, record_id: str, actor: str) -> AuditEvent:
    """Return the event of a record's deletion at `stamp`."""
    return AuditEvent(
        id=event_id,
        meta=Meta(created_at=stamp, created_by=actor),
        timestamp=stamp,
        resource=resource,
        resource_id=record_id,
        type=AuditEventType.DELETE,
    )
