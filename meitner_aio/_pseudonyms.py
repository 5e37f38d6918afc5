"""Pseudonymised records: ids and identity numbers under a key, names gone, birth dates to the year. Pure.

Every field of every record has a rule in `RULES`. What has none is dropped, so that a field or a value that a later
version of the API adds never slips through. Ids stay joinable: the same id has the same pseudonym in every resource and
every run under the same key, and another one under another key. Knows no file but the key's, and no resource.

Pseudonymised data is still personal data (GDPR, article 4(5)): whoever has the key can try out all identity numbers.
"""

from __future__ import annotations

import hmac
import os
import re
import stat
import sys
from collections.abc import Callable
from datetime import date, datetime
from enum import Enum, auto
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from msgspec import UNSET

from ._runtime.private_files import open_private
from ._wire.validation import strip_traceback
from .errors import ConfigurationError
from .records import Field, OpenEnum, Record, fields

R = TypeVar("R", bound=Record)

_SHORTEST, _LONGEST = 32, 4096
"""Bytes of a key."""
_FEWEST = 8
"""Different bytes among them: 32 random ones have about thirty, as hexadecimal digits at least ten."""
_RECIPE = "(umask 077; head -c 32 /dev/urandom > {})"


class Rule(Enum):
    """What becomes of a field."""

    KEEP = auto()
    """A number, a date, a yes or no; a choice that this version knows."""
    PUBLIC = auto()
    """Text about an organisation, not a person, as public registers have it."""
    LANGUAGE = auto()
    """A code of ISO 639; other text is dropped, and so it is by the next three."""
    YEARS = auto()
    """`2026/2027` or `2026_2027`."""
    COURSE = auto()
    """The code of a subject or course."""
    CHOICE = auto()
    """A choice whose values the API does not publish: one word of ASCII letters, or a number of two digits."""
    ID = auto()
    """Ids of records, whichever: a UUID made of their HMAC, one realm for all of them, so that joins survive."""
    NUMBER = auto()
    """An identity number, normalised: the HMAC in hexadecimal digits."""
    SOURCE = auto()
    """An id in another system, likewise, in a realm of its own."""
    YEAR = auto()
    """The first of January of the year."""
    INSIDE = auto()
    """An object whose fields have rules of their own."""
    DROP = auto()


_SOURCED = {"id": Rule.ID, "meta": Rule.INSIDE, "external": Rule.INSIDE}
_PERSON = _SOURCED | {
    "identity_number": Rule.NUMBER,
    "identity_temporary": Rule.KEEP,
    "first_name": Rule.DROP,
    "last_name": Rule.DROP,
    "address": Rule.DROP,
    "email_address1": Rule.DROP,
    "email_address2": Rule.DROP,
    "phone_number1": Rule.DROP,
    "phone_number2": Rule.DROP,
}
_SCHOOL_PERSON = _PERSON | {
    "gender": Rule.KEEP,
    "date_of_birth": Rule.YEAR,
    "edu_person_principal_name": Rule.DROP,
}
_PLACEMENT = _SOURCED | {
    "school_id": Rule.ID,
    "start_date": Rule.KEEP,
    "end_date": Rule.KEEP,
    "archive_year": Rule.YEARS,
    "archived_at": Rule.KEEP,
}
_GRADE = _SOURCED | {
    "student_id": Rule.ID,
    "school_id": Rule.ID,
    "language_code": Rule.LANGUAGE,
    "teacher1_employee_id": Rule.ID,
    "teacher2_employee_id": Rule.ID,
    "grade": Rule.KEEP,
    "grade_date": Rule.KEEP,
}
_EXPORTED_STUDENT = {
    "id": Rule.ID,
    "identity_number": Rule.NUMBER,
    "first_name": Rule.DROP,
    "last_name": Rule.DROP,
    "date_of_birth": Rule.YEAR,
    "gender": Rule.KEEP,
    "school_type": Rule.CHOICE,
    "school_year": Rule.CHOICE,
}
_EXPORTED = {"school": Rule.INSIDE, "student": Rule.INSIDE, "subject": Rule.INSIDE, "course": Rule.INSIDE}

RULES: dict[str, dict[str, Rule]] = {
    "Meta": {"created_at": Rule.KEEP, "created_by": Rule.ID, "updated_at": Rule.KEEP, "updated_by": Rule.ID},
    "External": {"source_id": Rule.SOURCE, "source": Rule.DROP},
    "School": _SOURCED
    | {
        "title": Rule.PUBLIC,
        "unit_id": Rule.ID,
        "unit_code": Rule.PUBLIC,
        "csn_school_code": Rule.PUBLIC,
        "municipality_code": Rule.PUBLIC,
        "school_type": Rule.KEEP,
    },
    "Unit": _SOURCED | {"title": Rule.DROP, "description": Rule.DROP},
    "Group": _SOURCED
    | {
        "school_id": Rule.ID,
        "category": Rule.KEEP,
        "title": Rule.DROP,  # some are named after their teachers
        "types": Rule.KEEP,
        "moderator_ids": Rule.ID,
        "member_ids": Rule.ID,
    },
    "Employee": _SCHOOL_PERSON,
    "Student": _SCHOOL_PERSON,
    "Guardian": _PERSON | {"student_ids": Rule.ID},
    "EmployeePlacement": _PLACEMENT
    | {
        "employee_id": Rule.ID,
        "signature": Rule.DROP,
        "title": Rule.DROP,
        "roles": Rule.KEEP,
        "employment_percent": Rule.KEEP,
    },
    "StudentPlacement": _PLACEMENT
    | {
        "student_id": Rule.ID,
        "school_type": Rule.KEEP,
        "school_year": Rule.KEEP,
        "has_childcare": Rule.KEEP,
        "childcare_max_hours": Rule.KEEP,
        "mother_tongue": Rule.DROP,  # shows an origin, and a rare one identifies
        "modern_language_alternative": Rule.KEEP,
        "swedish_as_second_language": Rule.KEEP,
        "mother_tongue_participates": Rule.KEEP,
        "modern_language_in_school_choice": Rule.LANGUAGE,
        "modern_language_in_language_choice": Rule.LANGUAGE,
    },
    "GradeElementary": _GRADE
    | {
        "subject_code": Rule.COURSE,
        "academic_year": Rule.YEARS,
        "term": Rule.KEEP,
        "school_year": Rule.KEEP,
        "final_grade": Rule.KEEP,
        "is_ended": Rule.KEEP,
        "school_comment": Rule.DROP,
    },
    "GradeUpperSecondary": _GRADE
    | {
        "course_code": Rule.COURSE,
        "grade_comment": Rule.DROP,
        "extent": Rule.KEEP,
        "school_year": Rule.KEEP,
        "section": Rule.KEEP,
        "teacher_comment": Rule.DROP,
        "include_on_final_grade": Rule.KEEP,
        "program_title": Rule.DROP,
        "start_date": Rule.KEEP,
        "end_date": Rule.KEEP,
    },
    "ExportedSchool": {"id": Rule.ID, "display_name": Rule.PUBLIC},
    "ExportedStudent": _EXPORTED_STUDENT,
    "ExportedPupil": _EXPORTED_STUDENT | {"class_": Rule.DROP},
    "ExportedCourse": {"title": Rule.DROP, "code": Rule.COURSE},
    "AttendanceReport": {
        "status": Rule.CHOICE,
        "date": Rule.KEEP,
        "week": Rule.CHOICE,
        "lesson_duration_minutes": Rule.KEEP,
        "absence_duration_minutes": Rule.KEEP,
    },
    "Attendance": _EXPORTED | {"report": Rule.INSIDE},
    "CriterionResult": _EXPORTED | {"archive_year": Rule.YEARS, "archive_term": Rule.CHOICE, "state": Rule.CHOICE},
    "UpperSecondaryGrade": _EXPORTED
    | {
        "grade": Rule.KEEP,
        "grade_date": Rule.KEEP,
        "school_year": Rule.CHOICE,
        "language_code": Rule.LANGUAGE,
        "start_date": Rule.KEEP,
        "end_date": Rule.KEEP,
        "section": Rule.KEEP,
        "program_display_name": Rule.DROP,
        "program_template_title": Rule.DROP,
        "orientation_title": Rule.DROP,
        "orientation_code": Rule.COURSE,
    },
    "AuditEvent": {
        "id": Rule.ID,
        "meta": Rule.INSIDE,
        "timestamp": Rule.KEEP,
        "resource": Rule.KEEP,
        "resource_id": Rule.ID,
        "type": Rule.KEEP,
    },
}
"""By the names of records and of their fields."""

_SHAPES = {
    Rule.LANGUAGE: re.compile(r"[A-Za-z]{2,3}"),
    Rule.YEARS: re.compile(r"[0-9]{4}[/_][0-9]{4}"),
    Rule.CHOICE: re.compile(r"[A-Za-z]{1,40}|[0-9]{1,2}"),
    Rule.COURSE: re.compile(r"(?![0-9]{6,8}[-+]?[0-9A-Za-z]{4}$)[0-9A-Za-zÅÄÖåäö+-]{1,12}"),
}


class Pseudonyms:
    """Gives pseudonyms under one key. Shows the fingerprint of the key, never the key."""

    @strip_traceback
    def __init__(self, key: bytes, today: date | None = None) -> None:
        """Use a key of at least 32 random bytes; `ValueError` for what can be none.

        `today` is the day by which an identity number without a century has one.
        """
        problem = _problem(key)
        if problem:
            raise ValueError(problem)
        self._today = today or datetime.now().astimezone().date()  # in local time, as identity numbers are
        # One keyed hash for each realm, to be copied: the key itself is held by no attribute that a report could show.
        self._realms = {
            realm: hmac.new(key, f"meitner_aio {realm.name}\0".encode(), sha256)
            for realm in (Rule.ID, Rule.NUMBER, Rule.SOURCE, Rule.KEEP)
        }
        self.fingerprint = self._digest(Rule.KEEP, "fingerprint")[:16]
        """Names the key, in 16 hexadecimal digits."""

    @classmethod
    def of_file(cls, path: str | os.PathLike[str], apart_from: str | os.PathLike[str] | None = None) -> Pseudonyms:
        """Return those of the key in a file that nobody else may read. Blocking.

        `ConfigurationError` for a file that is not there, that others may read or write, that holds no key, or that
        lies in the folder of the data, from which a key is kept apart.
        """
        file = Path(path)
        if apart_from is not None and Path(apart_from).resolve() in file.resolve().parents:
            raise ConfigurationError(f"{file} lies in the folder of the export: keep the key apart from the data")
        try:
            return cls(_private_bytes(file))
        except FileNotFoundError:
            made = _RECIPE.format(file)
            raise ConfigurationError(f"there is no key {file}; to make one: {made}") from None
        except ValueError as wrong:
            raise ConfigurationError(f"{file} holds no key: {wrong}; to make one: {_RECIPE.format('FILE')}") from None

    def __repr__(self) -> str:
        return f"<Pseudonyms under the key {self.fingerprint}>"

    def __reduce__(self) -> str:
        raise TypeError("pseudonyms are not pickled: they hold a key")

    def id(self, value: str) -> str:
        """Return the pseudonym of a record's id: a UUID, of version 8."""
        found = self._digest(Rule.ID, value.strip().lower())
        variant = "89ab"[int(found[16], 16) & 3]
        return f"{found[:8]}-{found[8:12]}-8{found[13:16]}-{variant}{found[17:20]}-{found[20:32]}"

    def number(self, value: str) -> str:
        """Return the pseudonym of an identity number, however it is written: 32 hexadecimal digits."""
        return self._digest(Rule.NUMBER, normal(value, self._today))[:32]

    def source(self, value: str) -> str:
        """Return the pseudonym of an id in another system: 32 hexadecimal digits."""
        return self._digest(Rule.SOURCE, value.strip())[:32]

    def conditions(self, text: str) -> str:
        """Return a keyed hash of conditions: 16 hexadecimal digits, which lead nowhere without the key."""
        return self._digest(Rule.KEEP, f"conditions {text}")[:16]

    def record(self, record: R) -> R:
        """Return a record whose fields are what their rules make of them; what is dropped is as if never given."""
        changes = {name: change(self, getattr(record, name)) for name, change in _changes(type(record))}
        return msgspec.structs.replace(record, **changes)

    def _digest(self, realm: Rule, text: str) -> str:
        mac = self._realms[realm].copy()
        mac.update(text.encode("utf-8", "surrogatepass"))
        return mac.hexdigest()


def _problem(key: bytes) -> str:
    if not _SHORTEST <= len(key) <= _LONGEST:
        return f"a key has {_SHORTEST} random bytes or more (at most {_LONGEST:,}), not {len(key):,}"
    return "these bytes are not random" if len(set(key)) < _FEWEST else ""


def kept(model: type[Record]) -> tuple[str, ...]:
    """Return the names of the fields that a pseudonymised record still has, in the record's order."""
    return tuple(field.name for field in fields(model) if rule_of(model, field) is not Rule.DROP)


def rule_of(model: type[Record], field: Field) -> Rule:
    """Return the rule of a field: to drop it where nobody decided otherwise."""
    return RULES.get(model.__name__, {}).get(field.name, Rule.DROP)


def normal(number: str, today: date) -> str:
    """Return an identity number as `YYYYMMDDNNNN`, in capitals; what is none is only freed of spaces and dashes.

    Without a century it belongs to who is younger than a hundred, with a plus to who is older (SFS 1991:481, 18 §).
    """
    text = "".join(number.split()).upper().replace("\N{EN DASH}", "-")
    found = re.fullmatch(r"([0-9]{2})?([0-9]{2})([0-9]{4})([-+]?)([0-9A-Z]{4})", text)
    if found is None:
        return text.replace("-", "").replace("+", "")
    century, year, day, sign, end = found.groups()
    if century is None:
        full = today.year - (today.year - int(year)) % 100 - (100 if sign == "+" else 0)
        century = f"{full // 100:02}"
    return f"{century}{year}{day}{end}"


_Change = Callable[[Pseudonyms, Any], Any]


@cache
def _changes(model: type[Record]) -> tuple[tuple[str, _Change], ...]:
    """Return what to do to the fields of a record, but those that stay as they are."""
    blanks = {info.name: _blank(info) for info in msgspec.structs.fields(model)}
    found = ((field.name, _change(field, rule_of(model, field), blanks[field.name])) for field in fields(model))
    return tuple((name, change) for name, change in found if change is not None)


def _blank(info: msgspec.structs.FieldInfo) -> object:
    """Return what a field holds that was never given; a text that is always given is empty."""
    if info.default_factory is not msgspec.NODEFAULT:
        return cast("Callable[[], object]", info.default_factory)()
    return "" if info.default is msgspec.NODEFAULT else info.default


def _change(field: Field, rule: Rule, blank: object) -> _Change | None:
    if rule is Rule.DROP:
        return lambda _, __: blank
    if rule is Rule.PUBLIC or (rule is Rule.KEEP and not issubclass(field.type, OpenEnum)):
        return None
    if rule is Rule.KEEP:
        return _known(field)
    one = _SINGLE.get(rule) or _shaped(_SHAPES[rule], blank)
    if field.many:
        return lambda names, values: [one(names, value) for value in values or ()]
    return lambda names, value: value if value is None or value is UNSET else one(names, value)


_SINGLE: dict[Rule, _Change] = {
    Rule.ID: Pseudonyms.id,
    Rule.NUMBER: Pseudonyms.number,
    Rule.SOURCE: Pseudonyms.source,
    Rule.INSIDE: Pseudonyms.record,
    Rule.YEAR: lambda _, day: date(day.year, 1, 1),
}


def _shaped(shape: re.Pattern[str], blank: object) -> _Change:
    return lambda _, text: text if shape.fullmatch(text) else blank


def _known(field: Field) -> _Change:
    """Return what drops choices that this version does not know: an open enum takes any text."""
    if field.many:
        return lambda _, values: [value for value in values or () if value.known]
    blank = None if field.nullable else field.type("")
    return lambda _, value: value if value is None or value.known else blank


def _private_bytes(path: Path) -> bytes:
    """Return what a file holds that its owner alone may read, as far as a key may be long."""
    handle = open_private(path, follow=True)
    with os.fdopen(handle, "rb") as file:
        if sys.platform != "win32" and os.fstat(handle).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(f"others may read {path}: chmod 600 {path}, or better make another key")
        return file.read(_LONGEST + 1)
