"""What the directory's objects look like: the base of every record, open enums, and the objects that records share.

Knows no resource, no request and no I/O. `fields` tells what a record declares: every other part of the package
(queries, sandbox, command line, conformance) reads the declarations through it.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import Enum, StrEnum
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    NamedTuple,
    Self,
    TypedDict,
    TypeVar,
    Union,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
)
from typing import get_type_hints as _hints

import msgspec
from msgspec import UNSET, Struct, StructMeta, UnsetType

from ._html import table

T = TypeVar("T")


class Kind(StrEnum):
    """What the values of a field are, in the words of the API's document. Everything about a type is keyed by these."""

    UUID = "uuid"
    TEXT = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DATE = "date"
    INSTANT = "date-time"
    ENUM = "enum"
    OBJECT = "object"
    OTHER = "other"
    """Anything else that JSON can say, in a record of a user's own: a number with a fraction, a mapping, a union."""


Id = Annotated[str, msgspec.Meta(extra={"kind": Kind.UUID})]
"""A UUID, kept as text: decoding `UUID` objects would take twice as long."""

Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]
"""An instant; never naive."""

Personal = Annotated[T, msgspec.Meta(extra={"personal": True})]
"""Data about a person: hidden by `repr`, shown by `to_dict`."""

OrAbsent = Annotated[T | None, msgspec.Meta(extra={"nullable": False})]
"""A field that an answer may leave out (read as None) but that is never null."""


def wire_name(name: str) -> str:
    """Return the API's name of a Python name: `moderator_ids` is `moderatorIDs`, `school_id` is `schoolID`."""
    first, *rest = name.split("_")
    return first + "".join(
        word.upper() if word == "id" else "IDs" if word == "ids" else word.capitalize() for word in rest
    )


class _RecordMeta(StructMeta):
    """Keyword-only for every subclass: msgspec inherits `frozen`, `gc` and `rename`, but not `kw_only`."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **config: Any) -> type:
        config.setdefault("kw_only", True)
        return super().__new__(mcls, name, bases, namespace, **config)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
class Record(Struct, metaclass=_RecordMeta, frozen=True, gc=False, rename=wire_name):
    """A frozen object of the API. `repr` masks personal fields; `to_dict` shows them."""

    def __repr__(self) -> str:
        """Show the type and every field that is set, with personal values masked."""
        shown = (
            f"{field.name}={'***' if _is_hidden(field, value) else repr(value)}"
            for field in fields(type(self))
            if (value := getattr(self, field.name)) is not UNSET
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Mask for rich, too: it would otherwise read the fields itself."""
        given = ((field, getattr(self, field.name)) for field in fields(type(self)))
        return [
            (field.name, "***" if _is_hidden(field, value) else value) for field, value in given if value is not UNSET
        ]

    def _repr_html_(self) -> str:
        """Show the fields as a table in a notebook, masked as for rich: notebooks are saved with what they show."""
        return table(("field", "value"), self.__rich_repr__(), type(self).__name__)


class _SparseMeta(_RecordMeta):
    """What a caller leaves out is absent; what the server leaves out is null.

    Decoding does not pass through here, so records read from the API have None where the answer has nothing.
    """

    if not TYPE_CHECKING:

        def __call__(cls, **given):  # noqa: ANN003, ANN204, N805 - the constructor of a class, hidden from checkers
            for name in cls.__struct_fields__:
                given.setdefault(name, UNSET)
            return super().__call__(**given)


class OpenEnum(StrEnum):
    """An enum that keeps values it does not know, so that a new value of the API never breaks an old client."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member

    __hash__ = str.__hash__

    @property
    def known(self) -> bool:
        """Whether this version of the package knows the value."""
        # By identity: an unknown value may read like the Python name of a known one.
        return type(self).__members__.get(self._name_) is self


class ErrorCode(OpenEnum):
    """What went wrong, in the error object of every failed request."""

    BAD_REQUEST = "BadRequest"
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    NOT_FOUND = "NotFound"
    CONFLICT = "Conflict"
    UNPROCESSABLE_ENTITY = "UnprocessableEntity"
    RATE_LIMITED = "RateLimited"
    INTERNAL = "Internal"


class Error(Record):
    """The error object that every failed request answers with."""

    code: ErrorCode
    message: Personal[str]
    request_id: str


class Pagination(Record):
    """Which part of a listing a page is: `limit` is the one that the server used, `total` counts all rows."""

    offset: int
    limit: int
    total: int


class Meta(Record):
    """When and by whom a record was made and last changed. `updated_at` is None until the first update."""

    created_at: Timestamp
    created_by: Id | None = None
    updated_at: Timestamp | None = None
    updated_by: Id | None = None


class Address(Record, metaclass=_SparseMeta):
    """A postal address. In a write, the fields given are sent; None clears one."""

    postal_address: Personal[str | None] = None
    postal_code: Personal[str | None] = None
    postal_city: Personal[str | None] = None
    country_code: Personal[str | None] = None
    """ISO 3166-1 alpha-3."""
    municipality_code: Personal[str | None] = None
    """Four digits (SCB)."""


class AddressDict(TypedDict, total=False):
    """An `Address` in a write, as a dictionary: the same fields."""

    postal_address: str | None
    postal_code: str | None
    postal_city: str | None
    country_code: str | None
    municipality_code: str | None


class External(Record, metaclass=_SparseMeta):
    """The record's id in another system. `source` is set by the server, so a write sends `source_id` only.

    Where there is none a server may say null, or send both as null: that means the same.
    """

    source_id: str | None = None
    source: str | None = None


class ExternalRequest(Record):
    """What a write may say about the record's id in another system."""

    source_id: str


class ExternalDict(TypedDict):
    """An `ExternalRequest` as a dictionary: the same fields."""

    source_id: str


SPELLED: Mapping[object, type[Record]] = {AddressDict: Address, ExternalDict: ExternalRequest}
"""Dictionaries that a write takes in place of a record: another spelling, and no kind of its own."""


class DirectoryRecord(Record):
    """A record that the directory keeps. `meta` may be absent."""

    id: Id
    meta: OrAbsent[Meta] = None


class SourcedRecord(DirectoryRecord):
    """A record that may have an id in another system."""

    external: External | None = None


class SourcedFields(Record):
    """What a write says of a record that may have an id in another system: of the spellings the shorter will do."""

    external: ExternalRequest | External | ExternalDict | UnsetType = UNSET


def _is_hidden(field: Field, value: object) -> bool:
    """Whether `repr` masks a value: a personal one, or a dictionary in place of a record that would mask its own."""
    if field.personal:
        return value is not None
    values = cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else (value,)
    return field.kind is Kind.OBJECT and any(isinstance(one, Mapping) for one in values)


class Field(NamedTuple):
    """What a record declares of one field."""

    name: str
    wire: str
    kind: Kind
    type: type
    """The class of a value: the enum of an enum, the record of an object."""
    many: bool
    """Whether the value is a list of the kind."""
    required: bool
    nullable: bool
    personal: bool
    choices: tuple[Any, ...] = ()
    """The classes a value may have beside `type`: operators in a query, a second spelling in a write."""

    @property
    def described(self) -> str:
        """The kind in words, with the name of an enum or of an object."""
        return f"{self.kind} {self.type.__name__}" if self.kind in (Kind.ENUM, Kind.OBJECT) else self.kind


_KINDS: dict[object, Kind] = {
    str: Kind.TEXT,
    bool: Kind.BOOLEAN,
    int: Kind.INTEGER,
    datetime: Kind.INSTANT,
    date: Kind.DATE,
}


@cache
def fields(record: type[Record]) -> tuple[Field, ...]:
    """Return the declared fields of a record, a write or a query, in their order."""
    hints = _hints(record, include_extras=True)
    return tuple(
        _field(record, info.name, info.encode_name, hints[info.name], required=info.required)
        for info in msgspec.structs.fields(record)
    )


def _field(owner: type, name: str, wire: str, hint: object, *, required: bool) -> Field:
    marks: dict[str, Any] = {}
    alternatives = list(_alternatives(hint, marks))
    nullable = type(None) in alternatives and marks.get("nullable", True)
    first, *others = [a for a in alternatives if a not in (type(None), UnsetType)] or [Any]
    many = get_origin(first) in (list, Sequence, tuple) and not others
    item = next(_alternatives(get_args(first)[0], marks)) if many else first
    python = owner if item is Self else get_origin(item) or item
    kind = marks.get("kind") or _kind(python)
    if not all(map(_is_struct, others)) or kind is Kind.OTHER:
        kind, python, many, others = Kind.OTHER, cast("type", hint), False, []
        nullable = nullable or first is Any
    return Field(
        name,
        wire,
        kind,
        python,
        many,
        required,
        nullable,
        "personal" in marks,
        tuple(others),
    )


def _alternatives(hint: object, marks: dict[str, Any]) -> Iterator[Any]:
    """Yield the members of a union, collecting what `Annotated` says on the way."""
    if get_origin(hint) is Annotated:
        inner, *metadata = get_args(hint)
        for mark in metadata:
            marks.update(mark.extra or {})
        yield from _alternatives(inner, marks)
    elif get_origin(hint) in (Union, types.UnionType):
        for member in get_args(hint):
            yield from _alternatives(member, marks)
    elif hint not in SPELLED:
        yield hint


def _kind(python: object) -> Kind:
    if inspect.isclass(python):
        for base, kind in ((Enum, Kind.ENUM), (Struct, Kind.OBJECT)):
            if issubclass(python, base):
                return kind
        return _KINDS.get(python, Kind.OTHER)
    return Kind.OTHER


def _is_struct(alternative: object) -> bool:
    python = get_origin(alternative) or alternative
    return isinstance(python, type) and issubclass(python, Struct)
