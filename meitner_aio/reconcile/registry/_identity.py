"""Swedish identity numbers, in the form that the API keeps: `YYYYMMDD-NNNN`. Pure.

Personal numbers, coordination numbers (60 added to the day) and temporary numbers of schools, which end in letters
(`20150101-TF01`). Without a century, a number belongs to who is younger than a hundred and already born, with a plus to
who is a hundred or more (folkbokforingslagen, SFS 1991:481, 18 section).
"""

from __future__ import annotations

import re
from datetime import date

from ._problems import NoteKind, UnfitError

_NUMBER = re.compile(
    r"(?P<century>[0-9]{2})?(?P<year>[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
    r"(?P<sign>[-+]?)(?P<end>[0-9]{4}|[A-Z]{2}[0-9]{2}|[A-Z][0-9]{3})"
)
_IN_FORM = re.compile(r"[0-9]{8}-[0-9]{4}")
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_COORDINATION = 60
"""What is added to the day in a coordination number."""

_DOUBLED = str.maketrans("0123456789", "0246813579")
"""The sum of the digits of each digit times two."""


def identity_number(text: str, today: date, changes: list[NoteKind]) -> str:
    """Return an identity number as the API keeps it, noting what was changed; `UnfitError` for what is none."""
    number = text if _IN_FORM.fullmatch(text) else _formed(text, today, changes)
    if _date(int(number[:4]), int(number[4:6]), _day(number[6:8])) is None:
        raise UnfitError("is no identity number: there is no such day")
    end = number[9:]
    if not end.isdigit():
        changes.append(NoteKind.TEMPORARY_NUMBER)
    elif not _fits(number[2:8] + end):
        changes.append(NoteKind.CHECK_DIGIT)
    return number


def _formed(text: str, today: date, changes: list[NoteKind]) -> str:
    """Return a number that may be written in another form; its day need not exist."""
    found = _NUMBER.fullmatch("".join(text.split()).upper().translate(_DASHES))
    if found is None:
        raise UnfitError("is no identity number", _advice(text))
    century, year, month, day, sign, end = found.groups()
    known = century or _century(int(year), int(month), _day(day), sign, today)
    number = f"{known}{year}{month}{day}-{end}"
    if not century:
        changes.append(NoteKind.CENTURY)
    elif number != text:
        changes.append(NoteKind.NUMBER_FORM)
    return number


def _day(digits: str) -> int:
    day = int(digits)
    return day - _COORDINATION if day > _COORDINATION else day


def _century(year: int, month: int, day: int, sign: str, today: date) -> str:
    full = today.year - (today.year - year) % 100
    born = _date(full, month, day)
    if born is not None and born > today:
        full -= 100
    if sign == "+":
        full -= 100
    return f"{full // 100:02}"


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _fits(digits: str) -> bool:
    """Whether the last of ten digits is the check digit of the others (Luhn)."""
    return sum(map(int, digits[::2].translate(_DOUBLED) + digits[1::2])) % 10 == 0


def _advice(text: str) -> str:
    if re.fullmatch(r"[0-9][.,][0-9]+E\+?[0-9]+", text.strip().upper()):
        return "a spreadsheet made a number of it: format the column as text"
    return "write it as YYYYMMDD-NNNN"
