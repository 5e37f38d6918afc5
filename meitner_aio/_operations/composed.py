"""Operations of several requests: `get_many`, `modify` and bulk writes; `find` and `upsert` are built beside them.

Each is built from the operations of the same resource and sends nothing by itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from typing import ClassVar, Protocol, TypeVar, cast

from msgspec import UNSET

from .._listing.listing import at_most
from .._wire.validation import built, checked, checked_id, given_fields, strip_traceback, suggestion
from ..errors import ConflictError, IncompleteListing, NotFoundError
from ..query import one_of
from ..records import DirectoryRecord, Record, fields
from .bulk import Outcome, outcomes
from .comparison import is_changed
from .find import Find
from .operations import Get, List, Resource, operations, search_of
from .upsert import Upsert, Upserted
from .writes import Create, Delete

__all__ = ["Deletable", "Find", "Readable", "Upsert", "Upserted", "Writable"]

T = TypeVar("T", bound=DirectoryRecord)
T_co = TypeVar("T_co", bound=DirectoryRecord, covariant=True)

Fields = Mapping[str, object] | Record
"""The fields of a write: a mapping, or a record."""

_CHUNK = 200
"""Ids in one search, at most: its body then has less than 8 KiB, which is far below the usual limits."""


class Readable(Resource[T]):
    """A resource whose records can be read. Every resource is one."""

    list: ClassVar[List[None]]
    get: ClassVar[Get[None]]

    async def get_many(self, ids: Iterable[str]) -> dict[str, T]:
        """Return the records with these ids, by the ids as given and in their order; missing records are left out.

        A searchable resource needs one request for as many ids as a page holds (at most 200), any other resource one
        for each id. Several requests run at a time; the first error is raised.
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
    """Return the records with these ids; ids that a moving listing may have hidden are searched again."""
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
            raise IncompleteListing(f"the server does not show whether {len(missing)} of the ids exist: try again")
        missing = [id_ for id_ in missing if id_ not in rows]
    return found


class Writable(Readable[T]):
    """A resource whose records can be created and updated."""

    @strip_traceback
    def modify(self, record: T, /, *, guard: bool = False, **changes: object) -> Coroutine[None, None, T]:
        """Change fields of a record. Sends the fields that an update requires and the changes, nothing else.

        `guard=True` reads the record first and raises `ConflictError` if it was updated since `record` was read, or if
        any field differs: two updates within one second have the same timestamp. A write between that read and the
        update goes unnoticed, because the API has no conditional writes. Raises `TypeError` before any I/O for a field
        that `update` does not have, or for a record of another resource.
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
        # A closure, not the fields: crash reports may show the locals of a traceback's frames.
        return self._modified(record, lambda: _updating(self)(record.id, **write), guard=guard)

    async def _modified(self, record: T, update: Callable[[], Coroutine[None, None, T]], *, guard: bool) -> T:
        if guard:
            current = await self.get(record.id)
            if is_changed(record, current):
                raise ConflictError(
                    f"record {record.id} was updated since it was read: read it again, then change it", status_code=409
                )
        return await update()

    def create_many(
        self,
        items: Iterable[Fields] | AsyncIterable[Fields],
        *,
        concurrency: int = 8,
    ) -> AsyncGenerator[Outcome[T], None]:
        """Create a record from each item, the fields of `create`; yield outcomes when ready, with the index."""
        create = strip_traceback(cast("Create[...]", operations(type(self))["create"]).calling(self, bulk=True))
        return outcomes(items, lambda item: create(**given_fields(item)), concurrency)

    def update_many(
        self,
        items: Iterable[tuple[str, Fields]] | AsyncIterable[tuple[str, Fields]],
        *,
        concurrency: int = 8,
    ) -> AsyncGenerator[Outcome[T], None]:
        """Update a record for each pair of an id and the fields of `update`; yield each outcome when it is ready."""
        update = _updating(self)
        return outcomes(items, lambda item: update(item[0], **given_fields(item[1])), concurrency)


class _Updates(Protocol[T_co]):
    @property
    def update(self) -> Callable[..., Coroutine[None, None, T_co]]: ...


def _updating(resource: Resource[T]) -> Callable[..., Coroutine[None, None, T]]:
    """Return `update`, typed to take any fields: only the resource's own class knows which it takes."""
    return cast("_Updates[T]", resource).update


class Deletable(Writable[T]):
    """A resource whose records can also be deleted."""

    delete: ClassVar[Delete]

    def delete_many(
        self, ids: Iterable[str] | AsyncIterable[str], *, concurrency: int = 8
    ) -> AsyncGenerator[Outcome[None], None]:
        """Delete the records with these ids; yield each outcome when it is ready, with the index of its id."""
        return outcomes(ids, self.delete, concurrency)


async def _given(record: T) -> T:
    return record
