"""Which records were deleted: one search among the events for all resources, and a second look before it is told."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing
from datetime import datetime

from .._operations.bulk import outcomes
from ..errors import NotFoundError
from ..query import at_least, one_of
from ..records import DirectoryRecord
from ..resources import AuditEvents
from ..resources.audit_events import AUDIT_EVENTS, AuditEvent, AuditEventType
from ._asked import event_name
from ._feed import Feed
from ._reading import Reading

Deaths = dict[str, dict[str, datetime]]
"""When records were deleted, by resource and id."""


async def deaths(reading: Reading) -> Deaths:
    """Return which records were deleted, and when for the last time, as the events say."""
    audited = {event: name for name in reading.asked.resources if (event := event_name(name)) is not None}
    found: Deaths = {}
    if not audited:
        return found
    listing = reading.wire.to(AuditEvents).search(
        type=AuditEventType.DELETE, timestamp=at_least(reading.begins), resource=one_of(*audited)
    )
    for proven in (False, True):
        feed = reading.feeds[AUDIT_EVENTS] = Feed(AUDIT_EVENTS, listing.paged(exact=proven, strict=proven))
        while (events := await feed.next()) is not None:
            reading.watch.compare(event.timestamp for event in events)
            for event in events:
                if event.type == AuditEventType.DELETE and event.resource in audited:
                    _enter(event, found.setdefault(audited[event.resource], {}))
        if reading.feeds.pop(AUDIT_EVENTS).settled(()) is not None:  # nothing deletes events
            break
    return found


def _enter(event: AuditEvent, dead: dict[str, datetime]) -> None:
    id_ = event.resource_id.lower()
    dead[id_] = max(event.timestamp, dead.get(id_, event.timestamp))


async def living(reading: Reading, attribute: str, ids: Iterable[str]) -> dict[str, DirectoryRecord]:
    """Return which of the records live although an event tells of their deletion: an id can be used again.

    Those that a search finds are asked for one by one, because an index may lag.
    """
    resource, found = reading.resource(attribute), dict[str, DirectoryRecord]()
    candidates = list(await resource.get_many(ids))
    async with aclosing(outcomes(candidates, resource.get, reading.wire.concurrency)) as asked:
        async for outcome in asked:
            if outcome.record is not None:
                found[candidates[outcome.index]] = outcome.record
            elif outcome.error is not None and not isinstance(outcome.error, NotFoundError):
                raise outcome.error
    return found
