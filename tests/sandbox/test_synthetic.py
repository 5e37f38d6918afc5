"""The synthetic directory: consistent in itself, in proportion, the same for the same seed, and nobody's."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest

from meitner_aio._wire.validation import check
from meitner_aio.records import fields
from meitner_aio.resources import RESOURCES
from meitner_aio.resources.audit_events import AuditEventResource, AuditEventType
from meitner_aio.sandbox.synthetic import generate
from meitner_aio.sandbox.synthetic.calendar import graded_term, school_year
from meitner_aio.sandbox.synthetic.chance import Dice, Register
from meitner_aio.sandbox.synthetic.owned import owned
from meitner_aio.sandbox.synthetic.words import PHONE_NUMBERS

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
STUDENTS, SCHOOLS = 2500, 10


@pytest.fixture(scope="module")
def directory():
    """Return the directory that most tests look at."""
    return generate(students=STUDENTS, schools=SCHOOLS, seed=7, now=NOW)


@pytest.fixture(scope="module")
def ids(directory):
    """Return the records by id, for each resource."""
    return {attribute: {row.id: row for row in rows} for attribute, rows in directory.items()}


@pytest.fixture(scope="module")
def attending(directory):
    """Return the students with an active placement, by school."""
    return _active(directory["student_placements"], "student_id", NOW.date())


@pytest.fixture(scope="module")
def working(directory):
    """Return the employees with an active placement, by school."""
    return _active(directory["employee_placements"], "employee_id", NOW.date())


def _active(placements, person, today):
    found = defaultdict(set)
    for row in placements:
        if row.start_date <= today and (row.end_date is None or row.end_date >= today) and row.archived_at is None:
            found[row.school_id].add(getattr(row, person))
    return found


def _luhn(digits):
    return sum(sum(divmod(int(digit) * factor, 10)) for digit, factor in zip(digits, (2, 1) * 5, strict=True)) % 10


def _dump(directory):
    return msgspec.json.encode(directory)


# What it holds.


def test_it_fills_every_resource(directory):
    """All eleven have records of their own model."""
    assert list(directory) == list(RESOURCES)
    for attribute, rows in directory.items():
        assert rows, attribute
        assert {type(row) for row in rows} == {RESOURCES[attribute].model}


def test_there_are_as_many_students_and_schools_as_asked_for(directory):
    """The two numbers that a caller gives are exact."""
    assert (len(directory["students"]), len(directory["schools"])) == (STUDENTS, SCHOOLS)


def test_every_value_fits_its_field(directory):
    """Records are not checked when they are made, so the test does it: ids, enums, dates and instants, nested too."""
    for rows in directory.values():
        for row in rows[:: max(1, len(rows) // 300)]:
            for field in fields(type(row)):
                value = getattr(row, field.name)
                if value is not None:
                    check(field, value, field.name)


def test_every_record_survives_the_wire(directory):
    """What the sandbox will send decodes to the same record, so nothing is lost below a millisecond."""
    for attribute, rows in directory.items():
        model = RESOURCES[attribute].model
        assert msgspec.json.decode(msgspec.json.encode(rows[:50]), type=list[model]) == rows[:50]


@pytest.mark.parametrize(
    ("attribute", "field", "target"),
    [
        ("schools", "unit_id", "units"),
        ("groups", "school_id", "schools"),
        ("groups", "moderator_ids", "employees"),
        ("groups", "member_ids", "students"),
        ("employee_placements", "employee_id", "employees"),
        ("employee_placements", "school_id", "schools"),
        ("guardians", "student_ids", "students"),
        ("student_placements", "student_id", "students"),
        ("student_placements", "school_id", "schools"),
        ("grade_elementaries", "student_id", "students"),
        ("grade_elementaries", "school_id", "schools"),
        ("grade_elementaries", "teacher1_employee_id", "employees"),
        ("grade_upper_secondaries", "student_id", "students"),
        ("grade_upper_secondaries", "school_id", "schools"),
        ("grade_upper_secondaries", "teacher1_employee_id", "employees"),
        ("grade_upper_secondaries", "teacher2_employee_id", "employees"),
    ],
)
def test_references_lead_to_records_that_were_made_before(directory, ids, attribute, field, target):
    """A record names only records that exist, and that existed when it was made."""
    named = 0
    for row in directory[attribute]:
        value = getattr(row, field)
        for id_ in value if isinstance(value, list) else [value] if value else []:
            assert ids[target][id_].meta.created_at < row.meta.created_at
            named += 1
    assert named


# When it was made.


def test_creation_goes_forward_and_ends_before_now(directory):
    """Order of creation is the order of the rows; updates come between creation and now."""
    for rows in directory.values():
        assert all(a.meta.created_at < b.meta.created_at for a, b in pairwise(rows))
        for row in rows:
            assert row.meta.created_at < NOW
            assert (row.meta.updated_at is None) == (row.meta.updated_by is None)
            assert row.meta.updated_at is None or row.meta.created_at <= row.meta.updated_at < NOW


def test_a_third_has_been_updated_and_some_of_it_lately(directory):
    """A search for what changed since yesterday finds something, and not everything."""
    for attribute in ("students", "guardians", "student_placements", "groups"):
        updated = [row.meta.updated_at for row in directory[attribute] if row.meta.updated_at]
        assert 0.2 < len(updated) / len(directory[attribute]) < 0.6
        assert 0 < sum(moment > NOW - timedelta(days=1) for moment in updated) < len(updated) / 2


def test_one_operator_made_everything(directory):
    """created_by and updated_by are one id."""
    rows = [row.meta for rows in directory.values() for row in rows]
    assert len({meta.created_by for meta in rows} | {meta.updated_by for meta in rows} - {None}) == 1


# What must be unique.


@pytest.mark.parametrize("attribute", ["students", "employees", "guardians"])
def test_what_identifies_a_person_is_unique(directory, attribute):
    """Identity numbers and e-mail addresses are unique within a resource."""
    for field in ("identity_number", "email_address1", "email_address2"):
        given = [value for row in directory[attribute] if (value := getattr(row, field)) is not None]
        assert len(given) == len(set(given))


def test_telephone_numbers_of_employees_are_unique():
    """Even when there are more employees than numbers kept for fiction: the rest has none."""
    employees = generate(students=6000, schools=12, seed=3, now=NOW)["employees"]
    numbers = [row.phone_number1 for row in employees if row.phone_number1]
    assert len(employees) > len(numbers) == len(PHONE_NUMBERS) == len(set(numbers)) == 495


def test_ids_are_version_4_uuids_and_unique(directory):
    """All of them, over all resources."""
    all_ids = [row.id for rows in directory.values() for row in rows]
    assert len(all_ids) == len(set(all_ids))
    form = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    assert all(form.fullmatch(id_) for id_ in all_ids)


def test_titles_and_signatures_are_unique_where_they_have_to_be(directory):
    """Group titles and signatures within a school, titles of schools and units in all."""
    for attribute, key in (
        ("groups", lambda row: (row.school_id, row.title)),
        ("employee_placements", lambda row: (row.school_id, row.signature)),
        ("schools", lambda row: row.title),
        ("units", lambda row: row.title),
    ):
        assert max(Counter(map(key, directory[attribute])).values()) == 1


def test_external_ids_are_on_some_records_and_unique(directory):
    """Some records came from another system, under an id of their own there."""
    for attribute, rows in directory.items():
        if attribute == "audit_events":
            continue
        given = [row.external.source_id for row in rows if row.external]
        assert len(given) == len(set(given))
        assert attribute == "units" or 0 < len(given) < len(rows)


# What is no longer there.


def test_the_audit_events_tell_of_those_who_left(directory, ids):
    """Deletions of every kind that the API audits, in order, before now, of ids that are nowhere, each gone once."""
    events = directory["audit_events"]
    present = set().union(*ids.values())
    assert {event.resource for event in events} == set(AuditEventResource)
    assert {event.type for event in events} == {AuditEventType.DELETE}
    gone = [event.resource_id for event in events]
    assert len(set(gone)) == len(gone)
    assert not present & set(gone)
    assert all(event.timestamp == event.meta.created_at < NOW for event in events)
    assert all(event.meta.updated_at is None for event in events)
    assert events[0].timestamp < NOW - timedelta(300)
    assert events[-1].timestamp > NOW - timedelta(20)


def test_a_placement_goes_before_the_one_who_had_it(directory):
    """As the API does it: the event of a person follows that of a placement, within a second."""
    events = directory["audit_events"]
    followed = 0
    for before, event in pairwise(events):
        if event.resource in ("Student", "Employee"):
            assert before.resource == f"{event.resource}Placement"
            assert event.timestamp - before.timestamp < timedelta(seconds=1)
            followed += 1
    assert followed == sum(event.resource in ("StudentPlacement", "EmployeePlacement") for event in events)


def test_as_many_left_as_a_directory_of_its_size_would_lose(directory):
    """One in forty of its students, employees and groups; a directory that is small enough has lost none."""
    counts = Counter(event.resource for event in directory["audit_events"])
    for resource, attribute in (("Student", "students"), ("Employee", "employees"), ("Group", "groups")):
        assert counts[resource] == len(directory[attribute]) // 40
    assert 0 < counts["Guardian"] < counts["Student"]
    assert generate(students=39, schools=1, seed=1, now=NOW)["audit_events"] == []


def test_stamps_may_be_whole_seconds(directory):
    """With a step of a second every stamp is cut to it, and nothing else differs."""
    coarse = generate(students=STUDENTS, schools=SCHOOLS, seed=7, now=NOW, step=1000)
    cut = re.sub(rb"(T\d\d:\d\d:\d\d)\.\d+Z", rb"\1Z", _dump(directory))
    assert _dump(coarse) == cut != _dump(directory)


# Nobody is meant.


def test_no_identity_number_can_belong_to_a_person(directory):
    """The Luhn sum over the last ten digits is never a multiple of ten, so no number is valid."""
    for attribute in ("students", "employees", "guardians"):
        for row in directory[attribute]:
            assert re.fullmatch(r"\d{8}-\d{4}", row.identity_number)
            assert _luhn(row.identity_number.replace("-", "")[2:])


def test_the_luhn_sum_of_this_test_is_the_real_one():
    """A published test number (Skatteverket) passes, and fails with every other last digit."""
    assert [last for last in range(10) if not _luhn(f"121212121{last}")] == [2]


def test_identity_numbers_agree_with_birth_and_gender(directory):
    """The date comes first; the ninth digit of ten is odd for men and even for women."""
    for row in directory["students"] + directory["employees"]:
        assert row.identity_number[:8] == f"{row.date_of_birth:%Y%m%d}"
        if row.gender != "Other":
            assert (int(row.identity_number[11]) % 2 == 1) == (row.gender == "Male")


def test_identity_numbers_of_a_day_run_out_with_an_error():
    """4,500 of a gender are unique and all wrong; one more is refused, never repeated and never valid."""
    register, born = Register(Dice(1), NOW), date(2015, 3, 9)
    numbers = {register.identity_number(born, male=True) for _ in range(4500)}
    assert len(numbers) == 4500
    assert all(_luhn(number.replace("-", "")[2:]) for number in numbers)
    with pytest.raises(ValueError, match="no identity number is left"):
        register.identity_number(born, male=True)


def test_addresses_and_numbers_are_reserved_ones(directory):
    """E-mail goes to `.example`, telephones ring in fiction only."""
    for row in directory["students"] + directory["employees"] + directory["guardians"]:
        for mail in (row.email_address1, row.email_address2, getattr(row, "edu_person_principal_name", None)):
            assert mail is None or re.fullmatch(r"[a-z-]+\.[a-z-]+\d*@[a-z.]+\.example", mail)
        for phone in (row.phone_number1, row.phone_number2):
            assert phone is None or phone in PHONE_NUMBERS


# Schools, and who goes there.


def test_schools_are_mostly_compulsory_ones_under_units(directory):
    """Every type is there, every school belongs to a unit, every unit has schools."""
    types = Counter(row.school_type for row in directory["schools"])
    assert types["GR"] > types["GY"] >= types["FS"] >= 1
    assert {row.unit_id for row in directory["schools"]} == {row.id for row in directory["units"]}
    assert len(directory["units"]) < len(directory["schools"])


def test_every_student_has_one_active_placement_that_fits(directory, ids):
    """Type and school year of the school fit the age, counted by what a child turns in the autumn."""
    active = Counter()
    for row in directory["student_placements"]:
        if row.archived_at or not (row.end_date is None or row.end_date >= NOW.date()):
            continue
        active[row.student_id] += 1
        age = 2026 - ids["students"][row.student_id].date_of_birth.year
        assert row.start_date <= NOW.date()
        assert row.school_type == ids["schools"][row.school_id].school_type
        assert age in {"FS": range(1, 6), "GR": range(6, 16), "GY": range(16, 20)}[row.school_type]
        assert row.school_year == (str(age - 6) if row.school_type == "GR" else None)
        assert (row.childcare_max_hours is not None) == row.has_childcare
        assert row.has_childcare or row.school_type != "FS"
    assert len(active) == STUDENTS
    assert set(active.values()) == {1}


def test_some_have_ended_placements_and_some_of_these_are_archived(directory):
    """Archived means ended more than five days before; the year of the archive is the one that ended."""
    rows = directory["student_placements"] + directory["employee_placements"]
    ended = [row for row in rows if row.end_date and row.end_date < NOW.date()]
    archived = [row for row in rows if row.archived_at]
    assert 0 < len(archived) < len(ended) < len(rows) / 2
    for row in archived:
        assert row.end_date + timedelta(5) < row.archived_at.date()
        assert row.meta.created_at < row.archived_at == row.meta.updated_at < NOW
        autumn, spring = map(int, row.archive_year.split("_"))
        assert spring == autumn + 1
        assert date(autumn, 7, 1) <= row.end_date <= date(spring, 6, 30)
    assert all(row.archive_year is None for row in rows if not row.archived_at)


def test_languages_are_iso_codes(directory):
    """Mother tongues ISO 639-3, modern languages ISO 639-2, the latter in school years 6 to 9 only."""
    rows = directory["student_placements"]
    tongues = {row.mother_tongue for row in rows}
    assert {"swe", "ara"} < tongues <= {"swe", "ara", "som", "fin", "pol", "bos", "fas", "kmr", "spa", "tir"}
    for row in rows:
        chosen = {row.modern_language_in_language_choice, row.modern_language_in_school_choice} - {None}
        assert chosen <= {"spa", "deu", "fra", "ita", "zho"}
        assert not chosen or row.school_year in {"6", "7", "8", "9"}
        assert not row.swedish_as_second_language or row.mother_tongue != "swe"


def test_every_student_has_guardians_and_siblings_share_them(directory, ids):
    """One or two guardians, who live where the child lives and were grown up when it was born."""
    guardians = defaultdict(list)
    for row in directory["guardians"]:
        for student_id in row.student_ids:
            guardians[student_id].append(row)
    assert set(guardians) == set(ids["students"])
    assert set(map(len, guardians.values())) == {1, 2}
    for student_id, parents in guardians.items():
        student = ids["students"][student_id]
        assert len({tuple(parent.student_ids) for parent in parents}) == 1
        for parent in parents:
            assert parent.address == student.address
            assert student.date_of_birth.year - int(parent.identity_number[:4]) >= 18
    assert sum(len(row.student_ids) > 1 for row in directory["guardians"]) > len(directory["guardians"]) / 5


# Employees, groups, grades.


def test_there_is_an_employee_for_nine_students(directory):
    """About: every school has two at least."""
    assert 7 < STUDENTS / len(directory["employees"]) < 11


def test_every_school_has_a_head_and_a_teacher_at_work(directory, working):
    """Groups and grades need them."""
    for school in directory["schools"]:
        roles = {
            role
            for row in directory["employee_placements"]
            if row.school_id == school.id and row.employee_id in working[school.id]
            for role in row.roles
        }
        assert {"Manager", "Teacher"} <= roles


def test_members_and_moderators_belong_to_the_school(directory, attending, working):
    """Members are students with an active placement there, moderators employees with one; nobody is there twice."""
    for row in directory["groups"]:
        assert set(row.member_ids) <= attending[row.school_id]
        assert row.moderator_ids
        assert set(row.moderator_ids) <= working[row.school_id]
        assert len(set(row.member_ids)) == len(row.member_ids)
        assert len(set(row.moderator_ids)) == len(row.moderator_ids)


def test_every_student_is_in_one_class(directory, attending):
    """Classes hold at most 25, and together everyone; in a preschool the class is childcare as well."""
    preschools = {row.id for row in directory["schools"] if row.school_type == "FS"}
    classes = [row for row in directory["groups"] if "Class" in row.types]
    members = Counter(id_ for row in classes for id_ in row.member_ids)
    assert set(members.values()) == {1}
    assert set(members) == set().union(*attending.values())
    assert max(len(row.member_ids) for row in classes) <= 25
    for row in directory["groups"]:
        if row.school_id in preschools and row.category == "Education":
            assert row.types == ["Class", "Childcare"]
    assert {tuple(row.types) for row in classes if row.school_id not in preschools} == {("Class",)}


def test_there_are_groups_of_every_kind(directory):
    """Mentor groups, childcare outside the preschools, and clubs, which are no Education groups."""
    kinds = Counter((row.category, *row.types) for row in directory["groups"])
    assert set(kinds) == {
        ("Education", "Class"),
        ("Education", "Class", "Childcare"),
        ("Education", "Childcare"),
        ("Education", "Mentor"),
        ("Other",),
    }


@pytest.mark.parametrize("attribute", ["grade_elementaries", "grade_upper_secondaries"])
def test_grades_are_of_students_and_by_teachers_of_the_school(directory, attending, working, attribute):
    """A grade needs an active placement of the student, and one of each teacher that it names."""
    for row in directory[attribute]:
        assert row.student_id in attending[row.school_id]
        assert {row.teacher1_employee_id, row.teacher2_employee_id} - {None} <= working[row.school_id]
        assert (row.grade is None) == (row.grade_date is None)
        assert row.grade_date is None or row.grade_date <= NOW.date()


def test_elementary_grades_are_a_handful_in_years_6_to_9(directory):
    """Five different subjects for everyone in these years, in a school year that fits and was spent there."""
    current = {
        row.student_id: row
        for row in directory["student_placements"]
        if row.end_date is None or row.end_date >= NOW.date()
    }
    year_of = {student_id: row.school_year for student_id, row in current.items()}
    subjects = defaultdict(list)
    for row in directory["grade_elementaries"]:
        subjects[row.student_id].append(row.subject_code)
        assert re.fullmatch(r"20\d\d/20\d\d", row.academic_year)
        assert int(row.school_year) - int(row.academic_year[:4]) == int(year_of[row.student_id]) - 2026
        assert row.is_ended == (row.grade is not None)
        assert row.grade_date is None or row.grade_date > current[row.student_id].start_date
    assert set(subjects) == {student_id for student_id, year in year_of.items() if year in {"6", "7", "8", "9"}}
    assert all(len(set(given)) == len(given) == 5 for given in subjects.values())
    assert {row.grade for row in directory["grade_elementaries"]} >= {None, "A", "B", "C", "D", "E", "F"}


def test_upper_secondary_grades_have_courses_of_their_year(directory):
    """Course codes of nine characters and more; a course that goes on has no grade."""
    for row in directory["grade_upper_secondaries"]:
        assert re.fullmatch(r"[A-Z]{6}\d\d[a-z]?\d?", row.course_code)
        assert row.start_date < row.end_date
        assert row.include_on_final_grade == (row.grade is not None) == (row.end_date < NOW.date())


# The same, and at every size.


def test_the_same_arguments_give_the_same_directory(directory):
    """Every argument matters, and nothing else: a second run in this process is equal."""
    assert _dump(generate(students=STUDENTS, schools=SCHOOLS, seed=7, now=NOW)) == _dump(directory)
    assert _dump(generate(students=STUDENTS, schools=SCHOOLS, seed=8, now=NOW)) != _dump(directory)


def test_hash_randomisation_changes_nothing():
    """Two processes with different hash seeds say the same."""
    code = (
        "import hashlib, msgspec\nfrom datetime import UTC, datetime\n"
        "from meitner_aio.sandbox.synthetic import generate\n"
        "rows = generate(students=300, schools=4, seed=1, now=datetime(2026, 11, 20, tzinfo=UTC))\n"
        "print(hashlib.sha256(msgspec.json.encode(rows)).hexdigest())"
    )
    path = ":".join(filter(None, sys.path))
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": path},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 6, 30, 23, 59, tzinfo=UTC),
        datetime(2026, 7, 1, tzinfo=UTC),
        datetime(2026, 7, 4, 12, tzinfo=UTC),
        datetime(2026, 8, 18, 12, tzinfo=UTC),
        datetime(2024, 2, 29, 12, tzinfo=UTC),
    ],
)
def test_placements_are_active_on_any_day_of_the_year(now):
    """Also when the school year turns, when school has not begun, and on a leap day; nothing lies in the future."""
    rows = generate(students=600, schools=3, seed=2, now=now)
    assert len(set().union(*_active(rows["student_placements"], "student_id", now.date()).values())) == 600
    assert all(row.meta.created_at < now for part in rows.values() for row in part)
    assert all(row.date_of_birth < now.date() - timedelta(365) for row in rows["students"])
    assert all(row.grade_date is None or row.grade_date <= now.date() for row in rows["grade_elementaries"])
    archived = [row for row in rows["student_placements"] if row.archived_at]
    assert all(row.end_date + timedelta(5) < row.archived_at.date() <= now.date() for row in archived)
    working = _active(rows["employee_placements"], "employee_id", now.date())
    assert all(row.teacher1_employee_id in working[row.school_id] for row in rows["grade_elementaries"])


@pytest.mark.parametrize(
    ("today", "year", "graded"),
    [
        (date(2026, 11, 20), 2026, (2025, "VT", date(2026, 6, 12))),
        (date(2026, 12, 20), 2026, (2026, "HT", date(2026, 12, 20))),
        (date(2027, 6, 11), 2026, (2026, "HT", date(2026, 12, 20))),
        (date(2027, 6, 12), 2026, (2026, "VT", date(2027, 6, 12))),
        (date(2027, 6, 30), 2026, (2026, "VT", date(2027, 6, 12))),
        (date(2027, 7, 1), 2027, (2026, "VT", date(2027, 6, 12))),
    ],
)
def test_the_calendar_knows_the_last_graded_term(today, year, graded):
    """School years turn on 1 July; grades are given in December and in June."""
    assert (school_year(today), graded_term(today)) == (year, graded)


def test_one_school_takes_all_who_go_to_compulsory_school():
    """One school is a compulsory one, and every student is of an age for it."""
    rows = generate(students=100, schools=1, seed=1, now=NOW)
    assert [row.school_type for row in rows["schools"]] == ["GR"]
    assert {2026 - row.date_of_birth.year for row in rows["students"]} <= set(range(6, 16))
    assert len(rows["students"]) == 100
    assert not rows["grade_upper_secondaries"]


def test_three_schools_are_one_of_each_type():
    """From three schools on, no type is missing."""
    rows = generate(students=0, schools=3, seed=1, now=NOW)
    assert {row.school_type for row in rows["schools"]} == {"GR", "GY", "FS"}


def test_a_directory_without_students_has_schools_and_staff():
    """No student means no guardian, no placement of students, no grade, no class."""
    rows = generate(students=0, schools=2, seed=1, now=NOW)
    counts = {attribute: len(part) for attribute, part in rows.items()}
    assert (counts["schools"], counts["employees"]) == (2, 4)
    assert {row.category for row in rows["groups"]} == {"Other"}
    assert not any(rows[name] for name in ("students", "guardians", "student_placements", "grade_elementaries"))


def test_nothing_at_all_is_a_directory_too():
    """An empty directory has every key and no row."""
    assert set(map(len, generate(students=0, schools=0, seed=1, now=NOW).values())) == {0}


def test_many_schools_have_titles_of_their_own():
    """More schools than words, and still no title twice."""
    titles = [row.title for row in generate(students=0, schools=300, seed=1, now=NOW)["schools"]]
    assert len(set(titles)) == 300


@pytest.mark.parametrize(
    "wrong",
    [{"students": -1}, {"schools": -1}, {"schools": 0}, {"now": datetime(2026, 1, 1)}],
)
def test_what_makes_no_directory_is_refused(wrong):
    """Negative numbers, students without a school, a moment without a time zone."""
    with pytest.raises(ValueError, match=r"a directory has|aware"):
        generate(**{"students": 10, "schools": 2, "seed": 1, "now": NOW} | wrong)


def test_a_directory_may_be_that_of_one_system(directory):
    """Then every record has a source id of its own, and everything else as it was."""
    mine = owned(directory, "mine")
    for attribute, rows in mine.items():
        before = {row.id: row for row in directory[attribute]}
        if attribute == "audit_events":
            assert rows == directory[attribute]
            continue
        assert {row.external.source for row in rows} == {"mine"}
        assert len({row.external.source_id for row in rows}) == len(rows)
        assert all(msgspec.structs.replace(row, external=before[row.id].external) == before[row.id] for row in rows)


def test_one_system_knows_the_last_placement_of_a_person_at_a_school(directory):
    """A registry has one row for a person and a school: who came back has lost the earlier placement."""
    placements = owned(directory, "mine")["student_placements"]
    starts = defaultdict(list)
    for row in directory["student_placements"]:
        starts[row.student_id, row.school_id].append(row.start_date)
    assert any(len(found) > 1 for found in starts.values())
    assert len(placements) == len(starts)
    assert all(row.start_date == max(starts[row.student_id, row.school_id]) for row in placements)
