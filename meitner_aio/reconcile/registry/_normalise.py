"""What a cell of a registry means to a field. Pure; notes what it changes, and says nothing of the value.

Every normaliser takes a value (a text, or what JSON, Parquet or Python have for one) and returns the value of the
field; None for an empty one. What it returns, it leaves as it is when it is given again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime, time
from typing import TypeAlias

from ..._wire.validation import is_id, suggestion
from ...records import Field, Kind, OpenEnum
from ._identity import identity_number
from ._problems import NoteKind, UnfitError

Changes: TypeAlias = list[NoteKind]
Normaliser: TypeAlias = Callable[[object, Changes], object]

_WORDS = {
    **dict.fromkeys(("true", "1", "ja", "j", "yes", "y", "sant", "sann"), True),
    **dict.fromkeys(("false", "0", "nej", "n", "no", "falskt", "falsk"), False),
}

_YEAR_FIRST = re.compile(r"([0-9]{4})([-/.]?)([0-9]{2})\2([0-9]{2})")
_YEAR_LAST = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})(?:[/.-]| )([0-9]{4})")
_MIDNIGHT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]00:00(?::00(?:\.0+)?)?")
_WHOLE = re.compile(r"([+-]?[0-9]{1,19})(?:[.,]0+)?")

_ASKED = re.compile(r"(?<=[^\W\d_])\?(?=[^\W\d_])")
"""A question mark between letters: what many programs write for a letter that they do not have."""
_ASKED_IN_A_NAME = re.compile(r"(?<=[^\W\d_])\?|\?(?=[^\W\d_])")
"""One beside a letter, which asks nothing in a name: Hodžić is `Hodži?` where there is no ć."""
_REPLACED = "\N{REPLACEMENT CHARACTER}"
_TWICE = frozenset("ÃÂâ")
"""How the UTF-8 of a letter of western Europe begins when it is read as cp1252."""


def normaliser(field: Field, today: date) -> Normaliser:
    """Return what reads the values of a field, one at a time where the field holds a list."""
    if field.name == "identity_number":
        return lambda value, changes: _identity(value, today, changes)
    if field.kind is Kind.ENUM:
        return _choices(field.type)
    if field.kind is Kind.TEXT:
        return _texts(strictly=field.name.endswith("_name"))
    return _BY_KIND[field.kind]


def _texts(*, strictly: bool) -> Normaliser:
    def read(value: object, changes: Changes) -> str | None:
        if type(value) is str and value.isascii() and "?" not in value and value == value.strip():
            return value or None  # nearly always, and cheaper than what follows
        return _undamaged(text(value, changes), changes, strictly=strictly)

    return read


def text(value: object, changes: Changes) -> str | None:
    """Return a text without blanks around it; None for an empty one."""
    if value is None:
        return None
    if not isinstance(value, str):
        value = _as_text(value, changes)
    trimmed = value.strip()
    if trimmed and trimmed != value:
        changes.append(NoteKind.TRIMMED)
    if trimmed.isascii():
        return trimmed or None
    composed = unicodedata.normalize("NFC", trimmed)
    if composed != trimmed:
        changes.append(NoteKind.COMPOSED)
    return composed


def _as_text(value: object, changes: Changes) -> str:
    whole = _whole(value)
    if whole is None:
        raise UnfitError(f"must be a text, not {_kind_of(value)}")
    changes.append(NoteKind.NUMBER_AS_TEXT)
    return str(whole)


def _whole(value: object) -> int | None:
    """Return the whole number that a value is, None if it is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _kind_of(value: object) -> str:
    # The names of types that JSON has, and no others: a class of the caller's may have any name.
    for kind in (bool, int, float, str, dict, list, date):
        if isinstance(value, kind):
            return kind.__name__
    return "something else"


def _undamaged(value: str | None, changes: Changes, *, strictly: bool) -> str | None:
    """Return a text; `UnfitError` when it has lost letters, or may have and is a name."""
    if value is None:
        return None
    if _REPLACED in value:
        raise UnfitError("a letter was lost in an earlier conversion", "export it again, as UTF-8")
    asked = _ASKED_IN_A_NAME if strictly else _ASKED
    if ("?" in value and asked.search(value)) or _is_decoded_twice(value):
        if strictly:
            raise UnfitError("a letter was lost in an earlier conversion", "export it again, as UTF-8")
        changes.append(NoteKind.DAMAGED_TEXT)
    return value


def _is_decoded_twice(value: str) -> bool:
    if value.isascii() or _TWICE.isdisjoint(value):
        return False
    try:
        value.encode("cp1252").decode("utf-8")
    except ValueError:
        return False
    return True


def _identity(value: object, today: date, changes: Changes) -> str | None:
    as_text: Changes = []
    given = text(value, as_text)
    changes.extend(change for change in as_text if change is NoteKind.TRIMMED)
    return None if given is None else identity_number(given, today, changes)


def _choices(enum: type[OpenEnum]) -> Normaliser:
    members: dict[str, OpenEnum] = {member.value: member for member in enum}
    folded: dict[str, OpenEnum] = {}
    for member in enum:
        folded.setdefault(member.value.casefold(), member)
        folded.setdefault(member.name.casefold(), member)

    def read(value: object, changes: Changes) -> OpenEnum | None:
        if isinstance(value, enum) and value.known:
            return value
        given = text(value, changes)
        if given is None:
            return None
        if given in members:
            return members[given]
        if given.casefold() in folded:
            changes.append(NoteKind.CHOICE_SPELLING)
            return folded[given.casefold()]
        close = suggestion(given, members).removeprefix("; ")
        raise UnfitError(f"must be one of {', '.join(members)}", close)

    return read


def _date(value: object, changes: Changes) -> date | None:
    if type(value) is str and (written := _iso_date(value)) is not None:
        return written
    if isinstance(value, datetime):
        if value.time() != time.min:
            raise UnfitError("must be a date, and has a time of day")
        changes.append(NoteKind.DATE_FORM)
        return date(value.year, value.month, value.day)
    if isinstance(value, date):
        return value
    given = text(value, changes)
    if given is None:
        return None
    found = _date_in(given)
    if found is None:
        raise UnfitError("is no date", "write it as YYYY-MM-DD")
    if found.isoformat() != given:
        changes.append(NoteKind.DATE_FORM)
    return found


def _iso_date(value: str) -> date | None:
    """Return the date that a text writes as the API does."""
    try:
        found = date.fromisoformat(value)
    except ValueError:
        return None
    return found if found.isoformat() == value else None  # there are other forms, such as that of weeks


def _date_in(given: str) -> date | None:
    """Return the date that a text writes; `UnfitError` when it may be read in two ways."""
    midnight = _MIDNIGHT.fullmatch(given)
    if match := _YEAR_FIRST.fullmatch(midnight[1] if midnight else given):
        year, _, month, day = match.groups()
        return _day(year, month, day)
    if match := _YEAR_LAST.fullmatch(given):
        first, second, year = match.groups()
        readings = {found for found in (_day(year, second, first), _day(year, first, second)) if found}
        if len(readings) > 1:
            raise UnfitError("is a date that can be read in two ways", "write it as YYYY-MM-DD")
        return readings.pop() if readings else None
    return None


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _boolean(value: object, changes: Changes) -> bool | None:
    if isinstance(value, bool):
        return value
    given = text(value, [])
    if given is None:
        return None
    word = given.casefold()
    if word not in _WORDS:
        raise UnfitError("must be true or false (ja or nej, 1 or 0)")
    if value not in ("true", "false"):
        changes.append(NoteKind.BOOLEAN_FORM)
    return _WORDS[word]


def _integer(value: object, changes: Changes) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    given = text(str(value) if isinstance(value, float) else value, changes)
    if given is None:
        return None
    found = _WHOLE.fullmatch(given)
    if found is None:
        raise UnfitError("must be a whole number")
    if found[1] != given:
        changes.append(NoteKind.INTEGER_FORM)
    return int(found[1])


def _id(value: object, changes: Changes) -> str | None:
    given = text(value, changes)
    if given is None:
        return None
    if not is_id(given):
        raise UnfitError("must be a UUID of the directory")
    if given != given.lower():
        changes.append(NoteKind.ID_CASE)
    return given.lower()


_BY_KIND: dict[Kind, Normaliser] = {
    Kind.UUID: _id,
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _integer,
    Kind.DATE: _date,
}
