"""Checks of values that a caller passes. Pure; messages do not show the values."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from enum import Enum
from functools import wraps
from typing import Any, ParamSpec, TypeGuard, TypeVar, cast

import msgspec
from msgspec import UNSET

from ..errors import MeitnerError, mask
from ..records import External, ExternalRequest, Field, Kind, OpenEnum, Record, fields

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound=Record)


def _exact(value: object) -> object:
    """Return the plain value of a subclass (a pandas timestamp, a numpy text): msgspec encodes exact types only."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int):
        return int(value)
    return list(cast("Sequence[object]", value))


encode = msgspec.json.Encoder(enc_hook=_exact).encode
"""Encodes the body of a request whose values have been checked."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_UUID_LENGTH = 36


def is_id(text: str) -> bool:
    """Whether text is a UUID in its usual form."""
    return len(text) == _UUID_LENGTH and _UUID.fullmatch(text) is not None


def checked_id(value: object, name: str = "id") -> str:
    """Return a UUID in lower case; `TypeError` for what is not text, `ValueError` for what is not a UUID.

    An id becomes part of a path: anything but a UUID could name another resource.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str holding a UUID, not {type(value).__name__}")
    if not is_id(value):
        raise ValueError(f"{name} must be a UUID such as 5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64")
    return value.lower()


def built(record: type[R], given: dict[str, object]) -> R:
    """Build a write or a query from keyword arguments and check every value, before any I/O.

    Raises `TypeError` for a wrong name or type and `ValueError` for a wrong value, without quoting any value.
    Empties `given`, so that no frame of a later traceback still holds the values.
    """
    declared = fields(record)
    names = {field.name for field in declared}
    try:
        for name in [name for name, value in given.items() if value is UNSET]:
            del given[name]
        for name in given.keys() - names:
            raise TypeError(f"{record.__name__} has no field {name!r}{suggestion(name, names)}")
        missing = [field.name for field in declared if field.required and field.name not in given]
        if missing:
            raise TypeError(f"{record.__name__} lacks the required {', '.join(missing)}")
        return record(**given)
    finally:
        given.clear()


def given_fields(item: Mapping[str, object] | Record) -> dict[str, Any]:
    """Return the fields of a write as keyword arguments."""
    if isinstance(item, Record):
        return {name: getattr(item, name) for name in item.__struct_fields__}
    return dict(item)


def strip_traceback(call: Callable[P, T]) -> Callable[P, T]:
    """Return a function whose errors show no frame but its own: the frames below hold its arguments."""

    @wraps(call)
    def quietly(*args: P.args, **given: P.kwargs) -> T:
        try:
            return call(*args, **given)
        except (TypeError, ValueError, MeitnerError) as error:
            refusal = error.with_traceback(None)
            del args, given
        refusal.__context__ = None
        raise refusal

    return quietly


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` when a known name is close, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def checked(body: R) -> R:
    """Return a write whose values all fit their fields; every object in it is the record that a write has there."""
    owner = type(body).__name__
    changes: dict[str, Any] = {}
    for field in fields(type(body)):
        value = getattr(body, field.name)
        if value is UNSET:
            continue
        if value is None:
            if not field.nullable:
                raise TypeError(f"{owner}.{field.name} cannot be null; leave it out to leave it alone")
        elif field.kind is Kind.OBJECT:
            if (nested := _nested(field, value, f"{owner}.{field.name}")) is not value:
                changes[field.name] = nested
        else:
            check(field, value, f"{owner}.{field.name}")
            if isinstance(value, datetime):
                changes[field.name] = in_utc(value)
    return msgspec.structs.replace(body, **changes) if changes else body


def _nested(field: Field, value: object, name: str) -> object:
    """Return an object in a write, perhaps a dictionary or as it was read, as a checked record; a list likewise."""
    if isinstance(value, External):
        return checked(_external_request(value, name))
    if _is_mapping(value) and not field.many and issubclass(field.type, Record):
        return checked(_from_names(field, value, name))
    check(field, value, name)
    if isinstance(value, Record):
        return checked(value)
    if not field.many:
        return value
    given = list(cast("Sequence[object]", value))
    found = [checked(one) if isinstance(one, Record) else one for one in given]
    return found if any(one is not other for one, other in zip(found, given, strict=True)) else value


def _is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(value, Mapping)


def _from_names(field: Field, given: Mapping[object, object], name: str) -> Record:
    """Return the record that a dictionary with the names of Python spells."""
    record = cast("type[Record]", field.type)
    declared = {inner.name: inner for inner in fields(record)}
    for key in given:
        if not isinstance(key, str):
            raise TypeError(f"{name} must have names of fields, not {type(key).__name__}")
        if key not in declared:
            raise TypeError(f"{name} has no field {mask(key)!r}{_hint(field, key)}")
    missing = [key for key, inner in declared.items() if inner.required and given.get(key, UNSET) is UNSET]
    if missing:
        raise TypeError(f"{name} lacks the required {', '.join(missing)}")
    return record(**cast("Mapping[str, Any]", given))


def _hint(field: Field, key: str) -> str:
    """Return what a caller may have meant by a name that an object in a write does not have."""
    declared = fields(cast("type[Record]", field.type))
    for inner in declared:
        if key == inner.wire:
            return f", which is the API's name of {inner.name!r}"
    if any(key in choice.__struct_fields__ for choice in field.choices):
        return ": the server sets it"
    return suggestion(key, [inner.name for inner in declared])


def _external_request(external: External, name: str) -> ExternalRequest:
    if not isinstance(external.source_id, str):
        raise TypeError(f"{name} needs a source_id")
    return ExternalRequest(source_id=external.source_id)


def check(field: Field, value: object, name: str) -> None:
    """Raise `TypeError` or `ValueError` unless `value` fits the field."""
    if not field.many:
        check_one(field, value, name)
    elif isinstance(value, (str, bytes, bytearray)) or not isinstance(value, Sequence):
        raise TypeError(f"{name} must be a list, not {type(value).__name__}")
    else:
        for index, item in enumerate(cast("Sequence[object]", value)):
            check_one(field, item, f"{name}[{index}]")


def check_one(field: Field, value: object, name: str) -> None:
    """Check a single value of the field's kind: an element where the field holds a list."""
    if field.kind is Kind.ENUM:
        _check_enum(field.type, value, name)
    elif field.kind is Kind.OTHER:
        _check_other(field, value, name)
    elif field.kind is Kind.OBJECT:
        if not isinstance(value, field.type):
            raise TypeError(f"{name} must be {_a(field.type.__name__)}, not {type(value).__name__}")
        if isinstance(value, Record):
            checked(value)
    else:
        _CHECKS[field.kind](value, name)


def _check_enum(enum: type[Enum], value: object, name: str) -> None:
    # A value from the server may be an unknown one; text typed by hand may not.
    if isinstance(value, enum):
        return
    if not isinstance(value, str) or isinstance(value, Enum):
        raise TypeError(f"{name} must be {_a(enum.__name__)}, not {type(value).__name__}")
    member = enum(value)
    if isinstance(member, OpenEnum) and not member.known:
        raise ValueError(f"{name} must be one of {', '.join(member.value for member in enum)}")


def is_text(value: str) -> bool:
    """Whether a `str` can be written as UTF-8: one with a lone surrogate cannot."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_text(value: object, name: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not is_text(value):
        raise ValueError(f"{name} holds a lone surrogate, which is not text")


def _check_date(value: object, name: str) -> None:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError(f"{name} must be a date, not {type(value).__name__}")


def check_instant(value: object, name: str) -> None:
    """Raise `TypeError` or `ValueError` unless `value` is an aware datetime that can be written in UTC."""
    if not isinstance(value, datetime):
        raise TypeError(f"{name} must be a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise ValueError(f"{name} must be an aware datetime: it has no time zone")
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{name} must lie within the years 1 to 9999 in UTC") from None


_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def plausible(instant: datetime) -> bool:
    """Whether an instant can be a real one: some servers write year 1 or 9999 for unknown.

    Arithmetic with a plausible instant does not overflow, in any zone.
    """
    return _EARLIEST <= instant < _LATEST


def in_utc(instant: datetime) -> datetime:
    """Return an aware instant in UTC, which JSON writes with `Z`: a server may ignore any other offset.

    The result is a plain `datetime`, not a subclass. The year must have been checked.
    """
    utc = instant.astimezone(UTC)
    return datetime(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond, UTC)


def floored(instant: datetime) -> datetime:
    """Return an instant in UTC without its fraction of a second: a lower bound that loses no row stamped by seconds."""
    return in_utc(instant).replace(microsecond=0)


def check_whole(name: str, value: object, least: int | None = None) -> int:
    """Return a whole number; `TypeError` for what is no int (a bool, 2.0), `ValueError` for less than `least`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if least is not None and value < least:
        raise ValueError(f"{name} must be an int of at least {least}")
    return value


def check_number(name: str, value: object, least: float = 0.0) -> float:
    """Return a number; `TypeError` for what is none, `ValueError` if below `least`."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not value >= least:
        raise ValueError(f"{name} must be a number of at least {least:g}")
    return value


def check_seconds(name: str, value: object, least: float = 0.0) -> float:
    """Return a number of seconds; `TypeError` for what is no number, `ValueError` if below `least` or not finite."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not least <= value < math.inf:
        raise ValueError(f"{name} must be a finite number of seconds, at least {least:g}")
    return value


def _check_integer(value: object, name: str) -> None:
    if not -(2**63) <= check_whole(name, value) < 2**63:
        raise ValueError(f"{name} must fit 64 bits")


def check_boolean(value: object, name: str) -> None:
    """Raise `TypeError` for what is no bool."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")


_CHECKS: dict[Kind, Callable[[object, str], object]] = {
    Kind.UUID: checked_id,
    Kind.TEXT: _check_text,
    Kind.BOOLEAN: check_boolean,
    Kind.INTEGER: _check_integer,
    Kind.DATE: _check_date,
    Kind.INSTANT: check_instant,
}


def _check_other(field: Field, value: object, name: str) -> None:
    """Raise unless a value is what the annotation says: `TypeError`, as msgspec knows no finer difference."""
    with suppress(msgspec.ValidationError, TypeError, ValueError, RecursionError):
        msgspec.convert(value, field.type)
        return
    raise TypeError(f"{name} must be what {field.type!r:.60} says, not {type(value).__name__}")


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOU' else 'a'} {noun}"
