"""What takes several calls of the API to do: reading many, changing, and bulk; finding and upserting beside them.

Each of these is made of the operations of the same resource; none speaks to the API by itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, ClassVar, TypeVar, cast

from msgspec import UNSET

from .._listing.listing import at_most
from .._wire.validation import built, checked, checked_id, given_fields, strip_traceback, suggestion
from ..errors import ConflictError, IncompleteListing, NotFoundError
from ..query import one_of
from ..records import DirectoryRecord, Record, fields
from .bulk import Outcome, outcomes
from .comparison import is_changed
from .find import Find
from .operations import Create, Delete, Get, List, Resource, operations, search_of
from .upsert import Upsert, Upserted

__all__ = ["Deletable", "Find", "Readable", "Upsert", "Upserted", "Writable"]

T = TypeVar("T", bound=DirectoryRecord)

_CHUNK = 200
"""Ids asked for in one search at most: a body of less than 8 KiB is nobody's limit."""


class Readable(Resource[T]):
    """A resource whose records can be read: all of them can."""

    list: ClassVar[List]
    get: ClassVar[Get]

    async def get_many(self, ids: Iterable[str]) -> dict[str, T]:
        """Return the records with these ids, by the ids as given, in their order; what does not exist is absent.

        A searchable resource needs one request for as many ids as a page holds, up to 200; another one for each id.
        Several are under way at a time; the first failure is raised.
        """
        given = {id_: checked_id(id_) for id_ in ids}
        wanted = list(dict.fromkeys(given.values()))
        search, wire = operations(type(self)).get("search"), self._wire
        read = _got if search is None else _searched
        size = 1 if search is None else min(_CHUNK, wire.sizes.of(search.route(type(self))).rows)
        chunks = [wanted[start : start + size] for start in range(0, len(wanted), size)]
        found: dict[str, T] = {}
        async with aclosing(outcomes(chunks, partial(read, self), wire.concurrency)) as reading:
            async for outcome in reading:
                if outcome.error is not None:
                    raise outcome.error
                found |= outcome.record or {}
        return {id_: found[one] for id_, one in given.items() if one in found}


async def _got(resource: Readable[T], ids: list[str]) -> dict[str, T]:
    try:
        return {id_: await resource.get(id_) for id_ in ids}
    except NotFoundError:
        return {}


async def _searched(resource: Readable[T], ids: list[str]) -> dict[str, T]:
    """Return the records with these ids, asking again for those that a moving listing may have hidden."""
    found: dict[str, T] = {}
    missing: list[str] = ids
    search = search_of(resource)
    while missing:
        listing = at_most(search(id=one_of(*missing)), len(missing))
        rows = {record.id.lower(): record async for record in listing}
        found |= rows
        if listing.report.complete:
            break
        if not rows:
            raise IncompleteListing(f"{len(missing)} ids were asked for, and the answers do not say whether they exist")
        missing = [id_ for id_ in missing if id_ not in rows]
    return found


class Writable(Readable[T]):
    """A resource whose records can be created and updated."""

    @strip_traceback
    def modify(self, record: T, /, *, guard: bool = False, **changes: object) -> Coroutine[None, None, T]:
        """Change fields of a record: sends the fields that an update requires and the changes, nothing else.

        `guard=True` reads the record first and raises `ConflictError` when it was updated since `record` was read, or
        is not as `record` says: two updates within one second have the same stamp. The moment between that and the
        write stays unguarded, because the API has no conditional writes. Raises `TypeError` for a name that an update
        does not have, or a record of another kind, before any I/O.
        """
        if not isinstance(record, self.model):
            raise TypeError(f"{type(self).__name__}.modify takes a {self.model.__name__}, not {type(record).__name__}")
        body = cast("type[Record]", operations(type(self))["update"].body)
        declared = fields(body)
        changes = {name: value for name, value in changes.items() if value is not UNSET}
        for name in sorted(changes.keys() - {field.name for field in declared}):
            close = suggestion(name, (field.name for field in declared))
            raise TypeError(f"{type(self).__name__}.update has no field {name!r}{close}")
        write = {field.name: getattr(record, field.name) for field in declared if field.required} | changes
        checked(built(body, dict(write)))
        if not changes:
            return _given(record)
        # A function, not the fields: a traceback may be shown with the locals of its frames.
        return self._modified(record, lambda: _updating(self)(record.id, **write), guard=guard)

    async def _modified(self, record: T, update: Callable[[], Coroutine[None, None, T]], *, guard: bool) -> T:
        if guard:
            current = await self.get(record.id)
            if is_changed(record, current):
                raise ConflictError(f"record {record.id} was updated since it was read", status_code=409)
        return await update()

    def create_many(
        self,
        items: Iterable[Mapping[str, Any] | Record] | AsyncIterable[Mapping[str, Any] | Record],
        *,
        concurrency: int = 8,
    ) -> AsyncGenerator[Outcome[T], None]:
        """Create a record from each item, the fields of `create`; yield outcomes as they come, with the index."""
        create = strip_traceback(cast("Create[...]", operations(type(self))["create"]).calling(self, bulk=True))
        return outcomes(items, lambda item: create(**given_fields(item)), concurrency)

    def update_many(
        self,
        items: Iterable[tuple[str, Mapping[str, Any] | Record]] | AsyncIterable[tuple[str, Mapping[str, Any] | Record]],
        *,
        concurrency: int = 8,
    ) -> AsyncGenerator[Outcome[T], None]:
        """Update a record for each pair of an id and the fields of `update`; yield outcomes as they come."""
        update = _updating(self)
        return outcomes(items, lambda item: update(item[0], **given_fields(item[1])), concurrency)


def _updating(resource: Resource[T]) -> Callable[..., Coroutine[None, None, T]]:
    """Return `update` as `Writable` knows it: which fields it takes is known to the table of a resource alone."""
    update: Callable[..., Coroutine[None, None, T]] = cast("Any", resource).update
    return update


class Deletable(Writable[T]):
    """A resource whose records can be deleted, too."""

    delete: ClassVar[Delete]

    def delete_many(
        self, ids: Iterable[str] | AsyncIterable[str], *, concurrency: int = 8
    ) -> AsyncGenerator[Outcome[None], None]:
        """Delete the records with these ids; yield outcomes as they come, with the id's index."""
        return outcomes(ids, self.delete, concurrency)


async def _given(record: T) -> T:
    return record
