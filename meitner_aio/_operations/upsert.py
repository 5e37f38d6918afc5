"""`upsert`: create a record, or update the one that has the same key.

Built from the operations of a resource, and bound like them. Where the server does not keep a key unique, two clients
may create the same record at once: the later one notices, and deletes its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Protocol, Self, TypeVar, Union, cast, overload

from msgspec import UNSET, Struct, UnsetType

from .._listing.listing import Listing
from .._runtime.coroutines import Coroutine
from .._wire.validation import built, checked, given_fields
from ..errors import ConflictError, MultipleFound, NotFoundError, UnprocessableEntityError
from ..query import ResourceQuery
from ..records import DirectoryRecord, Record, fields
from .comparison import differences
from .keys import SOURCE, Found, Key, KeyName, Keys, Several, conditions, key_of
from .operations import SAME_KEY, CallSignature, Resource, operations, search_of
from .turns import Turns
from .writes import Create

T = TypeVar("T", bound=DirectoryRecord)
K = TypeVar("K", bound=KeyName)
P = ParamSpec("P")

_RACES = 3
"""How often an upsert is tried while others keep deleting the record."""


class Upserted(Struct, Generic[T], frozen=True):
    """The result of an upsert: the record as it is now, whether it was created, and whether anything was written."""

    record: T
    created: bool
    changed: bool


class UpsertItem(Struct, frozen=True, gc=False):
    """The input of an upsert: the fields of a create, and the keys in them."""

    body: Record
    keys: tuple[Key, ...]

    @property
    def unique(self) -> bool:
        """Whether the server refuses a second record like it."""
        return any(key.unique for key in self.keys)

    @property
    def identities(self) -> tuple[tuple[str, ...], ...]:
        """Values of which two items share one when they have a key in common."""
        return tuple((*key.names, *key.identity) for key in self.keys)


class _Writes(Protocol[T]):
    """What an upsert calls of a resource."""

    @property
    def create(self) -> Callable[..., Coroutine[None, None, T]]: ...
    def modify(self, record: T, /, **changes: object) -> Coroutine[None, None, T]: ...
    def delete(self, id: str, /) -> Coroutine[None, None, None]: ...


class Upserting(Generic[T]):
    """The upserts of one resource. Those with the same key take turns, so that a client never races with itself."""

    def __init__(self, resource: Resource[T], body: type[Record], keys: tuple[KeyName, ...]) -> None:
        """`body` has the fields of a create; `keys` are those by which it can be upserted."""
        table = operations(type(resource))
        self._resource = resource
        self._writes = cast("_Writes[T]", resource)
        self._kind = type(resource).__name__
        self._body = body
        self._keys = keys
        self._create = cast("Create[...]", table["create"])
        self._query = cast("Callable[..., ResourceQuery]", table["search"].body)
        self._changeable = {field.name for field in fields(table["update"].body or Record)}
        self._turns = Turns()

    def keys(self, key: object) -> tuple[KeyName, ...]:
        """Return the keys that a caller names, one or several; `ValueError` for one that the resource does not have."""
        if key in self._keys:
            return (cast("KeyName", key),)
        several = cast("tuple[object, ...]", key) if isinstance(key, tuple) else ()
        if len(several) > 1 and all(several.count(one) == 1 and one in self._keys for one in several):
            return cast("tuple[KeyName, ...]", several)
        known = {"identity_number", SOURCE, *(field.name for field in fields(self._body))}
        names = cast("tuple[object, ...]", key) if isinstance(key, tuple) else (key,)
        # Any other text may be a misplaced value, and personal.
        named = f"{key!r}" if all(isinstance(name, str) and name in known for name in names) else "this key"
        keys = " or ".join(map(repr, self._keys)) + (
            ", or by several of these in a tuple" if len(self._keys) > 1 else ""
        )
        raise ValueError(f"{self._body.__name__} cannot be upserted by {named}, only by {keys}")

    def asked(self, keys: Sequence[KeyName], given: dict[str, object]) -> UpsertItem:
        """Return an upsert's input; `TypeError` or `ValueError` for fields that `create` refuses or without a key."""
        body = checked(built(self._body, given))
        if SOURCE in keys and getattr(body, "external", UNSET) is UNSET:
            raise ValueError("upsert by source_id needs external=External(source_id=...)")
        return UpsertItem(body, tuple(self._key(body, key) for key in keys))

    def _key(self, body: Record, key: KeyName) -> Key:
        names = key if isinstance(key, tuple) else (key,)
        natural, unique = names == self._create.key, self._create.unique
        return key_of(body, names, unique=natural and unique, several=natural and not unique)

    def creating(self, *, bulk: bool) -> Callable[..., Coroutine[None, None, T]]:
        """Return the call that creates a record, alone or as one of many."""
        return self._create.calling(self._resource, bulk=bulk)

    async def upsert(
        self,
        asked: UpsertItem,
        create: Callable[..., Coroutine[None, None, T]],
        known: Callable[[], T | None | UnsetType] = lambda: UNSET,
        *,
        settle: bool = True,
    ) -> Upserted[T]:
        """Upsert when no other upsert of this client with a key in common is running.

        `known` then returns the record with the key; UNSET means that it has to be looked up. After a create with a key
        that is not unique, `settle=True` checks whether others created the same record.
        """
        async with self._turns.take(asked.identities):
            found = known()
            for _ in range(_RACES - 1):
                try:
                    return await self._attempt(asked, create, found, settle=settle)
                except NotFoundError:
                    found = UNSET  # somebody deleted it meanwhile
            return await self._attempt(asked, create, found, settle=settle)

    async def _attempt(
        self,
        asked: UpsertItem,
        create: Callable[..., Coroutine[None, None, T]],
        found: T | None | UnsetType,
        *,
        settle: bool,
    ) -> Upserted[T]:
        if isinstance(found, UnsetType):
            found = await self._find(asked)
        if found is not None:
            return await self._up_to_date(found, asked.body)
        try:
            made = await create(**given_fields(asked.body))
        except (ConflictError, UnprocessableEntityError):
            found = await self._find(asked)
            if found is None:
                raise  # no other record has the key: the fields themselves are refused
            return await self._up_to_date(found, asked.body)
        if asked.unique or not settle:
            return Upserted(made, created=True, changed=True)
        return await self.settle(made, asked, await self.search([asked]).all())

    def search(self, items: Sequence[UpsertItem]) -> Listing[T]:
        """Return a listing of the records that have a key of one of these items; it may hold others, too."""
        search, several = search_of(self._resource), range(len(items[0].keys))
        if len(several) == 1:
            return search(**conditions([item.keys[0] for item in items]))
        return search(any_of=[self._query(**conditions([item.keys[place] for item in items])) for place in several])

    async def _find(self, asked: UpsertItem) -> T | None:
        page = await self.search([asked]).paged(limit=SAME_KEY)
        if page.pagination.total > len(page):
            raise self._several(page.pagination.total, asked.keys)
        return self.chosen(page.data, asked)

    def chosen(self, rows: list[T], asked: UpsertItem) -> T | None:
        """Return the record to update among those with one of the keys; raises `MultipleFound` if they name several."""
        if len(asked.keys) == 1:
            return self._of_key(rows, asked.keys[0], asked.body)
        named: dict[str, T] = {}
        seen: set[str] = set()
        for key in sorted(asked.keys, key=lambda key: key.several):
            same = Found(rows, [key.names]).of([key])
            seen.update(row.id for row in same)
            # Of the placements that share their ends, another key may have said which it is.
            if not (key.several and any(row.id in named for row in same)):
                one = self._of_key(same, key, asked.body)
                named |= {} if one is None else {one.id: one}
        # The server compares text in its own way: by one of the keys it knows these, too.
        named |= {row.id: row for row in rows if row.id not in seen}
        if len(named) > 1:
            raise self.conflicting(list(named), asked.keys)
        return next(iter(named.values()), None)

    def conflicting(self, ids: Sequence[str], keys: Sequence[Key]) -> MultipleFound:
        """Return the error for keys of one item that name different records."""
        named = f"name different records of {self._kind}: {', '.join(ids)}"
        return self._found(ids, f"the keys {_said(keys)} {named}, and nothing was written")

    def disputed(self, id: str, keys: Sequence[Key]) -> MultipleFound:
        """Return the error for several items that name one record by different keys."""
        return self._found([id], f"another item names record {id} by one of {_said(keys)}, too: neither was written")

    def _of_key(self, rows: list[T], key: Key, body: Record) -> T | None:
        """Return the record to update among those with the key; raises `MultipleFound` when that is not clear.

        Of placements that share their ends, it is the one that starts on the same day, else the one that is live. A
        placement that has ended is history: it is not turned into another.
        """
        if len(rows) < 2 and not (rows and key.several):
            return rows[0] if rows else None
        live = [row for row in rows if _is_live(row)] if key.several else rows
        if len(live) > 1:
            raise self._several(len(live), [key], live)
        start = getattr(body, "start_date", None)
        same = [row for row in rows if getattr(row, "start_date", None) == start]
        for one in (same, live):
            if len(one) == 1:
                return one[0]
        raise self._several(len(rows), [key], rows, "and have ended: modify one by its id, or create another")

    def _several(
        self, count: int, keys: Sequence[Key], rows: Sequence[T] = (), more: str = "so change one by its id"
    ) -> MultipleFound:
        same = " or ".join(" and ".join(key.names) for key in keys)
        return self._found([row.id for row in rows], f"{count} records of {self._kind} have the same {same}, {more}")

    def _found(self, ids: Sequence[str], message: str) -> MultipleFound:
        error = MultipleFound(message)
        error.ids = tuple(ids)
        return error

    async def _up_to_date(self, found: T, body: Record) -> Upserted[T]:
        """Update the fields in which a record differs from a create; write nothing if none does."""
        changed = list(differences(body, found))
        if not changed:
            return Upserted(found, created=False, changed=False)
        if fixed := sorted(set(changed) - self._changeable):
            raise ConflictError(f"record {found.id} differs in {', '.join(fixed)}, which never change", status_code=409)
        modified = await self._writes.modify(found, **differences(body, found))
        return Upserted(modified, created=False, changed=True)

    async def settle(self, made: T, asked: UpsertItem, same: list[T]) -> Upserted[T]:
        """Keep the oldest record with keys that the server does not keep unique; delete ours if another is older."""
        first = min([made, *same], key=_age)
        if first.id == made.id:
            return Upserted(made, created=True, changed=True)
        if not hasattr(self._resource, "delete"):
            raise ConflictError(
                f"somebody else created record {first.id} with the same key as record {made.id} at the same time, "
                "and neither can be deleted",
                status_code=409,
            )
        await self._writes.delete(made.id)
        return await self._up_to_date(first, asked.body)


def _said(keys: Sequence[Key]) -> str:
    """Return the fields of keys for a message."""
    return " and ".join(" with ".join(key.names) for key in keys)


def _age(record: DirectoryRecord) -> tuple[float, str]:
    return record.meta.created_at.timestamp() if record.meta else 0.0, record.id


def _is_live(placement: DirectoryRecord) -> bool:
    """Whether a placement is neither archived nor ended."""
    end: date | None = getattr(placement, "end_date", None)
    ended = end is not None and end < datetime.now(UTC).date()
    return not ended and getattr(placement, "archived_at", None) is None


class _UpsertFace(CallSignature):
    method = "POST"
    summary = """Create a record with these fields, or update the one with the same key where it differs.

The key is a field or a tuple of fields that identify such records, or "source_id" (of `external`), and must be among
the fields. A tuple of several keys finds the record that has any of them, in one search; if they name different
records, `MultipleFound` has their ids, and nothing is written. Text is compared as the server stores it. Nothing is
written if nothing would change. Of placements with the same ends, the one that starts on the same day is updated, else
the one that is live. Raises `ConflictError` if a field differs that cannot be changed, `MultipleFound` if several
records have the key, and, before any I/O, `ValueError` for a key that the resource does not have or that the fields
lack."""


class Upsert(Generic[P, K]):
    """Create a record, or update the one that has the same key."""

    def __init__(self, body: Callable[P, Record], keys: Keys[K]) -> None:
        """`body` has the fields of a create; `keys` are those to upsert by."""
        self._body = cast("type[Record]", body)
        self._keys = keys.names
        self._face = _UpsertFace(self._body)

    def __set_name__(self, owner: type, name: str) -> None:
        self._face.name = name

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(
        self, resource: Resource[T], owner: object
    ) -> Callable[Concatenate[K | Several[K], P], Coroutine[None, None, Upserted[T]]]: ...
    def __get__(
        self, resource: Resource[T] | None, owner: object
    ) -> Self | Callable[Concatenate[K | Several[K], P], Coroutine[None, None, Upserted[T]]]:
        """Bind to a resource."""
        if resource is None:
            return self
        upserting = self.upserting(resource)

        def call(key: K | Several[K], /, **given: object) -> Coroutine[None, None, Upserted[T]]:
            return upserting.upsert(upserting.asked(upserting.keys(key), given), cast("_Writes[T]", resource).create)

        key = inspect.Parameter("key", inspect.Parameter.POSITIONAL_ONLY, annotation=self.annotation)
        bound = self._face.bind(resource, call, first=key)
        return cast("Callable[Concatenate[K | Several[K], P], Coroutine[None, None, Upserted[T]]]", bound)

    def upserting(self, resource: Resource[T]) -> Upserting[T]:
        """Return the `Upserting` of a resource, which `upsert` and `upsert_many` share."""
        kept: Upserting[T] = vars(resource).setdefault(
            "_upserting", Upserting(resource, self._body, cast("tuple[KeyName, ...]", self._keys))
        )
        return kept

    @property
    def annotation(self) -> object:
        """The type of the key, for editors that read it from the bound call."""
        one, pair = cast("Any", Literal), cast("Any", tuple)
        pairs = [pair[tuple(one[name] for name in key)] for key in self._keys if not isinstance(key, str)]
        single = [one[tuple(key for key in self._keys if isinstance(key, str))], *pairs]
        several = [pair[Union[tuple(single)], ...]] if len(self._keys) > 1 else []  # noqa: UP007 - of a tuple
        return Union[tuple(single + several)]  # noqa: UP007 - of a tuple
