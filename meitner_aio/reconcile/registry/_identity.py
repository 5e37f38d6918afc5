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
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_COORDINATION = 60
"""What is added to the day in a coordination number."""


def identity_number(text: str, today: date, changes: list[NoteKind]) -> str:
    """Return an identity number as the API keeps it, noting what was changed; `UnfitError` for what is none."""
    found = _NUMBER.fullmatch("".join(text.split()).upper().translate(_DASHES))
    if found is None:
        raise UnfitError("is no identity number", _advice(text))
    month, day, end = int(found["month"]), int(found["day"]), found["end"]
    day -= _COORDINATION if day > _COORDINATION else 0
    century = found["century"] or _century(int(found["year"]), month, day, found["sign"], today)
    if _date(int(century + found["year"]), month, day) is None:
        raise UnfitError("is no identity number: there is no such day")
    number = f"{century}{found['year']}{found['month']}{found['day']}-{end}"
    if not found["century"]:
        changes.append(NoteKind.CENTURY)
    elif number != text:
        changes.append(NoteKind.NUMBER_FORM)
    if not end.isdigit():
        changes.append(NoteKind.TEMPORARY_NUMBER)
    elif not _fits(number[2:8] + end):
        changes.append(NoteKind.CHECK_DIGIT)
    return number


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
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(digits)]
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0


def _advice(text: str) -> str:
    if re.fullmatch(r"[0-9][.,][0-9]+E\+?[0-9]+", text.strip().upper()):
        return "a spreadsheet made a number of it: format the column as text"
    return "write it as YYYYMMDD-NNNN"
