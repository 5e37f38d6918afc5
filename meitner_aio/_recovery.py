"""Creates whose answer was lost: looked up by their key before anything is sent again.

A key is what the server keeps unique (an identity number, a title within a school), or else the record's id in another
system, of which nobody promises that it is unique: then a second create waits until a late one must have shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

from msgspec import UNSET, Struct

from ._reading import Fetched
from ._values import is_id
from .errors import AmbiguousWriteError, ConflictError, MeitnerError, UnprocessableEntityError
from .records import DirectoryRecord, Record, fields, wire_name

T = TypeVar("T", bound=DirectoryRecord)

_LOOKS = (0.5, 2.0, 5.0, 10.0)
"""Seconds to wait before each look: a create may be committed after its answer was lost."""

_LATEST = 60.0
"""Seconds after the loss by which a create must have shown."""

_SLACK = 120.0
"""Seconds that a record may be older than the create by the clocks, and still be the one that it made."""

_SENDS, _SENDS_NOT_UNIQUE = 3, 2
"""How often a create is sent at most, each time after looking in vain; a policy may allow less."""


class Key(Struct, frozen=True):
    """What tells a record from all others: fields of the body, and whether the server keeps them unique.

    Without values, nothing does.
    """

    values: dict[str, Any]
    unique: bool

    def filter(self) -> dict[str, Any]:
        """Return the API's filter for records with this key."""
        values = {wire_name(name): value for name, value in self.values.items()}
        return {"equals": values if self.unique else {"external": values}, "orCondition": False}

    def __repr__(self) -> str:
        return f"Key({', '.join(self.values)})"

    def __rich_repr__(self) -> Any:  # noqa: ANN401 - rich's own protocol; the values are personal
        yield from self.values


NO_KEY = Key({}, unique=False)


def key_of(body: Record, unique: tuple[str, ...]) -> Key:
    """Return the key of what is to be created; `NO_KEY` when nothing tells it from others."""
    if unique:
        return Key({name: getattr(body, name) for name in unique}, unique=True)
    external = getattr(body, "external", UNSET)
    return NO_KEY if external is UNSET else Key({"source_id": external.source_id}, unique=False)


def _given(body: Record) -> Iterator[tuple[str, object]]:
    return ((name, value) for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET)


def differences(body: Record, record: Record) -> dict[str, Any]:
    """Return the fields of a write that a record does not have as the write says, by name with the written values.

    The case of ids and the order of lists mean nothing: the server keeps neither.
    """
    return {name: value for name, value in _given(body) if not _agrees(value, getattr(record, name, None))}


def _agrees(written: object, kept: object) -> bool:
    if isinstance(written, Record):
        return _is_empty(written) if kept is None else isinstance(kept, Record) and not differences(written, kept)
    if isinstance(written, Sequence) and not isinstance(written, str):
        return _ids(cast("Sequence[str]", written)) == _ids(cast("Sequence[str] | None", kept) or ())
    return bool(_exact(written) == _exact(kept))


def _is_empty(written: Record) -> bool:
    """Whether a nested record says nothing: a server may keep none at all."""
    return all(value is None for _, value in _given(written))


def _ids(values: Sequence[str]) -> list[str]:
    return sorted(map(_exact, values))


def _exact(value: Any) -> Any:  # noqa: ANN401 - any value of a field
    return value.lower() if isinstance(value, str) and is_id(value) else value


def _may_have_made(body: Record, record: Record) -> bool:
    """Whether a create may have made a record: servers tidy texts and complete lists, and it is still the same one."""
    return all(_survives(value, getattr(record, name, None)) for name, value in _given(body))


def _survives(written: object, kept: object) -> bool:
    if isinstance(written, Record):
        return _is_empty(written) if kept is None else isinstance(kept, Record) and _may_have_made(written, kept)
    if isinstance(written, Sequence) and not isinstance(written, str):
        return set(map(_tidy, cast("Sequence[object]", written))) <= set(map(_tidy, cast("list[object]", kept or [])))
    return bool(_tidy(written) == _tidy(kept))


def _tidy(value: Any) -> Any:  # noqa: ANN401 - any value of a field
    return " ".join(value.casefold().split()) if isinstance(value, str) else "" if value is None else value


class Recovery(Generic[T]):
    """One create, sent until it is known to have happened once, or as far as its key can tell."""

    def __init__(
        self,
        key: Key,
        body: Record,
        *,
        send: Callable[[], Coroutine[Any, Any, T]],
        look: Callable[[Key], Coroutine[Any, Any, Fetched[T]]],
    ) -> None:
        """Create with `send`, look for records with the key with `look`."""
        self._key = key
        self._body = body
        self._send = send
        self._look = look
        self._began = self._lost_at = 0.0
        self._lost: AmbiguousWriteError | None = None
        self._attempts = 0

    async def create(self) -> T:
        """Return the record; raises what the create raised when it is known not to have happened.

        Raises `ConflictError` when another record has the key, and `AmbiguousWriteError` when looking settles nothing.
        """
        self._began = _now()
        sends, most = 0, _SENDS if self._key.unique else _SENDS_NOT_UNIQUE
        while sends < (most if self._lost is None else min(most, self._lost.max_sends)):
            sends += 1
            refusal: MeitnerError | None = None
            try:
                return await self._send()
            except AmbiguousWriteError as error:
                self._lose(error)
            except MeitnerError as error:
                if self._lost is None:
                    raise
                refusal = error
            if not self._key.values:
                break
            found = await self._looked()
            if found is not None:
                return found
            if isinstance(refusal, (ConflictError, UnprocessableEntityError)):
                raise refusal  # it would have been refused before, too
            if refusal is not None:
                break
        raise self._ambiguous("nothing was found so far" if self._key.values else "no key tells it from others")

    def _lose(self, error: AmbiguousWriteError) -> None:
        # Time runs from here: the create may have waited for its turn, however long, before it left.
        self._lost, self._lost_at = error, _now()
        self._attempts += error.attempts or 1

    async def _looked(self) -> T | None:
        """Look again and again, as long as a lost create may still show; None when it is known not to have happened.

        With a unique key that is early: a second create does no harm, the server refuses one of the two.
        """
        rows: list[T] = []
        unsettled = ""
        for pause in self._pauses():
            if self._too_late(pause):
                raise self._ambiguous("the deadline of the call leaves no time to look")
            await asyncio.sleep(pause)
            try:
                answer = await self._look(self._key)
            except MeitnerError as error:
                unsettled = f"looking for it failed, {type(error).__name__}"
                continue
            rows = answer.rows
            unsettled = "too many records have the same" if answer.pagination.total > len(rows) else ""
            for record in rows:
                if _may_have_made(self._body, record) and self._is_recent(record, answer.server_time):
                    return record
            if rows and self._key.unique:
                break
        if unsettled:
            raise self._ambiguous(unsettled)
        if rows:
            raise self._conflict(rows[0].id)
        return None

    def _too_late(self, pause: float) -> bool:
        ends = None if self._lost is None else self._lost.deadline
        return ends is not None and _now() + pause >= ends

    def _pauses(self) -> Iterator[float]:
        yield from _LOOKS
        if not self._key.unique:
            yield max(0.0, self._lost_at + _LATEST - _now())

    def _is_recent(self, record: T, server_time: float | None) -> bool:
        if record.meta is None or server_time is None:
            return True
        return server_time - record.meta.created_at.timestamp() <= _now() - self._began + _SLACK

    def _conflict(self, other: str) -> ConflictError:
        return ConflictError(
            f"another record has the same {' and '.join(self._key.values)}: {other}",
            status_code=409,
            **self._facts(),
        )

    def _ambiguous(self, why: str) -> AmbiguousWriteError:
        """Return the error of a create that nobody can tell of: what to look up, by name and never by value."""
        names = list(self._key.values) or [field.name for field in fields(type(self._body)) if field.required]
        what = "" if self._lost is None else self._lost.message
        return AmbiguousWriteError(f"{what}, by {' and '.join(names)} ({why})", **self._facts())

    def _facts(self) -> dict[str, Any]:
        lost = self._lost
        return {
            "method": None if lost is None else lost.method,
            "route": None if lost is None else lost.route,
            "request_id": None if lost is None else lost.request_id,
            "attempts": self._attempts,
        }


def _now() -> float:
    return asyncio.get_running_loop().time()
