"""A source that pseudonymises rows as they arrive: no other id reaches a spool or a journal.

What counts, proves and resumes a read identifies rows by their pseudonyms alone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from .._listing.source import Deletions, Forgetful, PageRequest, Source
from .._pseudonyms import Pseudonyms
from .._wire.decoding import DecodedPage
from .._wire.validation import is_id


class Pseudonymised(Forgetful):
    """The source of a listing, under pseudonyms."""

    def __init__(self, source: Source[Any], names: Pseudonyms) -> None:
        self._source = source
        self.model, self.searchable, self.updates_matter = source.model, source.searchable, source.updates_matter
        self._names = names

    async def fetch(self, ask: PageRequest) -> DecodedPage[Any]:
        """Fetch a page."""
        return pseudonymised(await self._source.fetch(ask), self._names)

    async def fetch_raw(self, ask: PageRequest) -> Callable[[], DecodedPage[Any]]:
        """Fetch a page without decoding it."""
        read = await self._source.fetch_raw(ask)
        return lambda: pseudonymised(read(), self._names)

    async def created(self, low: datetime | None, high: datetime, ask: PageRequest) -> DecodedPage[Any]:
        """Fetch a page of the rows created from `low` until before `high`."""
        return pseudonymised(await self._source.created(low, high, ask), self._names)

    async def deleted(self, since: datetime) -> Deletions:
        """Fetch the ids of the rows deleted since then."""
        found = await self._source.deleted(since)
        return found if found.ids is None else found._replace(ids=frozenset(map(self._names.id, found.ids)))


def pseudonymised(page: DecodedPage[Any], names: Pseudonyms) -> DecodedPage[Any]:
    """Return a page under pseudonyms; a row that was left out and has no id is named by its place, as ever."""
    invalid = tuple(names.id(name) if is_id(name) else name for name in page.invalid)
    return page._replace(rows=[names.record(row) for row in page.rows], invalid=invalid)
