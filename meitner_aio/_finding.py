"""Calls about the one record that a condition or a key tells from all others: find it, and bring it up to date.

Made of the operations of a resource, and bound to it as they are.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Self, TypeVar, cast, overload
from weakref import WeakValueDictionary

from msgspec import Struct

from ._operations import Operation, Resource, operations
from ._recovery import differences
from ._values import built, checked
from .errors import ConflictError, MultipleFound, NotFoundError, UnprocessableEntityError
from .query import ExternalQuery, ResourceQuery
from .records import DirectoryRecord, Record, fields

T = TypeVar("T", bound=DirectoryRecord)
P = ParamSpec("P")

_Key = Literal["identity_number", "source_id"]

_RACES = 3
"""How often an upsert starts over because somebody else wrote the same record meanwhile."""


class Upserted(Struct, Generic[T], frozen=True):
    """What an upsert came to: the record as it is now, whether it was created, and whether anything was written."""

    record: T
    created: bool
    changed: bool


class _Face(Operation):
    """What a call made of several operations looks like: it is bound as an operation is, without being one."""

    def __init__(self, body: type[Record]) -> None:
        self.body = body

    def bind(self, resource: Resource[Any], call: Callable[..., Any]) -> Any:  # noqa: ANN401 - typed by __get__
        """Give the call its face, and keep it on the resource."""
        return self._bound(resource, call)


class _Finding(_Face):
    method = "POST"
    suffix = "/_search"
    summary = "Return the record that meets every condition, None when none does; `MultipleFound` when several do."


class _Upserting(_Face):
    method = "POST"
    summary = """Create a record with these fields, or update the one with the same key where it differs from them.

The key is "identity_number" or "source_id" (of `external`) and must be among the fields. Nothing is written when
nothing would change. Raises `ConflictError` when a field differs that can never change, `MultipleFound` when several
records have the key, and `ValueError` for a key that the fields do not hold, before any I/O."""

    def bind(self, resource: Resource[Any], call: Any) -> Any:  # noqa: ANN401 - as above
        """Show the key before the fields."""
        call = super().bind(resource, call)
        key = inspect.Parameter("key", inspect.Parameter.POSITIONAL_ONLY, annotation=_Key)
        call.__signature__ = call.__signature__.replace(parameters=[key, *call.__signature__.parameters.values()])
        return call


class Find(Generic[P]):
    """Find the single record that meets conditions."""

    def __init__(self, query: Callable[P, ResourceQuery]) -> None:
        self._face = _Finding(cast("type[ResourceQuery]", query))

    def __set_name__(self, owner: type, name: str) -> None:
        self._face.name = name

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self, resource: Resource[T], owner: object) -> Callable[P, Coroutine[None, None, T | None]]: ...
    def __get__(
        self, resource: Resource[T] | None, owner: object
    ) -> Self | Callable[P, Coroutine[None, None, T | None]]:
        """Bind to a resource."""
        if resource is None:
            return self
        kind, search = type(resource).__name__, cast("Any", resource).search

        def call(**conditions: Any) -> Coroutine[None, None, T | None]:  # noqa: ANN401 - typed by P
            return _single(search(**conditions), kind)

        return cast("Callable[P, Coroutine[None, None, T | None]]", self._face.bind(resource, call))


async def _single(listing: Any, kind: str) -> Any:  # noqa: ANN401 - a listing of whatever the resource holds
    page = await listing.paged(limit=2)
    if page.pagination.total > 1 or len(page) > 1:
        raise MultipleFound(f"{page.pagination.total} records of {kind} meet the conditions, where one was asked for")
    return page.data[0] if page.data else None


class Upsert(Generic[P]):
    """Create a record or bring the one that has the same key up to date."""

    def __init__(self, body: Callable[P, Record]) -> None:
        self._body = cast("type[Record]", body)
        self._face = _Upserting(self._body)

    def __set_name__(self, owner: type, name: str) -> None:
        self._face.name = name

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(
        self, resource: Resource[T], owner: object
    ) -> Callable[Concatenate[_Key, P], Coroutine[None, None, Upserted[T]]]: ...
    def __get__(self, resource: Resource[T] | None, owner: object) -> Any:
        """Bind to a resource."""
        if resource is None:
            return self
        create = self._body
        turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

        def call(key: str, /, **given: Any) -> Coroutine[None, None, Upserted[T]]:  # noqa: ANN401 - typed by P
            body = checked(built(create, given))
            turn = turns.setdefault((key, _value(key, body)), asyncio.Lock())
            return _in_turn(turn, partial(_upserted, resource, key, body))

        return self._face.bind(resource, call)


def _value(key: str, body: Record) -> str:
    """Return the value of a key."""
    if key == "source_id":
        external = getattr(body, "external", None)
        if not external:
            raise ValueError("upsert by source_id needs external=External(source_id=...)")
        return cast("str", external.source_id)
    if key != "identity_number" or key not in body.__struct_fields__:
        raise ValueError(f"{type(body).__name__} cannot be upserted by {key!r}")
    return cast("str", getattr(body, key))


def _conditions(key: str, body: Record) -> dict[str, Any]:
    """Return the search for the record that has the key; made anew for each call, so that no frame holds the value."""
    value = _value(key, body)
    return {"external": ExternalQuery(source_id=value)} if key == "source_id" else {key: value}


async def _in_turn(turn: asyncio.Lock, upserting: Callable[[], Coroutine[None, None, Upserted[T]]]) -> Upserted[T]:
    """Let one upsert of a key follow the other: those of this client never race."""
    async with turn:
        return await upserting()


async def _upserted(resource: Resource[T], key: str, body: Record, *, tries: int = _RACES) -> Upserted[T]:
    this: Any = resource
    found: T | None = await this.find(**_conditions(key, body))
    if found is None:
        try:
            made: T = await this.create(**given_fields(body))
        except (ConflictError, UnprocessableEntityError):
            found = await this.find(**_conditions(key, body))
            if found is None:
                raise  # nobody else was faster: the record itself is refused
        else:
            found = await _first(this, made, key, body) if key == "source_id" else made
            if found.id == made.id:
                return Upserted(made, created=True, changed=True)
    try:
        return await _up_to_date(resource, found, body)
    except NotFoundError:
        if tries == 1:
            raise
    return await _upserted(resource, key, body, tries=tries - 1)  # somebody deleted it meanwhile


async def _up_to_date(resource: Resource[T], found: T, body: Record) -> Upserted[T]:
    """Write where a record differs from the fields of a create, and nothing when it does not."""
    changed = list(differences(body, found))
    if not changed:
        return Upserted(found, created=False, changed=False)
    changeable = {field.name for field in fields(operations(type(resource))["update"].body or Record)}
    if fixed := sorted(set(changed) - changeable):
        raise ConflictError(f"{', '.join(fixed)} of record {found.id} differ and can never change", status_code=409)
    modified: T = await cast("Any", resource).modify(found, **differences(body, found))
    return Upserted(modified, created=False, changed=True)


async def _first(resource: Any, made: T, key: str, body: Record) -> T:  # noqa: ANN401
    """Return the oldest record with a key that the server does not keep unique; delete ours when it is another."""
    same: list[T] = await resource.search(**_conditions(key, body)).all()
    first = min([made, *same], key=_age)
    if first.id != made.id:
        if not hasattr(resource, "delete"):
            raise ConflictError(
                f"somebody else created record {first.id} with the same key as record {made.id} at the same time, "
                "and neither can be deleted",
                status_code=409,
            )
        await resource.delete(made.id)
    return first


def _age(record: DirectoryRecord) -> tuple[float, str]:
    return record.meta.created_at.timestamp() if record.meta else 0.0, record.id


def given_fields(item: Mapping[str, Any] | Record) -> dict[str, Any]:
    """Return what a write says as the keywords of a call."""
    if isinstance(item, Record):
        return {name: getattr(item, name) for name in item.__struct_fields__}
    return dict(item)
