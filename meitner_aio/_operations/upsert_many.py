"""Upserting many records: one search for the keys of a whole chunk, and writes only where something differs."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from contextlib import aclosing, suppress
from itertools import product
from typing import Any, Generic, Protocol, Self, TypeVar, overload

from msgspec import UNSET, UnsetType

from .._wire.validation import check_whole, given_fields, strip_traceback
from ..errors import APIStatusError, MeitnerError
from ..records import DirectoryRecord, Record
from .bulk import Outcome, chunks, outcomes
from .keys import Key, KeyName, values_in
from .operations import CallSignature, Resource
from .upsert import Upsert, Upserted, Upserting, UpsertItem

T = TypeVar("T", bound=DirectoryRecord)
K = TypeVar("K", bound=KeyName)
K_contra = TypeVar("K_contra", bound=KeyName, contravariant=True)

Items = Iterable[Mapping[str, Any] | Record] | AsyncIterable[Mapping[str, Any] | Record]
"""What is created or brought up to date: fields as mappings, or bodies of a create."""

_Chunk = list[tuple[int, Mapping[str, Any] | Record]]
"""Some of them, each with its place."""

_CHUNK = 500
"""Records looked for in one search: a page of the answer may hold them all, and a body of 20 KiB is nobody's limit."""

_REFUSED = (400, 413, 422)
"""How a search is refused that asks for too much, or for a value that means nothing to the server."""


class _Item(Generic[T]):
    """One of many: its place, what it asks for, and what is known of the record with its key."""

    __slots__ = ("asked", "error", "followed", "found", "index", "previous", "record")

    def __init__(self, index: int, asked: UpsertItem) -> None:
        self.index = index
        self.asked = asked
        self.error: MeitnerError | None = None
        """Why the record could not be found."""
        self.found: T | None | UnsetType = UNSET
        self.previous: _Item[T] | None = None
        """The one before it in the chunk that has the same key."""
        self.followed = False
        self.record: T | None = None
        """What was made of it."""

    def known(self) -> T | None | UnsetType:
        """Return what is known of the record when it is this item's turn."""
        if self.previous is None:
            return self.found
        return UNSET if self.previous.record is None else self.previous.record

    @property
    def open(self) -> bool:
        """Whether a record created for it may turn out to be a second one, which one search for many will tell."""
        return not (self.asked.key.unique or self.followed)


class _Found(Generic[T]):
    """Records by the values that they have in the fields of a key."""

    def __init__(self, rows: list[T], names: tuple[str, ...]) -> None:
        self._rows = rows
        self._by: dict[tuple[str | None, ...], list[T]] = {}
        for row in rows:
            self._by.setdefault(values_in(row, names), []).append(row)

    def of(self, key: Key) -> list[T]:
        """Return the records that have a key, in whichever of its spellings."""
        return [row for spelled in product(*key.spellings.values()) for row in self._by.get(spelled, ())]

    def __len__(self) -> int:
        return len(self._rows)


class _Many(Generic[T]):
    """The upserts of one call."""

    def __init__(self, upserting: Upserting[T], key: KeyName, concurrency: int) -> None:
        self._upserting = upserting
        self._create = strip_traceback(upserting.creating(bulk=True))
        self._key = key
        self._names = key if isinstance(key, tuple) else (key,)
        self._concurrency = concurrency

    async def outcomes(self, items: Items) -> AsyncGenerator[Outcome[Upserted[T]], None]:
        """Yield the outcomes of one chunk after the other; the next one is taken when they were consumed."""
        async with aclosing(chunks(items, _CHUNK)) as taking:
            async for chunk in taking:
                async with aclosing(self._chunk(chunk)) as done:
                    async for outcome in done:
                        yield outcome

    async def _chunk(self, chunk: _Chunk) -> AsyncGenerator[Outcome[Upserted[T]], None]:
        items, refused = self._read(chunk)
        await self._look_up([item for item in items if item.previous is None])
        for outcome in refused:
            yield outcome
        for item in items:
            if item.error is not None:  # one of its own for each: raising adds to a traceback
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
        """Return the items of a chunk, those with the same key linked in their order, and outcomes for what is none."""
        items: list[_Item[T]] = []
        refused: list[Outcome[Upserted[T]]] = []
        latest: dict[tuple[str, ...], _Item[T]] = {}
        for index, given in chunk:
            try:
                item = _Item[T](index, self._upserting.asked(self._key, given_fields(given)))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with an item is that item's outcome
                refused.append(Outcome(index, None, error.with_traceback(None)))  # its frames hold the item
                continue
            identity = item.asked.key.identity
            item.previous = latest.get(identity)
            if item.previous is not None:
                item.previous.followed = True
            latest[identity] = item
            items.append(item)
        return items, refused

    async def _look_up(self, items: list[_Item[T]]) -> None:
        """Find the records of items whose keys differ; a search that one of them spoils is made again in halves."""
        if not items:
            return
        listing = self._upserting.search([item.asked.key for item in items])
        try:
            found = _Found[T](await listing.all(), self._names)
        except MeitnerError as error:
            if len(items) > 1 and isinstance(error, APIStatusError) and error.status_code in _REFUSED:
                await self._look_up(items[: len(items) // 2])
                await self._look_up(items[len(items) // 2 :])
                return
            for item in items:
                item.error = error
        else:
            self._share(found, items, whole=listing.report.complete)

    def _share(self, found: _Found[T], items: list[_Item[T]], *, whole: bool) -> None:
        """Give each item its record. That there is none is believed only where nothing speaks against it.

        A second create of a unique key does no harm. For any other, the search must have been whole, and the server
        must not have compared text in a way of its own: then there are records that no item recognises.
        """
        recognised: set[str] = set()
        for item in items:
            rows = found.of(item.asked.key)
            recognised.update(row.id for row in rows)
            try:
                item.found = self._upserting.chosen(rows, item.asked)
            except MeitnerError as error:
                item.error = error
        strangers = len(recognised) < len(found)
        for item in items:
            key = item.asked.key
            if item.found is None and not key.unique and (not whole or (strangers and not key.several)):
                item.found = UNSET

    async def _write(self, item: _Item[T]) -> Upserted[T]:
        done = await self._upserting.upsert(item.asked, self._create, item.known, settle=not item.open)
        item.record = done.record
        return done

    async def _settled(self, made: list[tuple[_Item[T], T]]) -> AsyncGenerator[Outcome[Upserted[T]], None]:
        """Yield the outcomes of created records whose key is not unique, after looking for others with the same.

        When nobody can tell they stand: that they were created is certain.
        """
        found = _Found[T]([], self._names)
        if made:
            with suppress(MeitnerError):
                found = _Found(await self._upserting.search([item.asked.key for item, _ in made]).all(), self._names)

        async def settle(one: tuple[_Item[T], T]) -> Upserted[T]:
            item, record = one
            return await self._upserting.settle(record, item.asked, found.of(item.asked.key))

        async with aclosing(outcomes(made, settle, self._concurrency)) as settling:
            async for outcome in settling:
                yield Outcome(made[outcome.index][0].index, outcome.record, outcome.error)


class UpsertManyCall(Protocol[K_contra, T]):
    """The type of `resource.upsert_many`."""

    def __call__(
        self, key: K_contra, items: Items, *, concurrency: int = 8
    ) -> AsyncGenerator[Outcome[Upserted[T]], None]:
        """Upsert a record for each item; yield outcomes as they come."""
        ...


class _UpsertManyFace(CallSignature):
    method = "POST"
    summary = """Upsert a record for each item, the fields of `create`; yield outcomes as they come, with the index.

The records with the keys of 500 items are looked for by one search: what does not change costs no request of its own.
Items with the same key are done one after the other, in their order; one that fails stops no other. `outcome.record` is
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

        def call(key: K, items: Items, *, concurrency: int = 8) -> AsyncGenerator[Outcome[Upserted[T]], None]:
            upserting.check(key)
            check_whole("concurrency", concurrency, 1)
            return _Many(upserting, key, concurrency).outcomes(items)

        bound: UpsertManyCall[K, T] = self._face.bind(resource, call)
        return bound
