"""How a run reads: listings of resources, page by page, through one watch, as far as the server still knows."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, cast

from .._listing.completeness import ListingReport
from .._listing.listing import Listing
from .._operations.operations import Binding, operations
from .._runtime.amounts import duration
from ..errors import MeitnerError, ResyncReason, ResyncRequired
from ..query import MetaQuery, ResourceQuery, at_least
from ..resources import RESOURCES
from ._asked import Asked, searchable
from ._change import Upserted
from ._feed import Feed
from ._watch import Watch


class Reading:
    """What the parts of a run share."""

    def __init__(self, wire: Binding, asked: Asked) -> None:
        """Read what is `asked` for through `wire`."""
        self.asked = asked
        self.watch = Watch(wire.send)
        self.wire = wire._replace(send=self.watch.send)
        self.feeds: dict[str, Feed] = {}
        """What is being read, or was not yet shown to be complete."""
        self.reports: dict[str, ListingReport] = {}
        self.full: set[str] = set()

    @property
    def begins(self) -> datetime:
        """From when on stamps are asked for."""
        since = self.asked.since or 0.0
        ahead = 0 if self.asked.checkpoint is None else self.asked.checkpoint.ahead
        return datetime.fromtimestamp(max(0, math.floor(since - self.asked.lookback - ahead)), UTC)

    def resource(self, attribute: str) -> Any:
        """Return a resource, each of whose requests is one of this run."""
        return self.wire.to(RESOURCES[attribute])

    def feed(self, attribute: str, *, proven: bool = False) -> Feed:
        """Return the rows of a resource to tell; those of a search are `proven` by fetching again, if need be."""
        feed = self.feeds[attribute] = Feed(attribute, self._listing(attribute, proven=proven))
        return feed

    def _listing(self, attribute: str, *, proven: bool) -> Listing[Any]:
        resource = self.resource(attribute)
        if self.asked.since is None or not searchable(attribute):
            listing: Listing[Any] = resource.list()
            return listing.paged(exact=True, strict=True)
        query = cast("type[ResourceQuery]", operations(RESOURCES[attribute])["search"].body)
        since = at_least(self.begins)
        either = [query(meta=MetaQuery(created_at=since)), query(meta=MetaQuery(updated_at=since))]
        listing = resource.search(any_of=either)
        # Several resources are read at a time: together they shall not be far ahead of the reader.
        return listing.paged(concurrency=min(2, self.wire.concurrency), exact=proven, strict=proven)

    async def rows(self, feed: Feed) -> AsyncGenerator[list[Any], None]:
        """Yield the rows of a resource, page by page; `ResyncRequired` before the first where they are not enough."""
        while (rows := await feed.next()) is not None:
            self.now()
            metas = [row.meta for row in rows if row.meta is not None]
            self.watch.compare(max(meta.created_at, meta.updated_at or meta.created_at) for meta in metas)
            yield rows
        self.now()

    async def told(self, attribute: str, feed: Feed) -> AsyncGenerator[list[Upserted[Any]], None]:
        """Yield the rows of a resource as changes, page by page."""
        async with aclosing(self.rows(feed)) as pages:
            async for rows in pages:
                yield [Upserted(attribute, row) for row in rows]

    def now(self) -> float:
        """Return when the run began; `ResyncRequired` when the server does not know any more what was before it."""
        now, since, asked = self.watch.began, self.asked.since, self.asked
        if now is None:
            raise MeitnerError("no answer said the time (Date), so changes cannot be followed from here")
        if since is None:
            return now
        if now - since > asked.retention:
            raise ResyncRequired(
                f"{duration(now - since)} have passed, and events of deletions are kept for "
                f"{duration(asked.retention)}; read everything, with since=None",
                reason=ResyncReason.TOO_OLD,
            )
        if asked.checkpoint is not None and since - now > asked.lookback:
            raise ResyncRequired(
                "the server's clock is behind the checkpoint: it may have been restored; "
                "read everything, with since=None",
                reason=ResyncReason.OTHER_DIRECTORY,
            )
        return now

    async def close(self) -> None:
        """Stop what is under way."""
        for feed in self.feeds.values():
            await feed.close()
