"""Which fields a terminal shows."""

from datetime import UTC, date, datetime

import pytest
from rich.cells import cell_len

from meitner_aio import (
    Address,
    EmployeePlacement,
    EmployeePlacementRole,
    External,
    Gender,
    GradeElementary,
    School,
    SchoolType,
    Student,
)
from meitner_aio._operations.resource import model_of
from meitner_aio._wire.field_names import paths
from meitner_aio.cli.rendering.columns import table_of
from meitner_aio.records import Kind, fields
from meitner_aio.resources import RESOURCES

_ID = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"


def _student(**fields):
    return Student(id=_ID, identity_number="20100101-0001", first_name="Åsa", last_name="Ek", **fields)


def test_the_id_and_the_required_fields_come_first():
    """What identifies a record is what a person looks for."""
    (heads, row), *_ = table_of([_student()], 200, values=True)
    assert heads[:4] == ["id", "identity_number", "first_name", "last_name"]
    assert row[:4] == [_ID, "20100101-0001", "Åsa", "Ek"]


def test_references_come_last():
    """The ids of other records are long, and say little to a person."""
    school = School(id=_ID, title="Ek", school_type=SchoolType.GR, unit_id=_ID, unit_code="7")
    (heads, _), *_ = table_of([school], 200)
    assert heads == ["id", "title", "school_type", "unit_code", "unit_id"]


def test_flags_stand_behind_what_names_a_person():
    """On 80 columns they would take the place of a name, and they say the same of almost everybody."""
    (heads, _), *_ = table_of([_student(gender=Gender.FEMALE, identity_temporary=False)], 80, values=True)
    assert heads[:4] == ["id", "identity_number", "first_name", "last_name"]
    (heads, _), *_ = table_of([_student(gender=Gender.FEMALE, identity_temporary=False)], 80)
    assert heads == ["id", "gender", "identity_number", "first_name"]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_table_fits_the_terminal(width):
    """A line that wraps cannot be read as a column."""
    students = [_student(email_address1="asa.ek@example.com"), _student(phone_number1="070")]
    rows, lacking, _ = table_of(students, width, values=True)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    assert sum(widths) + 2 * (len(widths) - 1) <= width
    assert lacking > 0 or width == 120


def test_fields_that_nobody_has_are_no_loss():
    """Empty columns are left out and not counted as lacking; the fields of an object are columns of their own."""
    (heads, _), lacking, _ = table_of([_student()], 200)
    assert "email_address1" not in heads
    assert lacking == 0
    (heads, row), lacking, _ = table_of([_student(external=External(source_id="7", source="E"))], 200)
    assert dict(zip(heads, row, strict=True))["external.source_id"] == "7"
    assert lacking == 0


PERSONAL = {"identity_number": "20100101-0001", "first_name": "Åsa", "last_name": "Ek", "date_of_birth": "2010-01-01"}


def test_what_names_a_person_is_hidden_unless_asked_for():
    """What a record's repr masks, its objects' fields too; null is no value to hide. The rest stands before it."""
    one = _student(date_of_birth=date(2010, 1, 1), gender=Gender.FEMALE, address=Address(postal_city="Alby"))
    (heads, row), _, hidden = table_of([one], 300)
    shown = dict(zip(heads, row, strict=True))
    assert heads[:3] == ["id", "gender", "identity_number"]
    assert {shown[name] for name in (*PERSONAL, "address.postal_city")} == {"***"}
    assert "phone_number1" not in shown
    assert (shown["gender"], hidden) == ("Female", True)
    (heads, row), _, hidden = table_of([one], 300, values=True)
    shown = dict(zip(heads, row, strict=True))
    assert PERSONAL.items() <= shown.items()
    assert (shown["address.postal_city"], hidden) == ("Alby", False)


def test_every_personal_field_of_every_record_is_hidden():
    """A field that is added as personal is hidden at once, wherever it stands."""
    for kind in RESOURCES.values():
        model = model_of(kind)
        for path, field in paths(model).items():
            if not field.personal or field.kind is not Kind.TEXT:
                continue
            outer, _, name = path.rpartition(".")
            given = {one.name: "x" for one in fields(model) if one.required}
            inner = {outer: paths(model)[outer].type(**{name: "canary"})} if outer else {name: "canary"}
            rows, *_ = table_of([model(**given | inner)], 500, chosen=[path])
            assert rows == [[path], ["***"]]


def test_fields_that_were_named_are_columns_in_their_order():
    """Empty ones, too; an object stands for its fields."""
    one = _student(external=External(source_id="7", source=None))
    rows, lacking, _ = table_of([one], 200, chosen=["gender", "external", "id"])
    assert rows == [["gender", "external.source_id", "external.source", "id"], ["", "7", "", _ID]]
    assert lacking == 0


@pytest.mark.parametrize("width", [1, 8, 20, 40, 80, 120])
@pytest.mark.parametrize(
    "name", ["Ek", "x" * 50, "\N{CJK UNIFIED IDEOGRAPH-7530}" * 30, "e\N{COMBINING ACUTE ACCENT}" * 30]
)
def test_fields_that_were_named_are_cut_to_fit(width, name):
    """The widest first, ids last; what has no room at all is counted. Letters of two cells take two."""
    one = Student(id=_ID, identity_number="1", first_name=name, last_name=name)
    chosen = ["last_name", "id", "gender", "external.source_id", "first_name"]
    rows, lacking, _ = table_of([one], width, chosen=chosen, values=True)
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    assert sum(widths) + 2 * (len(widths) - 1) <= width
    assert len(rows[0]) + lacking == len(chosen)
    assert lacking == 0 or width < 40
    assert width < 80 or rows[1][1] == _ID
    if width == 120 and name == "Ek":
        assert rows[1] == ["Ek", _ID, "", "", "Ek"]


def test_values_read_as_people_write_them():
    """Words for booleans, commas in lists, instants to the second."""
    grade = {"subject_code": "MA", "academic_year": "2025/2026", "term": "HT", "school_year": "9"}
    one = GradeElementary(id=_ID, student_id=_ID, school_id=_ID, final_grade=True, is_ended=False, **grade)
    (heads, row), *_ = table_of([one], 300, values=True)
    shown = dict(zip(heads, row, strict=True))
    assert (shown["final_grade"], shown["is_ended"], shown["term"]) == ("yes", "no", "HT")

    placement = EmployeePlacement(
        id=_ID,
        employee_id=_ID,
        school_id=_ID,
        roles=[EmployeePlacementRole.TEACHER, EmployeePlacementRole.ADMIN],
        start_date=date(2025, 8, 18),
        archived_at=datetime(2026, 6, 30, 12, 0, 0, 123456, tzinfo=UTC),
    )
    (heads, row), *_ = table_of([placement], 300)
    shown = dict(zip(heads, row, strict=True))
    assert (shown["roles"], shown["start_date"]) == ("Teacher, Admin", "2025-08-18")
    assert shown["archived_at"] == "2026-06-30 12:00:00+00:00"


def test_text_from_the_directory_never_steers_the_terminal():
    """An escape sequence in a name stays text; a long text is cut."""
    evil = Student(id=_ID, identity_number="1", first_name="\x1b[2J\x9b5n\r\n", last_name="x" * 500)
    (heads, row), *_ = table_of([evil], 300, values=True)
    shown = dict(zip(heads, row, strict=True))
    assert shown["first_name"].isprintable()
    assert shown["last_name"] == "x" * 39 + "…"
