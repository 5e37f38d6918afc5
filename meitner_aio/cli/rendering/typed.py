"""What a person types, as the values that it means. Pure: knows fields and their kinds, no resource and no option."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from ..._wire.validation import check_one, is_id, suggestion
from ...records import Field, Kind

_AGO = re.compile(r"([0-9]{1,6})(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SECONDS = re.compile(r"([0-9]{1,6})s")
_YEARS = re.compile(r"([0-9]{1,3})y")
_SHARE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)( ?%)?")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_BOOLEANS = {"true": True, "false": False}

_EXAMPLES = "2026-01-31, 2026-01-31T08:00Z, or 7d for seven days ago (m, h, d, w)"


def instant(text: str, now: datetime) -> datetime:
    """Return an aware instant: `2026-01-31T08:00+01:00`, `2026-01-31` (midnight UTC), or `7d` (seven days before now).

    Raises `ValueError` for anything else, also for an instant without a zone, which is ambiguous.
    """
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(f"must be an instant such as {_EXAMPLES}") from None
    if found.tzinfo is not None:
        return found
    if "T" in text or " " in text:
        raise ValueError("has no time zone: end it with Z for UTC, or with an offset such as +01:00")
    return found.replace(tzinfo=UTC)


def span(text: str) -> timedelta:
    """Return a time span such as `30d`; `ValueError` for anything else."""
    found = _AGO.fullmatch(text)
    if found is None:
        raise ValueError("must be a time such as 30d (m, h, d, w)")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def interval(text: str) -> timedelta:
    """Return what lies between two times of something regular: as `span`, or `30s`; `ValueError` for anything else."""
    seconds = _SECONDS.fullmatch(text)
    try:
        found = timedelta(seconds=int(seconds[1])) if seconds is not None else span(text)
    except ValueError:
        found = timedelta(0)
    if not found:
        raise ValueError("must be a time such as 15m (s, m, h, d, w)")
    return found


def term(text: str) -> timedelta:
    """Return how long something is kept: as `span`, or `2y`, a year being 365 days; `ValueError` for anything else."""
    years = _YEARS.fullmatch(text)
    if years is not None:
        return timedelta(days=365 * int(years[1]))
    try:
        return span(text)
    except ValueError:
        raise ValueError("must be a time such as 30d or 2y (m, h, d, w, y)") from None


def share(text: str) -> float:
    """Return a share of all, `5%` or `0.05`; `ValueError` for anything else."""
    found = _SHARE.fullmatch(text)
    value = -1.0 if found is None else float(found[1]) / (100 if found[2] else 1)
    if not 0 <= value <= 1:
        raise ValueError("must be a share such as 5% or 0.05")
    return value


def moves(text: str) -> bool:
    """Say whether an instant is another one each time that it is typed, as `7d` is."""
    return _AGO.fullmatch(text) is not None


def value_of(field: Field, text: str, now: datetime) -> object:
    """Return the value of a field's kind that a text means; `ValueError` says what it must be, and never what it was.

    An enum stays text: the same condition may be meant for several resources, each with an enum of its own.
    """
    if field.kind is Kind.INSTANT:
        return instant(text, now)
    if field.kind is Kind.ENUM:
        _check_enum(field, text)
        return text
    return _KINDS[field.kind](text)


def _check_enum(field: Field, text: str) -> None:
    try:
        check_one(field, text, "it")
    except ValueError:
        known = [str(member.value) for member in field.type]  # type: ignore[attr-defined]
        raise ValueError(f"must be one of {', '.join(known)}{suggestion(text, known)}") from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a date such as 2026-01-31") from None


def _boolean(text: str) -> bool:
    if text not in _BOOLEANS:
        raise ValueError("must be true or false")
    return _BOOLEANS[text]


def _integer(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError("must be a whole number")
    return int(text)


def _id(text: str) -> str:
    if not is_id(text):
        raise ValueError("must be a UUID such as 5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64")
    return text.lower()


def _text(text: str) -> str:
    return text


_KINDS: dict[Kind, Callable[[str], object]] = {
    Kind.UUID: _id,
    Kind.TEXT: _text,
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _integer,
    Kind.DATE: _date,
}
