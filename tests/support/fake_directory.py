"""A directory of rows on a clock of its own, as a `Source`: no requests, no JSON, everything in the hands of a test."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple

from meitner_aio._listing.source import Deletions, PageRequest
from meitner_aio._wire.decoding import DecodedPage
from meitner_aio._wire.last_counts import LastCount
from meitner_aio.records import Meta, Pagination

BEGIN = 1_790_000_000.0
"""The clock of a directory when nobody has moved it, in seconds since 1970."""


class Row(NamedTuple):
    """What a listing needs to know of a row; `tag` is what searches ask for."""

    id: str
    meta: Meta | None = None
    tag: str = ""


@cache
def row_id(number: int) -> str:
    """Return the same id for the same number."""
    return str(uuid.UUID(int=(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128, version=4))


def stamp(seconds: float) -> datetime:
    """Return an instant."""
    return datetime.fromtimestamp(seconds, UTC)


def row(number: int, created: float | None = BEGIN - 86_400.0, updated: float | None = None, tag: str = "") -> Row:
    """Return the row with this number, created a day before the directory is read; with `created=None` undated."""
    if created is None:
        return Row(row_id(number), None, tag)
    return Row(row_id(number), _meta(created, updated), tag)


@lru_cache(maxsize=4096)
def _meta(created: float, updated: float | None) -> Meta:
    return Meta(created_at=stamp(created), updated_at=None if updated is None else stamp(updated))


class FakeDirectory:
    """The rows of one listing, in the server's order, and a record of how they were asked for.

    `before` is called before every answer and may change anything. `latency` returns the seconds until an answer,
    `failures` what an offset is answered with instead of rows. `cap` clamps limits, and the answer says so.
    `dated` is whether answers have a Date, which is cut to whole seconds. `counted` is what an earlier read found.
    """

    model = Row

    def __init__(self, rows: list[Row], **how: Any) -> None:
        self.rows = rows
        self.now = BEGIN
        self.cap: int = how.pop("cap", 10**9)
        self.latency: Callable[[PageRequest], float] = how.pop("latency", lambda _: 0.0)
        self.failures: dict[int, BaseException] = how.pop("failures", {})
        self.before: Callable[[FakeDirectory], None] = how.pop("before", lambda _: None)
        self.answer: Callable[[DecodedPage[Any], PageRequest], DecodedPage[Any]] = how.pop(
            "answer", lambda fetched, _: fetched
        )
        self.dated: bool = how.pop("dated", True)
        self.searchable: bool = how.pop("searchable", True)
        self.audited: bool = how.pop("audited", True)
        self.tag: str | None = how.pop("tag", None)
        self.counted: LastCount | None = how.pop("counted", None)
        assert not how
        self.remembered: list[LastCount | None] = []
        self.log: list[tuple[float, str]] = []
        self.asks: list[PageRequest] = []
        self.windows: list[tuple[datetime | None, datetime]] = []
        self.witnessed = 0
        self.flying = self.most_flying = 0
        self.failed = False
        self.asked_in_vain = 0

    @property
    def updates_matter(self) -> bool:
        """Whether this is a search."""
        return self.tag is not None

    @property
    def requests(self) -> int:
        """How often anything was asked."""
        return len(self.asks) + self.witnessed

    def delete(self, place: int) -> Row:
        """Delete the row at a place, and leave an event."""
        gone = self.rows.pop(place)
        self.log.append((self.now, gone.id))
        return gone

    def recall(self, ask: PageRequest) -> LastCount | None:
        """Say what was counted before, if a test wants it known."""
        return self.counted

    def remember(self, ask: PageRequest, count: LastCount | None) -> None:
        """Write down what a read found."""
        self.remembered.append(count)

    async def fetch(self, ask: PageRequest) -> DecodedPage[Row]:
        """Bring a page."""
        return await self._answered(ask, None, None)

    async def fetch_raw(self, ask: PageRequest) -> Callable[[], DecodedPage[Row]]:
        """Bring a page unread."""
        fetched = await self._answered(ask, None, None)
        return lambda: fetched

    async def created(self, low: datetime | None, high: datetime, ask: PageRequest) -> DecodedPage[Row]:
        """Bring a page of a window."""
        assert self.searchable
        self.windows.append((low, high))
        return await self._answered(ask, low, high)

    async def deleted(self, since: datetime) -> Deletions:
        """Bring the ids of the rows deleted since then."""
        self.witnessed += 1
        await asyncio.sleep(0)
        self.before(self)
        if not self.audited:
            return Deletions(None, 1)
        return Deletions(frozenset(id_ for at, id_ in self.log if at >= since.timestamp()), 1)

    def _fail(self) -> None:
        self.failed = True

    async def _answered(self, ask: PageRequest, low: datetime | None, high: datetime | None) -> DecodedPage[Row]:
        self.asks.append(ask)
        self.asked_in_vain += self.failed
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            await asyncio.sleep(self.latency(ask))
            self.before(self)
            if ask.offset in self.failures:
                asyncio.get_running_loop().call_later(0.05, self._fail)  # who learns of it has time to stop
                raise self.failures[ask.offset]
            return self.answer(self._page(ask, low, high), ask)
        finally:
            self.flying -= 1

    def _page(self, ask: PageRequest, low: datetime | None, high: datetime | None) -> DecodedPage[Row]:
        rows = self.rows
        if self.tag is not None and not ask.every:
            rows = [row for row in rows if row.tag == self.tag]
        if high is not None:
            rows = [row for row in rows if _within(row, low, high)]
        limit = min(ask.limit, self.cap)
        date = float(int(self.now)) if self.dated else None
        page = rows[ask.offset : ask.offset + limit]
        return DecodedPage(page, Pagination(offset=ask.offset, limit=limit, total=len(rows)), (), date)


def _within(row: Row, low: datetime | None, high: datetime) -> bool:
    assert row.meta is not None
    return (low is None or low <= row.meta.created_at) and row.meta.created_at < high
