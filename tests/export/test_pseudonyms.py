"""The engine of pseudonyms: a decision for every field, ids that stay joinable under a key, and what a key is."""

from __future__ import annotations

import os
import pickle
import re
import secrets
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from canaries import shown
from hypothesis import given
from hypothesis import strategies as st
from read_back import as_answered, records

from meitner_aio import (
    Address,
    AttendanceReport,
    ConfigurationError,
    ExportedCourse,
    ExportedPupil,
    ExportedSchool,
    ExportedStudent,
    External,
    Group,
    GroupType,
    Meta,
    Student,
)
from meitner_aio._pseudonyms import RULES, Pseudonyms, Rule, kept, normal, rule_of
from meitner_aio._wire.validation import is_id
from meitner_aio.records import DirectoryRecord, Record, fields
from meitner_aio.resources import LISTED
from meitner_aio.resources._person import Gender, SchoolPerson

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
TODAY = date(2026, 11, 28)
NAMES = Pseudonyms(KEY, TODAY)
MODELS: list[Any] = [kind.model for kind in LISTED.values()]
INSIDE = [Meta, External, AttendanceReport, ExportedCourse, ExportedPupil, ExportedSchool, ExportedStudent]
"""The objects inside them that are kept."""
WHAT_IT_IS_FOR = {("AttendanceReport", "status"), ("AttendanceReport", "absence_duration_minutes")}
"""Hidden in `repr`, and kept under pseudonyms: without them nobody would export attendance."""
ID = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"


# Decisions.


@pytest.mark.parametrize("model", [*MODELS, *INSIDE], ids=lambda model: model.__name__)
def test_every_field_has_a_decision(model: type[Record]) -> None:
    """A field that is new in the API is decided upon before it can be exported under pseudonyms; none is left over."""
    assert sorted(RULES[model.__name__]) == sorted(field.name for field in fields(model))


def test_every_record_has_decisions_and_no_other() -> None:
    """All that can be exported, and the objects inside them that are kept."""
    assert set(RULES) == {model.__name__ for model in [*MODELS, *INSIDE]}


@pytest.mark.parametrize("model", [*MODELS, *INSIDE], ids=lambda model: model.__name__)
def test_decisions_fit_what_they_are_about(model: type[Record]) -> None:
    """Nothing personal is kept, every id gets a pseudonym, and no text is kept for its own sake."""
    for field in fields(model):
        rule, kind = rule_of(model, field), field.kind.partition(":")[0]
        if field.personal and (model.__name__, field.name) not in WHAT_IT_IS_FOR:
            assert rule in (Rule.DROP, Rule.NUMBER, Rule.YEAR), field.name
        if kind == "uuid":
            assert rule is Rule.ID, field.name
        elif kind == "string":
            assert rule not in (Rule.KEEP, Rule.ID, Rule.INSIDE), field.name
            assert rule is not Rule.PUBLIC or model.__name__ in ("School", "ExportedSchool"), field.name
        elif kind == "object":
            assert rule is Rule.DROP or field.type.__name__ in RULES
        else:
            assert rule in (Rule.KEEP, Rule.YEAR), field.name


def test_a_field_without_a_decision_is_dropped() -> None:
    """Allowed is what somebody allowed: a later version of a record leaks nothing before that."""

    class Student(SchoolPerson):
        shoe_size: int | None = None
        nickname: str
        habits: list[str] = msgspec.field(default_factory=list)

    person: Any = Student(
        id=ID, identity_number="20150101-4242", first_name="A", last_name="B", shoe_size=31, nickname="Kanari",
        habits=["sings"],
    )  # fmt: skip
    assert {"shoe_size", "nickname", "habits"}.isdisjoint(kept(Student))
    found = NAMES.record(person)
    assert (found.shoe_size, found.nickname, found.habits) == (None, "", [])


def test_a_record_without_decisions_keeps_nothing() -> None:
    """A resource that is new in the API is empty until somebody decides."""

    class Nurse(DirectoryRecord):
        name: str

    assert kept(Nurse) == ()
    assert msgspec.to_builtins(NAMES.record(Nurse(id=ID, name="Kanariella"))) == {"id": "", "name": "", "meta": None}


def test_a_choice_that_is_not_known_is_dropped() -> None:
    """An open enum takes any text: what this version does not know may be anything."""
    student = Student(
        id=ID, identity_number="20150101-4242", first_name="A", last_name="B", gender=Gender("Kanariella")
    )
    assert NAMES.record(student).gender is None
    group = Group(id=ID, school_id=ID, title="7A", types=[GroupType.CLASS, GroupType("Kanariella")])
    assert NAMES.record(group).types == [GroupType.CLASS]


@pytest.mark.parametrize(
    ("resource", "field", "good", "bad"),
    [
        ("grade_elementaries", "language_code", "deu", "Kanariella"),
        ("grade_elementaries", "academic_year", "2025/2026", "Kanariella 2025/2026"),
        ("grade_elementaries", "subject_code", "MATMAT01a", "20150101-4242"),
        ("grade_elementaries", "subject_code", "SVA", "201501014242"),
        ("grade_upper_secondaries", "course_code", "ENGENG05", "150101-4242"),
        ("grade_upper_secondaries", "course_code", "ENGENG05", "20150101TF01"),
        ("grade_elementaries", "subject_code", "SVA", "150101-T123"),
        ("student_placements", "archive_year", "2025_2026", "2025"),
        ("student_placements", "modern_language_in_school_choice", "ES", "x y"),
        ("criterion_results", "state", "PartlyFulfilled", "Kanariella Ek"),
        ("criterion_results", "archive_term", "HT", "150101-4242"),
        ("upper_secondary_grades", "school_year", "3", "201501014242"),
        ("upper_secondary_grades", "orientation_code", "INR1", "20150101-4242"),
    ],
)
def test_text_is_kept_only_as_the_code_that_it_should_be(resource: str, field: str, good: str, bad: str) -> None:
    """Somebody types names and identity numbers into every box there is."""
    kind: Any = LISTED[resource]
    row = {"id": ID, "studentID": ID, "schoolID": ID, "subjectCode": "MA", "courseCode": "MA", "academicYear": "x"}
    row |= {"term": "HT", "schoolYear": "9", "schoolType": "GR", "startDate": "2026-01-01"}
    record = msgspec.convert(
        row | dict.fromkeys(("finalGrade", "isEnded", "includeOnFinalGrade"), False), kind.model
    )  # fmt: skip
    assert getattr(NAMES.record(msgspec.structs.replace(record, **{field: good})), field) == good
    assert getattr(NAMES.record(msgspec.structs.replace(record, **{field: bad})), field) in (None, "")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@given(data=st.data())
def test_any_record_has_pseudonyms_that_can_be_read_again(model: Any, data: st.DataObject) -> None:
    """Whatever the directory answers: the result is a record of the same kind, and no id in it is an original."""
    (record,) = as_answered([data.draw(records(model))])
    found = NAMES.record(record)
    assert msgspec.json.decode(msgspec.json.encode(found), type=model) == found
    assert _ids(found).isdisjoint(_ids(record))


def _ids(value: object) -> set[str]:
    text = msgspec.json.encode(value).decode()
    return set(re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", text))


def test_a_birth_date_is_a_year() -> None:
    """And stays a date, for those who compute with it."""
    student = Student(
        id=ID, identity_number="20150317-4242", first_name="A", last_name="B", date_of_birth=date(2015, 3, 17),
        address=Address(postal_city="Fågelbo"), external=External(source_id="17", source="Annas lista"),
    )  # fmt: skip
    found = NAMES.record(student)
    assert (found.date_of_birth, found.address, found.first_name) == (date(2015, 1, 1), None, "")
    assert found.external == msgspec.structs.replace(External(source_id=NAMES.source("17")), source=None)


# Pseudonyms.


@given(st.uuids().map(str))
def test_the_same_id_has_the_same_pseudonym_under_the_same_key_only(id_: str) -> None:
    """A UUID that is never the original, whichever way it is written, and under another key another one."""
    found = NAMES.id(id_)
    assert is_id(found)
    assert found[14] == "8"
    assert found == Pseudonyms(KEY).id(id_.upper())
    assert found not in (id_, Pseudonyms(OTHER).id(id_))


def test_realms_are_strangers() -> None:
    """What equals an identity number in another system's ids does not show that it does."""
    text = "201501014242"
    found = {NAMES.id(text).replace("-", "")[:12], NAMES.number(text)[:12], NAMES.source(text)[:12]}
    assert len(found) == 3
    assert NAMES.fingerprint[:12] not in found


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("20150101-4242", "201501014242"),
        ("201501014242", "201501014242"),
        (" 20150101 4242 ", "201501014242"),
        ("150101-4242", "201501014242"),
        ("1501014242", "201501014242"),
        ("150101+4242", "191501014242"),
        ("750101-4242", "197501014242"),
        ("261231-4242", "202612314242"),
        ("271231-4242", "192712314242"),
        ("20150101-tf12", "20150101TF12"),
        ("20150101\N{EN DASH}4242", "201501014242"),
        ("no number", "NONUMBER"),
    ],
)
def test_an_identity_number_is_one_however_it_is_written(written: str, meant: str) -> None:
    """With or without dash, spaces, century; the plus is for who is a hundred."""
    assert normal(written, TODAY) == meant
    assert NAMES.number(written) == NAMES.number(meant)


# Keys.


def _file(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_key_is_what_is_in_its_file(tmp_path: Path) -> None:
    """Byte for byte: fingerprints differ where keys differ, and reveal nothing of them."""
    found = Pseudonyms.of_file(_file(tmp_path / "key", KEY))
    assert (found.fingerprint, found.id(ID)) == (NAMES.fingerprint, NAMES.id(ID))
    assert found.fingerprint != Pseudonyms.of_file(_file(tmp_path / "other", KEY + b"\n")).fingerprint
    assert re.fullmatch(r"[0-9a-f]{16}", found.fingerprint)


def test_no_key_is_made_in_silence(tmp_path: Path) -> None:
    """A new key would give new pseudonyms to everybody: the error says how to make one, and none is made."""
    with pytest.raises(ConfigurationError, match=r"there is no key .*head -c 32 /dev/urandom > .*new\.key"):
        Pseudonyms.of_file(tmp_path / "new.key")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", KEY[:31], b"a" * 64, bytes(64), secrets.token_bytes(5000)])
def test_what_can_be_guessed_is_no_key(tmp_path: Path, data: bytes) -> None:
    """Whoever tries all identity numbers must not be able to try all keys as well."""
    with pytest.raises(ConfigurationError, match="holds no key") as caught:
        Pseudonyms.of_file(_file(tmp_path / "key", data))
    seen = [
        name for text in shown(caught.value) for name in [text.partition(" = ")[0]] if repr(data[:20])[2:-1] in text
    ]
    assert not data or seen == []


@pytest.mark.parametrize(
    ("mode", "problem"), [(0o640, "may read"), (0o604, "may read"), (0o602, "may write"), (0o620, "others may")]
)
def test_a_key_that_others_reach_is_refused(tmp_path: Path, mode: int, problem: str) -> None:
    """Who has the key has everybody's numbers."""
    with pytest.raises(ConfigurationError, match=problem):
        Pseudonyms.of_file(_file(tmp_path / "key", KEY, mode))


def test_a_key_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody hangs at what another user may have planted."""
    os.mkfifo(tmp_path / "key", 0o600)
    with pytest.raises(ConfigurationError, match="not a regular file"):
        Pseudonyms.of_file(tmp_path / "key")


def test_a_key_is_kept_apart_from_the_data(tmp_path: Path) -> None:
    """Together they are the data as it was: whoever sends the folder on would send the key as well."""
    key = _file(tmp_path / "key", KEY)
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigurationError, match="keep the key apart"):
        Pseudonyms.of_file(key, apart_from=tmp_path)
    assert Pseudonyms.of_file(key, apart_from=tmp_path / "out").fingerprint == NAMES.fingerprint


def test_nothing_shows_a_key() -> None:
    """No `repr`, no attribute that a crash report would print, and no pickle."""
    key = secrets.token_bytes(32)
    names = Pseudonyms(key)
    shown = f"{names!r} {names!s} {vars(names)!r}"
    assert key.hex() not in shown
    assert repr(key) not in shown
    with pytest.raises(TypeError, match="key"):
        pickle.dumps(names)
