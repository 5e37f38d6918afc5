"""How a record is looked up by its key, after the answer to its create was lost."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from .._listing.listing import Listing
from .._listing.source import PageRequest, Source
from .._wire.decoding import DecodedPage
from ..errors import IncompleteListing
from ..records import Pagination, Record
from .keys import Key, conditions, values_in

T = TypeVar("T", bound=Record)

Look: TypeAlias = Callable[[Key], Coroutine[None, None, DecodedPage[T]]]
"""Returns the records that have a key."""

SAME_KEY = 50
"""Records with the same key that are read at most: the API's default page."""


async def no_look(_key: Key) -> DecodedPage[Any]:
    """Find nothing: what is asked where nothing identifies a record, which is never."""
    return DecodedPage([], Pagination(offset=0, limit=SAME_KEY, total=0))


def by_search(search: Callable[[dict[str, object]], Source[T]]) -> Look[T]:
    """Return a look-up by a search for the conditions."""

    async def look(key: Key) -> DecodedPage[T]:
        return await search(conditions([key])).fetch(PageRequest(SAME_KEY, 0))

    return look


def by_listing(listed: Callable[[], Listing[T]]) -> Look[T]:
    """Return a look-up in a whole listing, where an API has no search: as many requests as it has pages.

    A listing that moved while it was read may lack the record: `IncompleteListing`, which proves nothing.
    """

    async def look(key: Key) -> DecodedPage[T]:
        listing, found = listed(), list[T]()
        async for record in listing:
            values = values_in(record, tuple(key.spellings))
            if all(value in forms for value, forms in zip(values, key.spellings.values(), strict=True)):
                found.append(record)
        if listing.report.level == "unverified" and not found:
            raise IncompleteListing("the listing changed while a record was looked up in it")
        return DecodedPage(found, Pagination(offset=0, limit=SAME_KEY, total=len(found)))

    return look
