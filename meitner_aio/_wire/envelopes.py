"""The envelope of a listing's pages: where the rows are and what the page says of itself. Pure.

The API has one, which is decoded at once (`Envelope`). That of another API is declared with a `Paging`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import permutations
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from ..records import Pagination

T_co = TypeVar("T_co", covariant=True)

Opened: TypeAlias = tuple[list[Any] | None, Pagination]
"""The rows of a page, and which part of the listing it is."""

Opener: TypeAlias = Callable[[bytes, int, int], Opened]
"""Opens the body of a page that was asked for by limit and offset."""


class Decoder(Protocol[T_co]):
    """Decodes a body, as msgspec's own decoders do."""

    def decode(self, body: bytes, /) -> T_co:
        """Decode a body, or raise one of `FOREIGN`."""
        ...


_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PATH = re.compile(rf"{_NAME.pattern}(?:\.{_NAME.pattern})*")


class Paging(Struct, frozen=True, kw_only=True):
    """How an API pages its listings. The defaults are those of the Directory API.

    `items` and `total` say where in an answer the rows and their number are, `limit` and `offset` are the parameters
    that ask for a page. An envelope that tells its limit and offset, under these names beside the total, is held to
    them. Raises `ValueError` for a name that is none.
    """

    items: str = "data"
    total: str = "pagination.total"
    limit: str = "limit"
    offset: str = "offset"

    def __post_init__(self) -> None:
        """Check the names."""
        for field, pattern in (("items", _PATH), ("total", _PATH), ("limit", _NAME), ("offset", _NAME)):
            name: object = getattr(self, field)
            if not isinstance(name, str) or not pattern.fullmatch(name):
                raise ValueError(
                    f"{field} of a Paging must be a name, or for items and total a path such as page.total"
                )
        places = [self.items, *self.facts.values()]
        if any(f"{other}.".startswith(f"{one}.") for one, other in permutations(places, 2)):
            raise ValueError(
                "items, total, limit and offset of a Paging must be different names, and none may lead through another"
            )

    @property
    def facts(self) -> dict[str, str]:
        """Where an envelope tells the total, and perhaps the limit and the offset, by their names here."""
        beside, dot, _ = self.total.rpartition(".")
        return {
            "total": self.total,
            "limit": f"{beside}{dot}{self.limit}",
            "offset": f"{beside}{dot}{self.offset}",
        }


USUAL_PAGING = Paging()


class Inside(Generic[T_co]):
    """Decodes the part of an answer that a path leads to, such as `data` or `result.company`."""

    def __init__(self, path: str, part: Decoder[T_co]) -> None:
        """Decode the part with `part`."""
        self._envelope = msgspec.json.Decoder(_struct({path: ("part", msgspec.Raw)}))
        self._part = part

    def decode(self, body: bytes, /) -> T_co:
        """Decode a body."""
        told: dict[str, Any] = {}
        _collect(self._envelope.decode(body), told)
        return self._part.decode(bytes(told["part"]))


def is_path(text: object) -> bool:
    """Whether text leads to a place in an answer: names with dots between them."""
    return isinstance(text, str) and _PATH.fullmatch(text) is not None


class _Discreet(Struct):
    """Base of the envelopes made here: `repr` shows nothing, because rows are personal data."""

    def __repr__(self) -> str:
        return "Envelope(***)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return []


def opener(paging: Paging, row: Any) -> Opener:
    """Return what opens the pages of an API; `row` is the type of a row."""
    places = {"items": paging.items, **paging.facts}
    wanted = {"items": list[row] | None, "total": int, "limit": int | None, "offset": int | None}
    decoder = msgspec.json.Decoder(_struct({places[name]: (name, kind) for name, kind in wanted.items()}))

    def opened(body: bytes, limit: int, offset: int) -> Opened:
        told: dict[str, Any] = {}
        _collect(decoder.decode(body), told)
        if told.get("offset") is not None:
            offset = told["offset"]
        if told.get("limit") is not None:
            limit = told["limit"]
        return told["items"], Pagination(offset=offset, limit=limit, total=told["total"])

    return opened


def _struct(leaves: dict[str, tuple[str, Any]]) -> type[Struct]:
    """Return the type of an envelope whose leaves, by their dotted path, have these names and types."""
    inner: dict[str, dict[str, tuple[str, Any]]] = {}
    fields: list[Any] = []
    names: dict[str, str] = {}
    for path, (name, kind) in leaves.items():
        head, dot, rest = path.partition(".")
        if dot:
            inner.setdefault(head, {})[rest] = (name, kind)
            continue
        names[name] = head
        fields.append((name, kind, None) if name in ("limit", "offset") else (name, kind))
    for number, (head, below) in enumerate(inner.items()):
        names[f"_{number}"] = head
        fields.append((f"_{number}", _struct(below)))
    # Those without a default come first.
    fields.sort(key=len)
    return msgspec.defstruct("Envelope", fields, bases=(_Discreet,), rename=names)


def _collect(envelope: Struct, told: dict[str, Any]) -> None:
    for name in envelope.__struct_fields__:
        value = getattr(envelope, name)
        if isinstance(value, _Discreet):
            _collect(value, told)
        else:
            told[name] = value
