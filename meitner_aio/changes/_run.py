"""One run from a checkpoint to the next: rows first, then deletions, and no checkpoint before the end.

A search per resource finds what was created or changed since a while before the checkpoint: stamps are older than what
they stamp is visible, clocks differ, an index lags. Deletions are asked for afterwards, of all resources at once, so
that nothing told before is deleted without being told; whoever is named is asked for once more, so that nobody who
lives is told as gone. What cannot be searched is read in full and compared with what it was.
"""

from __future__ import annotations

import math
import os
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, cast

from msgspec import Struct

from .._listing.completeness import ListingReport
from .._listing.listing import Listing
from .._operations.bulk import outcomes
from .._operations.operations import Binding, operations
from .._pipeline.identity import Reader, Stamp
from .._runtime.cleanup import finished
from .._runtime.threads import threaded
from ..errors import IncompleteListing, MeitnerError, NotFoundError, ResyncReason, ResyncRequired
from ..query import MetaQuery, ResourceQuery, at_least, one_of
from ..records import DirectoryRecord
from ..resources import RESOURCES, AuditEvents
from ..resources.audit_events import AuditEventType
from ._asked import Asked, event_name, searchable
from ._change import Change, Deleted, Upserted
from ._checkpoint import Checkpoint, Digest
from ._digest import Comparison, cipher
from ._feed import Feed
from ._watch import Watch

_MARGIN = 60
"""Seconds before the run at which the next one begins: a transaction is stamped first and committed later."""

_AHEAD, _AHEAD_IN_FULL = 8, 2
"""Resources that are asked for at a time: searches have a page or two, listings of everything have many."""

_SINGLY = 50
"""Rows that are asked for one by one when a full reading lacks them; for more, it has to be confirmed by another."""


class Count(Struct):
    """What was told of a resource."""

    upserted: int = 0
    deleted: int = 0


class Run:
    """One run. `batches` tells, the rest says how far it came."""

    def __init__(self, wire: Binding, reader: Callable[[], Coroutine[Any, Any, Reader | None]], asked: Asked) -> None:
        """Read through `wire`, as the one whom `reader` tells."""
        self.asked = asked
        self.watch = Watch(wire.send)
        self.reports: dict[str, ListingReport] = {}
        self.counts: dict[str, Count] = {name: Count() for name in asked.resources}
        self.full: set[str] = set()
        self.checkpoint: str | None = None
        self._wire = wire._replace(send=self.watch.send)
        self._who = reader
        self._reader = Reader("", {})
        self._salt = os.urandom(16).hex()
        self._feeds: dict[str, Feed] = {}
        self._digests: dict[str, Digest] = {}
        self._gone: dict[str, list[str]] = {}

    async def batches(self) -> AsyncGenerator[list[Change], None]:
        """Tell what changed, page by page."""
        await self._admit()
        try:
            for telling in (self._rows, self._graded, self._buried):
                async with aclosing(telling()) as told:
                    async for batch in told:
                        yield self._counted(batch)
        finally:
            await finished(self._closed())
        self.checkpoint = await self._made()

    async def _closed(self) -> None:
        for feed in self._feeds.values():
            await feed.close()

    def _counted(self, batch: list[Change]) -> list[Change]:
        for change in batch:
            count = self.counts[change.resource]
            if isinstance(change, Deleted):
                count.deleted += 1
            else:
                count.upserted += 1
        return batch

    # -- whether there is anything to follow

    async def _admit(self) -> None:
        """Raise `ResyncRequired` for a checkpoint that cannot be followed, as far as it can be told without asking."""
        checkpoint = self.asked.checkpoint
        if self.asked.foreign:
            raise ResyncRequired(
                "the checkpoint is of another version; read everything, with since=None",
                reason=ResyncReason.OTHER_VERSION,
            )
        reader = await self._who()
        if reader is None:
            raise MeitnerError("nothing says who reads which server, so a checkpoint could be taken for another's")
        self._reader = reader
        if checkpoint is None:
            return
        stamp = Stamp(reader.server, checkpoint.salt, checkpoint.digest)
        if not await threaded(reader.wrote, stamp):
            raise ResyncRequired(
                f"the checkpoint is not of {reader.server} as these credentials show it; "
                "read everything, with since=None",
                reason=ResyncReason.OTHER_DIRECTORY,
            )
        new = [name for name in self.asked.resources if name not in checkpoint.resources]
        if new:
            raise ResyncRequired(
                f"the checkpoint says nothing of {', '.join(new)}; read everything, with since=None",
                reason=ResyncReason.NEW_RESOURCE,
            )
        self.watch.ahead = checkpoint.ahead

    def _still_known(self) -> float:
        """Return when the run began; `ResyncRequired` when the server does not know any more what was before it."""
        now, since = self.watch.began, self.asked.since
        if now is None:
            raise MeitnerError("no answer said the time (Date), so changes cannot be followed from here")
        if since is None:
            return now
        if now - since > self.asked.retention:
            raise ResyncRequired(
                f"{(now - since) / 86400:.0f} days have passed, and events of deletions are kept for "
                f"{self.asked.retention / 86400:.0f}; read everything, with since=None",
                reason=ResyncReason.TOO_OLD,
            )
        if self.asked.checkpoint is not None and since - now > self.asked.lookback:
            raise ResyncRequired(
                "the server's clock is behind the checkpoint: it may have been restored; "
                "read everything, with since=None",
                reason=ResyncReason.OTHER_DIRECTORY,
            )
        return now

    # -- rows

    @property
    def _from(self) -> datetime:
        """From when on stamps are asked for."""
        since = self.asked.since or 0.0
        ahead = 0 if self.asked.checkpoint is None else self.asked.checkpoint.ahead
        return datetime.fromtimestamp(max(0, math.floor(since - self.asked.lookback - ahead)), UTC)

    def _resource(self, attribute: str) -> Any:  # noqa: ANN401 - one of many
        return self._wire.to(RESOURCES[attribute])

    def _listing(self, attribute: str, *, proven: bool = False) -> Listing[Any]:
        """Return what is read of a resource; one that is `proven` raises `IncompleteListing` where it cannot be."""
        resource = self._resource(attribute)
        if self.asked.since is None or not searchable(attribute):
            listing: Listing[Any] = resource.list()
            return listing.paged(exact=True, strict=True)
        query = cast("type[ResourceQuery]", operations(RESOURCES[attribute])["search"].body)
        since = at_least(self._from)
        either = [query(meta=MetaQuery(created_at=since)), query(meta=MetaQuery(updated_at=since))]
        listing = resource.search(any_of=either)
        return listing.paged(concurrency=min(2, self._wire.concurrency), exact=proven, strict=proven)

    def _feed(self, attribute: str, *, proven: bool = False) -> Feed:
        feed = self._feeds[attribute] = Feed(attribute, self._listing(attribute, proven=proven))
        return feed

    async def _rows(self) -> AsyncGenerator[list[Change], None]:
        """Tell the rows of resources that can be searched, several of which are asked for at a time."""
        names = [name for name in self.asked.resources if searchable(name)]
        most = min(_AHEAD_IN_FULL if self.asked.since is None else _AHEAD, self._wire.concurrency)
        for place, attribute in enumerate(names):
            for name in names[place : place + most]:
                (self._feeds.get(name) or self._feed(name)).start()
            async with aclosing(self._told(attribute, self._feeds[attribute])) as told:
                async for batch in told:
                    yield batch
            if self.asked.since is None:
                self.full.add(attribute)
                self.reports[attribute] = self._feeds.pop(attribute).report

    async def _told(self, attribute: str, feed: Feed) -> AsyncGenerator[list[Change], None]:
        while (rows := await feed.next()) is not None:
            self._still_known()
            self._compare(rows)
            yield [Upserted(attribute, row) for row in rows]
        self._still_known()

    def _compare(self, rows: list[Any]) -> None:
        metas = [row.meta for row in rows if row.meta is not None]
        self.watch.compare(max(meta.created_at, meta.updated_at or meta.created_at) for meta in metas)

    # -- rows that cannot be searched

    async def _graded(self) -> AsyncGenerator[list[Change], None]:
        for attribute in self.asked.resources:
            if searchable(attribute):
                continue
            old = None if self.asked.checkpoint is None else self.asked.checkpoint.digests.get(attribute)
            if old is not None and not await self._due(attribute, old):
                self._digests[attribute] = old
                continue
            async with aclosing(self._compared(attribute, old)) as told:
                async for batch in told:
                    yield batch

    async def _due(self, attribute: str, old: Digest) -> bool:
        every = self.asked.grades_every
        if every is None:
            return True
        if self.watch.began is None:
            await self._resource(attribute).list().first()  # nothing was asked yet: somebody has to say the time
        return self._still_known() - old.read_at >= every

    async def _compared(self, attribute: str, old: Digest | None) -> AsyncGenerator[list[Change], None]:
        """Read a resource in full, and tell what is not as it was."""
        comparison = await self._comparison(attribute, old)
        feed = self._feed(attribute)
        while (rows := await feed.next()) is not None:
            self._still_known()
            self._compare(rows)
            yield [Upserted(attribute, row) for row in rows if comparison.differs(row)]
        now = self._still_known()
        self.reports[attribute] = self._feeds.pop(attribute).report
        vanished = comparison.vanished()
        living = await self._confirmed(attribute, vanished)
        yield [Upserted(attribute, row) for row in living.values() if comparison.differs(row)]
        self._gone[attribute] = [id_ for id_ in vanished if id_ not in living]
        if old is None:
            self.full.add(attribute)
        digest = await threaded(comparison.rows)
        enciphered = await threaded(cipher, digest, await self._key(self._salt), attribute)
        self._digests[attribute] = Digest(self._salt, int(now), enciphered)

    async def _comparison(self, attribute: str, old: Digest | None) -> Comparison:
        key = await self._key(self._salt)
        if old is None:
            return Comparison(key)
        old_key = await self._key(old.salt)
        return Comparison(key, await threaded(cipher, old.rows, old_key, attribute), old_key)

    async def _key(self, salt: str) -> bytes:
        """Return the key that belongs to a salt, and to nobody who does not know who reads what."""
        stamp = await threaded(self._reader.stamp, f"{salt} rows")
        return bytes.fromhex(stamp.digest)

    async def _confirmed(self, attribute: str, vanished: list[str]) -> dict[str, Any]:
        """Return which of the rows that a full reading lacks live all the same.

        One that lacks many may have been a faulty answer, an empty one above all: it is read once more, and has to
        lack the same.
        """
        if len(vanished) > _SINGLY:
            again, lost = self._feed(attribute), {*vanished}
            while (rows := await again.next()) is not None:
                if any(row.id.lower() in lost for row in rows):
                    raise IncompleteListing(f"{attribute}: two readings do not agree on which rows are gone")
            self._feeds.pop(attribute)
        asked = vanished[:: max(1, -(-len(vanished) // _SINGLY))]
        living: dict[str, Any] = await self._resource(attribute).get_many(asked)
        if living and len(asked) < len(vanished):
            raise IncompleteListing(f"{attribute}: rows that two readings lack can be read one by one")
        return living

    # -- deletions

    async def _buried(self) -> AsyncGenerator[list[Change], None]:
        """Tell deletions, after what lives although it was deleted, or is told again for lack of a proof."""
        deaths = {} if self.asked.since is None else await self._deaths()
        for attribute in [name for name in self._feeds if self.asked.since is not None]:
            gone = None if event_name(attribute) is None else deaths.get(attribute, ())
            report = self._feeds.pop(attribute).settled(gone)
            if report is None:
                feed = self._feed(attribute, proven=True)
                async with aclosing(self._told(attribute, feed)) as told:
                    async for batch in told:
                        yield batch
                report = self._feeds.pop(attribute).report
            self.reports[attribute] = report
        for attribute, ids in deaths.items():
            living = await self._living(attribute, ids)
            yield [Upserted(attribute, row) for row in living.values()]
            deaths[attribute] = {id_: at for id_, at in ids.items() if id_ not in living}
        for attribute in reversed(self.asked.resources):
            yield [Deleted(attribute, id_, at) for id_, at in deaths.get(attribute, {}).items()]
            yield [Deleted(attribute, id_) for id_ in self._gone.get(attribute, ())]

    async def _deaths(self) -> dict[str, dict[str, datetime]]:
        """Return which rows were deleted, and when, by resource: one search for all of them."""
        audited = {event: name for name in self.asked.resources if (event := event_name(name)) is not None}
        deaths: dict[str, dict[str, datetime]] = {}
        if not audited:
            return deaths
        listing = self._wire.to(AuditEvents).search(
            type=AuditEventType.DELETE, timestamp=at_least(self._from), resource=one_of(*audited)
        )
        for proven in (False, True):
            feed = self._feeds["audit_events"] = Feed("audit_events", listing.paged(exact=proven, strict=proven))
            while (events := await feed.next()) is not None:
                self.watch.compare(event.timestamp for event in events)
                for event in events:
                    if event.type == AuditEventType.DELETE and event.resource in audited:
                        dead, id_ = deaths.setdefault(audited[event.resource], {}), event.resource_id.lower()
                        dead[id_] = max(event.timestamp, dead.get(id_, event.timestamp))
            if self._feeds.pop("audit_events").settled(()) is not None:
                break
        return deaths

    async def _living(self, attribute: str, ids: Iterable[str]) -> dict[str, DirectoryRecord]:
        """Return which of the rows live although an event tells of their deletion: an id can be used again.

        Those that a search finds are asked for one by one, because an index may lag.
        """
        resource, living = self._resource(attribute), dict[str, DirectoryRecord]()
        found = list(await resource.get_many(ids))
        async with aclosing(outcomes(found, resource.get, self._wire.concurrency)) as asked:
            async for outcome in asked:
                if outcome.record is not None:
                    living[found[outcome.index]] = outcome.record
                elif outcome.error is not None and not isinstance(outcome.error, NotFoundError):
                    raise outcome.error
        return living

    # -- the end

    async def _made(self) -> str:
        began = self._still_known()
        at = max(0, math.floor(began) - _MARGIN)
        digest = (await threaded(self._reader.stamp, self._salt)).digest
        ahead = math.ceil(self.watch.ahead)
        checkpoint = Checkpoint(at, ahead, self._salt, digest, self.asked.resources, self._digests)
        return await threaded(checkpoint.text)
