"""How records are now: one search for the records of many actions, right before they are carried out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from ..._listing.listing import Listing
from ..._operations.keys import SOURCE, Found, Key, conditions
from ..._operations.operations import operations, search_of
from ..._operations.upsert_many import REFUSED_SEARCH
from ..._pipeline.server_limiter import Quota
from ...errors import APIStatusError
from ...query import ExternalQuery, SourcedQuery, one_of
from ...records import DirectoryRecord
from ...resources import RESOURCES
from ...resources._references import REFERENCES
from ..planning._keys import PLACEMENTS, raw_source_id_of
from ._items import Item
from ._phases import Phase
from ._requests import Requests

CHUNK = 25
"""Actions that one search guards at most: at 1,500 requests an hour, a minute's worth."""

FRESH = 60.0
"""Seconds for which it is believed that a record is as it was."""

PLACEMENTS_OF = {person: (home, field) for home, field in PLACEMENTS.items() for person in REFERENCES[field]}
"""What a person has who is somewhere, and by which field."""


def chunk_size(quota: Quota | None) -> int:
    """Return how many actions one search guards: no more than the quota lets go in a minute.

    Whatever waits for the quota after that may be written on the word of an older search.
    """
    return CHUNK if quota is None else max(1, min(CHUNK, quota.limit // 60))


class Guard:
    """Looks records up."""

    def __init__(self, requests: Requests) -> None:
        """Look with the requests of a run."""
        self._requests = requests

    async def look(self, phase: Phase, items: Sequence[Item]) -> None:
        """Find the records of items of a phase. One that spoils the search fails alone: the others are found in halves.

        Raises the error of a search that fails.
        """
        try:
            await self._look(phase, items)
        except APIStatusError as error:
            if len(items) < 2 or error.status_code not in REFUSED_SEARCH:
                raise
            await self.look(phase, items[: len(items) // 2])
            await self.look(phase, items[len(items) // 2 :])

    async def _look(self, phase: Phase, items: Sequence[Item]) -> None:
        asked_at = asyncio.get_running_loop().time()
        if phase.creates:
            await self._by_keys(phase.resource, items)
        else:
            await self._by_ids(phase, items)
        for item in items:
            item.seen_at = asked_at

    async def _by_ids(self, phase: Phase, items: Sequence[Item]) -> None:
        ids = [cast("str", item.action.id) for item in items]
        found = await self._requests.resource(phase.resource).get_many(ids)
        placed = await self._placed(phase.resource, list(found)) if phase.deletes else frozenset[str]()
        for item, id_ in zip(items, ids, strict=True):
            item.found, item.placed = found.get(id_), id_.lower() in placed

    async def _placed(self, resource: str, ids: list[str]) -> frozenset[str]:
        """Return those of some people who have placements."""
        if resource not in PLACEMENTS_OF or not ids:
            return frozenset()
        home, field = PLACEMENTS_OF[resource]
        listing = _whole(search_of(self._requests.resource(home))(**{field: one_of(*ids)}))
        return frozenset([str(getattr(placement, field)).lower() async for placement in listing])

    async def _by_keys(self, resource: str, items: Sequence[Item]) -> None:
        """Find records by the keys of creates, or by their source ids: neither is to be there a second time."""
        keys = [cast("Key", item.key) for item in items]
        names = tuple(keys[0].spellings)
        source_ids = [item.source_id for item in items if item.source_id is not None]
        query = cast("type[SourcedQuery]", operations(RESOURCES[resource])["search"].body)
        search = search_of(self._requests.resource(resource))
        if SOURCE in names or not source_ids:
            listing = search(**conditions(keys))
        else:
            ours = ExternalQuery(source_id=one_of(*source_ids))
            listing = search(any_of=[query(**cast("dict[str, Any]", conditions(keys))), query(external=ours)])
        rows = await _whole(listing).all()
        found, by_source = Found(rows, [names]), {raw_source_id_of(row): row for row in rows}
        for item in items:
            same = found.of([cast("Key", item.key)])
            own = None if item.source_id is None else by_source.get(item.source_id)
            item.found = own or (same[0] if same else None)


def _whole(listing: Listing[DirectoryRecord]) -> Listing[DirectoryRecord]:
    return listing.paged(exact=True, strict=True)
