"""What a cell of a registry means: tables of cases, and the laws that hold for all of them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meitner_aio import records
from meitner_aio.reconcile.registry._declared import declared
from meitner_aio.reconcile.registry._identity import identity_number
from meitner_aio.reconcile.registry._normalise import normaliser
from meitner_aio.reconcile.registry._problems import NoteKind, UnfitError

TODAY = date(2026, 8, 17)
LAW = settings(max_examples=500, deadline=None, derandomize=True)

N = NoteKind


def _read(resource, name, value):
    """Return what a column makes of a value, and what it notes."""
    changes = []
    return normaliser(declared(resource).columns[name].leaf, TODAY)(value, changes), changes


@pytest.mark.parametrize(
    ("written", "meant", "noted"),
    [
        ("20150101-2387", "20150101-2387", []),
        ("201501012387", "20150101-2387", [N.NUMBER_FORM]),
        ("20150101 2387", "20150101-2387", [N.NUMBER_FORM]),
        ("20150101\N{EN DASH}2387", "20150101-2387", [N.NUMBER_FORM]),
        ("20150101+2387", "20150101-2387", [N.NUMBER_FORM]),
        ("150101-2387", "20150101-2387", [N.CENTURY]),
        ("1501012387", "20150101-2387", [N.CENTURY]),
        ("150101+2387", "19150101-2387", [N.CENTURY]),
        ("270101-2383", "19270101-2383", [N.CENTURY]),
        ("260817-2389", "20260817-2389", [N.CENTURY]),
        ("260818-2388", "19260818-2388", [N.CENTURY]),
        ("20150161-2384", "20150161-2384", []),
        ("701063-2391", "19701063-2391", [N.CENTURY]),
        ("20150101-2380", "20150101-2380", [N.CHECK_DIGIT]),
        ("20150101TF01", "20150101-TF01", [N.NUMBER_FORM, N.TEMPORARY_NUMBER]),
        ("20150101-tf01", "20150101-TF01", [N.NUMBER_FORM, N.TEMPORARY_NUMBER]),
        ("20150101-T123", "20150101-T123", [N.TEMPORARY_NUMBER]),
    ],
)
def test_identity_numbers(written, meant, noted):
    """An identity number is brought into the form that the API keeps, and what that took is noted."""
    changes = []
    assert identity_number(written, TODAY, changes) == meant
    assert changes == noted


@pytest.mark.parametrize(
    "written",
    ["", "1", "20150132-2384", "20151301-2384", "20150292-2384", "20150160-2384", "2015-01-01-2384", "20150101-238",
     "20150101-23875", "20150101-ABCD", "2.0150101E+11", "\u0662\u0660150101-2387", "20230229-0000"],
)  # fmt: skip
def test_no_identity_number(written):
    """What is none is refused: too short, too long, no such day, digits of another script."""
    with pytest.raises(UnfitError):
        identity_number(written, TODAY, [])


def test_a_number_that_a_spreadsheet_damaged_says_so():
    """What a spreadsheet makes of twelve digits is known, and the advice is another."""
    with pytest.raises(UnfitError) as spoiled:
        identity_number("2,0150101E+11", TODAY, [])
    with pytest.raises(UnfitError) as other:
        identity_number("nobody", TODAY, [])
    assert spoiled.value.proposal != other.value.proposal


@pytest.mark.parametrize(
    ("resource", "column", "written", "meant", "noted"),
    [
        ("students", "first_name", "Bo", "Bo", []),
        ("students", "first_name", " Bo\t", "Bo", [N.TRIMMED]),
        ("students", "first_name", "\N{NO-BREAK SPACE}Bo", "Bo", [N.TRIMMED]),
        ("students", "first_name", "A\u030asa", "Åsa", [N.COMPOSED]),
        ("students", "first_name", "", None, []),
        ("students", "first_name", "  ", None, []),
        ("students", "first_name", None, None, []),
        ("students", "identity_number", 201501012387, "20150101-2387", [N.NUMBER_FORM]),
        ("students", "address.postal_code", 11122, "11122", [N.NUMBER_AS_TEXT]),
        ("students", "address.postal_code", 11122.0, "11122", [N.NUMBER_AS_TEXT]),
        ("groups", "title", "Vad?Nu", "Vad?Nu", [N.DAMAGED_TEXT]),
        ("groups", "title", "Klass 7Ã…", "Klass 7Ã…", [N.DAMAGED_TEXT]),
        ("groups", "title", "Vad? Nu", "Vad? Nu", []),
        ("students", "first_name", "Âke", "Âke", []),
        ("students", "date_of_birth", "2015-01-02", date(2015, 1, 2), []),
        ("students", "date_of_birth", "20150102", date(2015, 1, 2), [N.DATE_FORM]),
        ("students", "date_of_birth", "2015/01/02", date(2015, 1, 2), [N.DATE_FORM]),
        ("students", "date_of_birth", "17/8 2026", date(2026, 8, 17), [N.DATE_FORM]),
        ("students", "date_of_birth", "8/17/2026", date(2026, 8, 17), [N.DATE_FORM]),
        ("students", "date_of_birth", "17.8.2026", date(2026, 8, 17), [N.DATE_FORM]),
        ("students", "date_of_birth", "7/7 2026", date(2026, 7, 7), [N.DATE_FORM]),
        ("students", "date_of_birth", "2015-01-02 00:00:00", date(2015, 1, 2), [N.DATE_FORM]),
        ("students", "date_of_birth", datetime(2015, 1, 2, tzinfo=UTC), date(2015, 1, 2), [N.DATE_FORM]),
        ("students", "date_of_birth", date(2015, 1, 2), date(2015, 1, 2), []),
        ("students", "identity_temporary", "true", True, []),
        ("students", "identity_temporary", "JA", True, [N.BOOLEAN_FORM]),
        ("students", "identity_temporary", "nej", False, [N.BOOLEAN_FORM]),
        ("students", "identity_temporary", "0", False, [N.BOOLEAN_FORM]),
        ("students", "identity_temporary", 1, True, [N.BOOLEAN_FORM]),
        ("students", "identity_temporary", True, True, []),
        ("students", "identity_temporary", "", None, []),
        ("student_placements", "childcare_max_hours", "40", 40, []),
        ("student_placements", "childcare_max_hours", "40,0", 40, [N.INTEGER_FORM]),
        ("student_placements", "childcare_max_hours", 40.0, 40, [N.INTEGER_FORM]),
        ("student_placements", "school_type", "gr", "GR", [N.CHOICE_SPELLING]),
        ("student_placements", "school_year", 3, "3", [N.NUMBER_AS_TEXT]),
        ("employee_placements", "roles", "care_team", "CareTeam", [N.CHOICE_SPELLING]),
        ("schools", "unit_id", "5F0C8A52-6B1E-4C58-9D0E-2F7C3A1B9E64", "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64", [N.ID_CASE]),
    ],
)  # fmt: skip
def test_values(resource, column, written, meant, noted):
    """A value is brought into the form of its field; each kind of change is noted."""
    assert _read(resource, column, written) == (meant, noted)


@pytest.mark.parametrize(
    ("resource", "column", "written"),
    [
        ("students", "first_name", "Andr\ufffd"),
        ("students", "first_name", "Andr?as"),
        ("students", "last_name", "Hodži?"),
        ("students", "last_name", "?imić"),
        ("students", "first_name", "Ale? Jan"),
        ("students", "last_name", "SjÃ¶"),
        ("groups", "title", "7\ufffd"),
        ("students", "first_name", True),
        ("students", "first_name", 1.5),
        ("students", "first_name", {}),
        ("students", "date_of_birth", "8/7 2026"),
        ("students", "date_of_birth", "2015-02-30"),
        ("students", "date_of_birth", "15-01-02"),
        ("students", "date_of_birth", "2015-0102"),
        ("students", "date_of_birth", "42005"),
        ("students", "date_of_birth", datetime(2015, 1, 2, 3, tzinfo=UTC)),
        ("students", "identity_temporary", "kanske"),
        ("students", "gender", "kvinna"),
        ("student_placements", "childcare_max_hours", "40.5"),
        ("student_placements", "childcare_max_hours", True),
        ("student_placements", "student_id", "20150101-2387"),
    ],
)
def test_unfit_values(resource, column, written):
    """What cannot mean what the column means, or means two things, is refused and not guessed."""
    with pytest.raises(UnfitError):
        _read(resource, column, written)


_COLUMNS = [
    (resource, name)
    for resource in ("students", "groups", "schools", "student_placements", "employee_placements", "guardians")
    for name in declared(resource).columns
]
_SCALARS = (
    st.text()
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.dates()
    | st.dates().map(str)
    | st.from_regex(r"([0-9]{2})?[0-9]{6}[-+ ]?([0-9]{4}|TF[0-9]{2})", fullmatch=True)
    | st.sampled_from(["JA", "nej", "gr", "Female", "mentor", "17/8 2026", "20260817", "40,0", "7Å\u030a"])
)


@LAW
@given(st.sampled_from(_COLUMNS), _SCALARS)
def test_normalising_twice_changes_nothing(column, value):
    """What was normalised is normal: given again it stays as it is, and only what is odd about it is noted again."""
    try:
        once, _ = _read(*column, value)
    except UnfitError:
        return
    again, noted = _read(*column, once)
    assert (type(again), again) == (type(once), once)
    assert [note for note in noted if not note.is_warning] == []


@LAW
@given(st.dates(date(1930, 1, 1), TODAY), st.integers(0, 9999), st.sampled_from(["", "-", " "]), st.booleans())
def test_a_number_is_one_however_it_is_written(born, end, dash, century):
    """Every way to write a personal number of a living person under a hundred means the same number."""
    written = f"{born:%Y%m%d}"[0 if century else 2 :] + f"{dash}{end:04}"
    assert identity_number(written, TODAY, []) == f"{born:%Y%m%d}-{end:04}"


def test_every_column_can_be_read():
    """Every column of every resource that a registry can hold has a normaliser for its kind."""
    for resource, name in _COLUMNS:
        leaf = declared(resource).columns[name].leaf
        assert isinstance(leaf, records.Field)
        assert normaliser(leaf, TODAY)(None, []) is None
