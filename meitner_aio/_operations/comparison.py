"""Compares records with writes, and records with each other. Pure.

Servers normalise what they are given: text is trimmed and composed (NFC), country and municipality codes are
upper-cased. The case of ids and the order of lists have no meaning. Such differences do not count.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date
from typing import cast

from msgspec import UNSET

from .._wire.validation import is_id
from ..records import DirectoryRecord, Record

_UPPER_CASED = frozenset({"country_code", "municipality_code"})


def composed(text: str) -> str:
    """Return text in the Unicode form NFC, so that texts that look alike are equal."""
    return unicodedata.normalize("NFC", text)


def _given(body: Record) -> list[tuple[str, object]]:
    return [(name, value) for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET]


def differences(body: Record, record: Record) -> dict[str, object]:
    """Return the fields in which a record differs from a write, by name, with the written values."""
    return differing(_given(body), record)


def differing(given: Iterable[tuple[str, object]], record: Record) -> dict[str, object]:
    """Return those of the fields of a write, names with values, in which a record differs."""
    found: dict[str, object] = {}
    for name, written in given:
        kept = getattr(record, name, None)
        if type(written) is type(kept) and written == kept:  # nearly always, and cheaper than what follows
            continue
        if not _agrees(name, written, kept):
            found[name] = written
    return found


def _agrees(name: str, written: object, kept: object) -> bool:
    if isinstance(written, Record):
        return _is_empty(written) if kept is None else isinstance(kept, Record) and not differences(written, kept)
    if isinstance(written, str) and isinstance(kept, str):
        return _is_kept_as(name, written, kept)
    if isinstance(written, Sequence) and not isinstance(written, str):
        return _ids(cast("Sequence[str]", written)) == _ids(cast("Sequence[str] | None", kept) or ())
    return bool(written == kept)


def _is_kept_as(name: str, written: str, kept: str) -> bool:
    """Whether a server may store `written` as `kept`. Blanks in `kept` that were not written are a difference."""
    if is_id(written):
        return written.lower() == kept.lower()
    trimmed = composed(written.strip())
    forms = (trimmed.upper(),) if name in _UPPER_CASED else ()
    return composed(kept) in (trimmed, composed(written), *forms)


def _is_empty(record: Record) -> bool:
    """Whether a nested record has no values: a server may return null in its place."""
    return all(value is None for _, value in _given(record))


def _ids(values: Sequence[str]) -> list[str]:
    return sorted(value.lower() if is_id(value) else value for value in values)


def may_have_made(body: Record, record: Record) -> bool:
    """Whether a create may have made a record: servers may normalise text, add to lists, and not show fields."""
    return all(_survives(value, getattr(record, name, value)) for name, value in _given(body))


def _survives(written: object, kept: object) -> bool:
    if isinstance(written, Record):
        return _is_empty(written) if kept is None else isinstance(kept, Record) and may_have_made(written, kept)
    if isinstance(written, Sequence) and not isinstance(written, str):
        return set(map(_tidy, cast("Sequence[object]", written))) <= set(map(_tidy, cast("list[object]", kept or [])))
    return bool(_tidy(written) == _tidy(kept))


def _tidy(value: object) -> object:
    if isinstance(value, str):
        return " ".join(composed(composed(value).casefold()).split())
    return "" if value is None else value


def has_dates_of(body: Record, record: Record) -> bool:
    """Whether a record has every date that a write gives: servers never change dates."""
    return all(getattr(record, name, None) == value for name, value in _given(body) if isinstance(value, date))


def is_changed(before: DirectoryRecord, now: DirectoryRecord) -> bool:
    """Whether a record was updated between two reads of it.

    `meta` shows most updates, but its times have whole seconds: two updates within one second look alike. So the fields
    are compared, too.
    """
    if before.meta is not None and now.meta is not None and before.meta != now.meta:
        return True
    names = (name for name in before.__struct_fields__ if name != "meta")
    return not all(_is_alike(getattr(before, name), getattr(now, name)) for name in names)


def _is_alike(one: object, other: object) -> bool:
    """Whether two values read from a server are equal. An object whose fields are all null equals null."""
    if isinstance(one, Record) and _is_empty(one):
        one = None
    if isinstance(other, Record) and _is_empty(other):
        other = None
    if isinstance(one, list) and isinstance(other, list):
        return _ids(cast("list[str]", one)) == _ids(cast("list[str]", other))
    return one == other
