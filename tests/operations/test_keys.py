"""Keys whose text a server stores in another form: equal keys are found, and equal records left unchanged."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
import virtual_time
from hypothesis import given
from hypothesis import strategies as st
from plain_directory import PlainDirectory, nfc, nfd, raw
from rich.console import Console
from samples import ID, NOON, OTHER_ID

from meitner_aio import (
    Address,
    AmbiguousWriteError,
    ConflictError,
    External,
    ExternalRequest,
    Group,
    Meta,
    School,
    SchoolType,
    Student,
    StudentFields,
)
from meitner_aio._operations.comparison import differences, is_changed, may_have_made
from meitner_aio._operations.keys import conditions, key_of, lost_key
from meitner_aio._pipeline.retry import Retrying
from meitner_aio._pipeline.retry_policy import RetryPolicy
from meitner_aio.query import to_filter
from meitner_aio.resources import RESOURCES
from meitner_aio.resources.groups import GroupCreate, GroupQuery
from meitner_aio.resources.schools import SchoolQuery, SchoolUpdate
from meitner_aio.resources.student_placements import StudentPlacementCreate

COMPOSED, DECOMPOSED = "Åsögården", unicodedata.normalize("NFD", "Åsögården")
SPELLINGS = {
    "composed": COMPOSED,
    "decomposed": DECOMPOSED,
    "with blanks": f"  {COMPOSED}\t",
    "both": f" {DECOMPOSED}\u00a0",
    "plain": "7A",
}
SERVERS: dict[str, Callable[[str], str]] = {"composing": nfc, "trimming": str.strip, "decomposing": nfd, "keeping": raw}


def through(directory: PlainDirectory, name: str) -> Any:
    """Return a resource behind the retries of a client."""
    return RESOURCES[name](Retrying(directory.send, RetryPolicy()).send)


def bodies(text: str) -> dict[str, dict[str, Any]]:
    """Return, for every kind of key that is text, a create that has it."""
    return {
        "groups": {"school_id": ID, "title": text},
        "units": {"title": "Norr", "external": ExternalRequest(source_id=text)},
    }


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("tidy", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize("name", ["groups", "units"])
def test_a_lost_create_is_found_however_its_key_is_kept(name: str, tidy: Callable[[str], str], text: str) -> None:
    """A create whose answer was lost is found and returned, and not repeated."""

    async def main() -> None:
        directory = PlainDirectory(tidy=tidy)
        directory.loses = lambda number: number == 0
        made = await through(directory, name).create(**bodies(text)[name])
        (row,) = directory.rows[f"/{name[:-1]}"]
        assert made.id == row["id"]
        assert directory.asked == [f"POST /{name[:-1]}", f"POST /{name[:-1]}/_search"]

    virtual_time.run(main())


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("tidy", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize("name", ["groups", "units"])
async def test_equal_upserts_write_once(name: str, tidy: Callable[[str], str], text: str) -> None:
    """Of three equal upserts, the first creates and the others write nothing."""
    directory = PlainDirectory(tidy=tidy)
    key = ("school_id", "title") if name == "groups" else "source_id"
    done = [await through(directory, name).upsert(key, **bodies(text)[name]) for _ in range(3)]
    assert [(one.created, one.changed) for one in done] == [(True, True), (False, False), (False, False)]
    assert len({one.record.id for one in done}) == 1


@pytest.mark.parametrize("tidy", SERVERS.values(), ids=SERVERS)
async def test_two_spellings_of_a_key_are_one_key(tidy: Callable[[str], str]) -> None:
    """Two Unicode forms of one title mean the same group."""
    directory = PlainDirectory(tidy=tidy)
    groups = through(directory, "groups")
    made = await groups.upsert(("school_id", "title"), school_id=ID.upper(), title=DECOMPOSED)
    same = await groups.upsert(("school_id", "title"), school_id=ID, title=COMPOSED)
    assert (same.record.id, same.changed) == (made.record.id, False)


def test_a_key_that_the_server_spells_in_a_way_of_its_own_settles_nothing() -> None:
    """If the second create is refused and no record is found, the result stays ambiguous."""

    async def main(name: str, tidy: Callable[[str], str], text: str) -> None:
        directory = PlainDirectory(tidy=tidy)
        directory.loses = lambda number: number == 0
        with pytest.raises(AmbiguousWriteError):
            await through(directory, name).create(**bodies(text)[name])
        assert len(directory.rows[f"/{name[:-1]}"]) == 1

    virtual_time.run(main("groups", lambda text: nfc(text).replace("7", "sju "), "7A"))
    virtual_time.run(main("units", lambda text: nfc(text).lower(), f" {COMPOSED}"))


def test_a_refusal_for_another_reason_is_still_one() -> None:
    """No record has the identity number, so the refusal is about the e-mail address, and is raised."""

    async def main() -> None:
        directory = PlainDirectory()
        directory.put("/student", identityNumber="20150101-0000", emailAddress1="bo@example.se")
        students, lost = through(directory, "students"), [True]
        directory.before = lambda _, path, __: lost and path == "/student" and lost.pop() and 502
        with pytest.raises(ConflictError):
            await students.create(
                identity_number="20150101-1111", first_name="Bo", last_name="Ek", email_address1="bo@example.se"
            )

    virtual_time.run(main())


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_a_group_that_never_came_about_is_created_however_it_is_spelled(text: str) -> None:
    """The server refuses a second group with the key, so that the create is safely sent again."""

    async def main() -> None:
        directory, lost = PlainDirectory(), [True]
        directory.before = lambda _, path, __: 502 if path == "/group" and lost and lost.pop() else None
        made = await through(directory, "groups").create(school_id=ID, title=text)
        assert [row["id"] for row in directory.rows["/group"]] == [made.id]

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("text", "certain"),
    [
        (ID, True),
        ("20150101-0000", True),
        (" 7 ", True),
        ("7A", False),
        ("\uff17", False),
        ("å", False),
        ("7\u0430", False),
    ],
)
def test_digits_and_ids_have_no_other_spelling(text: str, certain: bool) -> None:
    """Only keys of digits and ids are certain."""
    assert key_of(GroupCreate(school_id=ID, title=text), ("school_id", "title")).certain is certain


# What is asked for.


def test_text_is_asked_for_as_servers_keep_it_first() -> None:
    """Trimmed and composed; then as it was written, trimmed, and decomposed. Ids in lower case."""
    key = key_of(GroupCreate(school_id=ID.upper(), title=f" {DECOMPOSED}"), ("school_id", "title"), unique=True)
    assert key.spellings == {"school_id": (ID,), "title": (COMPOSED, f" {DECOMPOSED}", DECOMPOSED)}
    assert to_filter(GroupQuery(**conditions([key]))) == {
        "equals": {"schoolID": ID},
        "contains": {"title": [COMPOSED, f" {DECOMPOSED}", DECOMPOSED]},
        "orCondition": False,
    }


def test_plain_text_is_asked_for_as_it_is() -> None:
    """Text with a single spelling is searched for as one value."""
    key = key_of(GroupCreate(school_id=ID, title="7A"), ("school_id", "title"))
    assert to_filter(GroupQuery(**conditions([key]))) == {
        "equals": {"schoolID": ID, "title": "7A"},
        "orCondition": False,
    }
    source = lost_key(SchoolUpdate(title="x", external=ExternalRequest(source_id="hr-1")), (), unique=True)
    assert to_filter(SchoolQuery(**conditions([source]))) == {
        "equals": {"external": {"sourceID": "hr-1"}},
        "orCondition": False,
    }


def test_a_placement_is_known_by_its_source_id_or_else_by_its_ends() -> None:
    """The source id is the key if there is one, else the two ends, which several placements may share."""
    ends = ("student_id", "school_id")
    body = StudentPlacementCreate(student_id=ID, school_id=OTHER_ID, school_type="GR", start_date=NOON.date())  # type: ignore[arg-type]
    key = lost_key(body, ends, unique=False)
    assert (key.identity, key.unique, key.several) == ((ID, OTHER_ID), False, True)
    sourced = lost_key(
        StudentPlacementCreate(
            student_id=ID,
            school_id=OTHER_ID,
            school_type="GR",  # type: ignore[arg-type]
            start_date=NOON.date(),
            external=ExternalRequest(source_id="p-1"),
        ),
        ends,
        unique=False,
    )
    assert (sourced.identity, sourced.unique, sourced.several) == (("p-1",), False, False)


def test_a_key_keeps_its_values_to_itself() -> None:
    """`repr` and rich show the fields of a key, not its values."""
    key = key_of(StudentFields(identity_number="20150101-4242", first_name="Bo", last_name="Ek"), ("identity_number",))
    console = Console(file=io.StringIO(), width=200)
    console.print(key)
    shown = repr(key) + console.file.getvalue()  # type: ignore[attr-defined]
    assert "20150101" not in shown
    assert repr(key) == "Key(identity_number)"


@given(st.text())
def test_whatever_a_key_holds_every_spelling_of_it_is_the_same_key(text: str) -> None:
    """Trimmed, composed or decomposed, a key has the same identity, and is among its own spellings."""

    def key(title: str) -> Any:
        return key_of(GroupCreate(school_id=ID, title=title), ("school_id", "title"))

    for tidy in SERVERS.values():
        assert tidy(text) in key(text).spellings["title"]
        assert key(tidy(text)).identity == key(text).identity


# What differs.


def student(**more: Any) -> Student:
    """Return a student as a server keeps one."""
    return Student(id=ID, identity_number="20150101-0000", first_name="Åsa", last_name="Ek", **more)


def written(**more: Any) -> StudentFields:
    """Return a write of the same student."""
    return StudentFields(**{"identity_number": "20150101-0000", "first_name": "Åsa", "last_name": "Ek"} | more)


@pytest.mark.parametrize("name", [" Åsa", "Åsa ", unicodedata.normalize("NFD", "Åsa"), "\tA\u030asa\n"])
def test_what_the_server_tidies_does_not_differ(name: str) -> None:
    """Blanks at the ends and Unicode forms are no difference: writing them again would change nothing."""
    assert differences(written(first_name=name), student()) == {}
    assert may_have_made(written(first_name=name), student())


@pytest.mark.parametrize("name", ["Asa", "åsa", "ÅSA", "Å sa", "Åsa.", "", "Åsa\u200b"])
def test_what_the_server_leaves_alone_differs(name: str) -> None:
    """Another letter, another case or an inner blank is a difference."""
    assert differences(written(first_name=name), student()) == {"first_name": name}


def test_blanks_that_are_kept_and_were_not_written_differ() -> None:
    """Blanks that the server keeps and that were not written are a difference."""
    assert differences(written(last_name="Ek"), Student(**{**_values(student()), "last_name": " Ek"})) == {
        "last_name": "Ek"
    }


def _values(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def test_codes_are_kept_in_capitals() -> None:
    """The case of country and municipality codes is no difference; that of other text is."""
    kept = student(address=Address(country_code="SWE", municipality_code="0184", postal_city="Solna"))
    assert differences(written(address=Address(country_code=" swe")), kept) == {}
    assert "address" in differences(written(address=Address(postal_city="SOLNA")), kept)
    shouting = student(address=Address(postal_city="SOLNA"))
    assert "address" in differences(written(address=Address(postal_city="Solna")), shouting)
    school = School(id=ID, title="x", school_type=SchoolType.GR, municipality_code="A184")
    assert differences(SchoolUpdate(title="x", municipality_code="a184"), school) == {}


def test_an_object_of_nulls_differs_from_what_is_written() -> None:
    """A written source id differs from null, and from an object of nulls."""
    for kept in (None, External(source_id=None, source=None)):
        assert "external" in differences(written(external=ExternalRequest(source_id="hr-1")), student(external=kept))


# What changed between two reads.


def test_two_updates_within_a_second_are_seen_by_what_they_changed() -> None:
    """With equal timestamps, a changed field shows the update."""
    meta = Meta(created_at=NOON, updated_at=NOON)
    assert not is_changed(student(meta=meta), student(meta=meta))
    assert is_changed(student(meta=meta), student(meta=meta, gender="Other"))
    assert is_changed(student(meta=meta), student(meta=Meta(created_at=NOON)))
    assert is_changed(student(meta=meta), student(meta=Meta(created_at=NOON, updated_at=NOON, updated_by=ID)))
    assert not is_changed(student(), student(meta=meta))


def test_what_means_the_same_is_no_change() -> None:
    """The order of a list, and an object of nulls in place of null, are no change."""
    group = Group(id=ID, school_id=ID, title="7A", member_ids=[ID, OTHER_ID])
    assert not is_changed(group, Group(id=ID, school_id=ID, title="7A", member_ids=[OTHER_ID, ID]))
    assert is_changed(group, Group(id=ID, school_id=ID, title="7A", member_ids=[OTHER_ID]))
    nothing = External(source_id=None, source=None)
    assert not is_changed(student(external=nothing), student())
    assert not is_changed(student(), student(external=nothing))
    assert is_changed(student(), student(external=External(source_id="hr-1", source="api")))


@pytest.mark.parametrize("later", [0.0, 0.4])
async def test_modify_with_guard_sees_another_write_of_the_same_second(later: float) -> None:
    """An update within the same second is noticed by its fields, and not overwritten."""
    directory = PlainDirectory()
    students = through(directory, "students")
    made = await students.create(identity_number="20150101-0000", first_name="Bo", last_name="Ek")
    read = await students.modify(made, phone_number1="1")
    directory.now += later
    await students.modify(read, last_name="Alm")
    with pytest.raises(ConflictError, match=f"record {made.id} was updated since it was read"):
        await students.modify(read, guard=True, last_name="Berg")
    assert directory.rows["/student"][0]["lastName"] == "Alm"
    fresh = await students.get(made.id)
    assert (await students.modify(fresh, guard=True, last_name="Berg")).last_name == "Berg"
