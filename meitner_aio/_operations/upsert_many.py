"""`upsert_many`: one search for the keys of a whole chunk, and writes only where something differs."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from contextlib import aclosing, suppress
from typing import Generic, Protocol, Self, TypeVar, overload

from msgspec import UNSET, UnsetType

from .._wire.validation import check_whole, given_fields, strip_traceback
from ..errors import APIStatusError, MeitnerError
from ..records import DirectoryRecord, Record
from .bulk import Outcome, chunks, outcomes
from .keys import Found, KeyName, Several
from .operations import CallSignature, Resource
from .upsert import Upsert, Upserted, Upserting, UpsertItem

T = TypeVar("T", bound=DirectoryRecord)
K = TypeVar("K", bound=KeyName)
K_contra = TypeVar("K_contra", bound=KeyName, contravariant=True)

Items = Iterable[Mapping[str, object] | Record] | AsyncIterable[Mapping[str, object] | Record]
"""What to upsert: the fields of a create, as mappings or as records."""

_Chunk = list[tuple[int, Mapping[str, object] | Record]]
"""Some items, each with its index."""

_CHUNK = 500
"""Keys in one search: a page may hold all of their records, and a body of 20 KiB is far below the usual limits."""

REFUSED_SEARCH = (400, 413, 422)
"""Statuses of a search that asks for too much, or for a value that the server cannot read."""


class _Item(Generic[T]):
    """One item: its index, its input, and what is known of the record with its key."""

    __slots__ = ("asked", "before", "error", "followed", "found", "index", "record")

    def __init__(self, index: int, asked: UpsertItem) -> None:
        self.index = index
        self.asked = asked
        self.error: MeitnerError | None = None
        """Why the record could not be looked up."""
        self.found: T | None | UnsetType = UNSET
        self.before: list[_Item[T]] = []
        """The previous items in the chunk with a key in common."""
        self.followed = False
        self.record: T | None = None
        """The record after the upsert."""

    def known(self) -> T | None | UnsetType:
        """Return what is known of the record when this item is processed."""
        if not self.before:
            return self.found
        alike = len(self.before) == 1 and self.before[0].asked.identities == self.asked.identities
        return self.before[0].record or UNSET if alike else UNSET

    @property
    def open(self) -> bool:
        """Whether a record created for it may be a duplicate, which one search for many items shows."""
        return not (self.asked.unique or self.followed)


class _Many(Generic[T]):
    """The upserts of one call of `upsert_many`."""

    def __init__(self, upserting: Upserting[T], keys: tuple[KeyName, ...], concurrency: int) -> None:
        self._upserting = upserting
        self._create = strip_traceback(upserting.creating(bulk=True))
        self._keys = keys
        self._fields = [key if isinstance(key, tuple) else (key,) for key in keys]
        self._concurrency = concurrency

    async def outcomes(self, items: Items) -> AsyncGenerator[Outcome[Upserted[T]], None]:
        """Yield the outcomes chunk by chunk; the next chunk is read when those of this one were consumed."""
        async with aclosing(chunks(items, _CHUNK // len(self._keys))) as taking:
            async for chunk in taking:
                async with aclosing(self._chunk(chunk)) as done:
                    async for outcome in done:
                        yield outcome

    async def _chunk(self, chunk: _Chunk) -> AsyncGenerator[Outcome[Upserted[T]], None]:
        items, refused = self._read(chunk)
        await self._look_up([item for item in items if not item.before])
        for outcome in refused:
            yield outcome
        for item in items:
            if item.error is not None:  # a copy each: raising extends a traceback
                yield Outcome(item.index, None, copy.copy(item.error).with_traceback(None))
        found = [item for item in items if item.error is None]
        made: list[tuple[_Item[T], T]] = []
        async with aclosing(outcomes(found, self._write, self._concurrency)) as writing:
            async for outcome in writing:
                item, done = found[outcome.index], outcome.record
                if done is not None and done.created and item.open:
                    made.append((item, done.record))
                else:
                    yield Outcome(item.index, done, outcome.error)
        async for outcome in self._settled(made):
            yield outcome

    def _read(self, chunk: _Chunk) -> tuple[list[_Item[T]], list[Outcome[Upserted[T]]]]:
        """Return the items of a chunk, linked where they have a key in common, and an outcome for each invalid one."""
        items: list[_Item[T]] = []
        refused: list[Outcome[Upserted[T]]] = []
        latest: dict[tuple[str, ...], _Item[T]] = {}
        for index, given in chunk:
            try:
                item = _Item[T](index, self._upserting.asked(self._keys, given_fields(given)))
            except Exception as error:  # noqa: BLE001 - any error of an item is its outcome
                refused.append(Outcome(index, None, error.with_traceback(None)))  # its frames hold the item
                continue
            item.before = list(dict.fromkeys(latest[name] for name in item.asked.identities if name in latest))
            for before in item.before:
                before.followed = True
            latest.update(dict.fromkeys(item.asked.identities, item))
            items.append(item)
        return items, refused

    async def _look_up(self, items: list[_Item[T]]) -> None:
        """Find the records of items whose keys differ. If one of them spoils the search, repeat it in halves."""
        if not items:
            return
        listing = self._upserting.search([item.asked for item in items])
        try:
            found = Found[T](await listing.all(), self._fields)
        except MeitnerError as error:
            if len(items) > 1 and isinstance(error, APIStatusError) and error.status_code in REFUSED_SEARCH:
                await self._look_up(items[: len(items) // 2])
                await self._look_up(items[len(items) // 2 :])
                return
            for item in items:
                item.error = error
        else:
            self._share(found, items, whole=listing.report.complete)

    def _share(self, found: Found[T], items: list[_Item[T]], *, whole: bool) -> None:
        """Give each item its record. It is taken to have none only where that is safe.

        For a unique key it always is: a second create does no harm. For any other, the search must have been complete,
        and every record found must match an item: otherwise the server compares text in its own way.
        """
        recognised: set[str] = set()
        users: dict[str, list[_Item[T]]] = {}
        for item in items:
            rows = found.of(item.asked.keys)
            recognised.update(row.id for row in rows)
            try:
                item.found = self._upserting.chosen(rows, item.asked)
            except MeitnerError as error:
                item.error = error
            if isinstance(item.found, DirectoryRecord):
                users.setdefault(item.found.id, []).append(item)
        for id_, same in users.items():
            for item in same if len(same) > 1 else ():  # by different keys: which of them is the record is not clear
                item.error = self._upserting.disputed(id_, item.asked.keys)
        strangers = len(recognised) < len(found)
        for item in items:
            keys = item.asked.keys
            unclear = not whole or (strangers and not all(key.several for key in keys))
            if item.found is None and unclear and not all(key.unique for key in keys):
                item.found = UNSET

    async def _write(self, item: _Item[T]) -> Upserted[T]:
        done = await self._upserting.upsert(item.asked, self._create, item.known, settle=not item.open)
        item.record = done.record
        return done

    async def _settled(self, made: list[tuple[_Item[T], T]]) -> AsyncGenerator[Outcome[Upserted[T]], None]:
        """Yield the outcomes of creates whose key is not unique, after searching for other records with the same key.

        If that search fails the records stay: it is certain that they were created.
        """
        found = Found[T]([], self._fields)
        if made:
            with suppress(MeitnerError):
                found = Found(await self._upserting.search([item.asked for item, _ in made]).all(), self._fields)

        async def settle(one: tuple[_Item[T], T]) -> Upserted[T]:
            item, record = one
            return await self._upserting.settle(record, item.asked, found.of(item.asked.keys))

        async with aclosing(outcomes(made, settle, self._concurrency)) as settling:
            async for outcome in settling:
                yield Outcome(made[outcome.index][0].index, outcome.record, outcome.error)


class UpsertManyCall(Protocol[K_contra, T]):
    """The type of `resource.upsert_many`."""

    def __call__(
        self, key: K_contra | Several[K_contra], items: Items, *, concurrency: int = 8
    ) -> AsyncGenerator[Outcome[Upserted[T]], None]:
        """Upsert a record for each item; yield each outcome when it is ready."""
        ...


class _UpsertManyFace(CallSignature):
    method = "POST"
    summary = """Upsert a record for each item, the fields of `create`; yield outcomes when ready, with the index.

One search looks for the keys of 500 items: an item that changes nothing costs no request of its own. Items with the
same key are processed one after the other, in their order; an item that fails stops no other. `outcome.record` is
an `Upserted`: the record, whether it was created, and whether anything was written."""


class UpsertMany(Generic[K]):
    """Upsert many records."""

    def __init__(self, upsert: Upsert[..., K]) -> None:
        """Do for many what `upsert` does for one."""
        self._upsert = upsert
        self._face = _UpsertManyFace()

    def __set_name__(self, owner: type, name: str) -> None:
        self._face.name = name

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self, resource: Resource[T], owner: object) -> UpsertManyCall[K, T]: ...
    def __get__(self, resource: Resource[T] | None, owner: object) -> Self | UpsertManyCall[K, T]:
        """Bind to a resource."""
        if resource is None:
            return self
        upserting = self._upsert.upserting(resource)

        def call(
            key: K | Several[K], items: Items, *, concurrency: int = 8
        ) -> AsyncGenerator[Outcome[Upserted[T]], None]:
            keys = upserting.keys(key)
            check_whole("concurrency", concurrency, 1)
            return _Many(upserting, keys, concurrency).outcomes(items)

        bound: UpsertManyCall[K, T] = self._face.bind(resource, call)
        return bound
