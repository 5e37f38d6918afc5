"""Which fields a terminal shows."""

from datetime import UTC, date, datetime

import pytest

from meitner_aio import EmployeePlacement, EmployeePlacementRole, External, GradeElementary, School, SchoolType, Student
from meitner_aio.cli.rendering.columns import table_of

_ID = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"


def _student(**fields):
    return Student(id=_ID, identity_number="20100101-0001", first_name="Åsa", last_name="Ek", **fields)


def test_the_id_and_the_required_fields_come_first():
    """What identifies a record is what a person looks for."""
    (heads, row), _ = table_of([_student()], 200)
    assert heads[:4] == ["id", "identity_number", "first_name", "last_name"]
    assert row[:4] == [_ID, "20100101-0001", "Åsa", "Ek"]


def test_references_come_last():
    """The ids of other records are long, and say little to a person."""
    school = School(id=_ID, title="Ek", school_type=SchoolType.GR, unit_id=_ID, unit_code="7")
    (heads, _), _ = table_of([school], 200)
    assert heads == ["id", "title", "school_type", "unit_code", "unit_id"]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_table_fits_the_terminal(width):
    """A line that wraps cannot be read as a column."""
    rows, lacking = table_of([_student(email_address1="asa.ek@example.com"), _student(phone_number1="070")], width)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    assert sum(widths) + 2 * (len(widths) - 1) <= width
    assert lacking > 0 or width == 120


def test_fields_that_nobody_has_are_no_loss():
    """Empty columns are left out and not counted as lacking; objects, which no column holds, are."""
    (heads, _), lacking = table_of([_student()], 200)
    assert "email_address1" not in heads
    assert lacking == 0
    assert table_of([_student(external=External(source_id="7"))], 200)[1] == 1


def test_values_read_as_people_write_them():
    """Words for booleans, commas in lists, instants to the second."""
    grade = {"subject_code": "MA", "academic_year": "2025/2026", "term": "HT", "school_year": "9"}
    one = GradeElementary(id=_ID, student_id=_ID, school_id=_ID, final_grade=True, is_ended=False, **grade)
    (heads, row), _ = table_of([one], 300)
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
    (heads, row), _ = table_of([placement], 300)
    shown = dict(zip(heads, row, strict=True))
    assert (shown["roles"], shown["start_date"]) == ("Teacher, Admin", "2025-08-18")
    assert shown["archived_at"] == "2026-06-30 12:00:00+00:00"


def test_text_from_the_directory_never_steers_the_terminal():
    """An escape sequence in a name stays text; a long text is cut."""
    evil = Student(id=_ID, identity_number="1", first_name="\x1b[2J\x9b5n\r\n", last_name="x" * 500)
    (heads, row), _ = table_of([evil], 300)
    shown = dict(zip(heads, row, strict=True))
    assert shown["first_name"].isprintable()
    assert shown["last_name"] == "x" * 39 + "…"
