"""Upserts by several keys: the record that has any of them, in one search, and nothing written where they disagree."""

from __future__ import annotations

import asyncio
import inspect
import json
from datetime import date
from traceback import StackSummary, walk_tb
from typing import Any

import pytest
from plain_directory import PlainDirectory, nfc

from meitner_aio import RESOURCES, ConflictError, External, Meitner, MultipleFound, Student
from meitner_aio._operations.keys import Found
from meitner_aio._operations.upsert import Upserting
from meitner_aio.resources.students import StudentFields

BOTH = ("identity_number", "source_id")
SCHOOL, OTHER_SCHOOL = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64", "0d9b1c3e-7f42-4a86-8b15-6e2d9c0f4a71"
PUPIL = "11111111-1111-4111-8111-111111111111"
NUMBER = "20150101-4242"


def person(number: int = 1, source: int | None = 1, **more: Any) -> dict[str, Any]:
    """Return a person by the number of each key."""
    key = {"identity_number": f"20150101-{number:04}", "external": {"source_id": f"hr-{source}"}}
    return key | {"first_name": "Bo", "last_name": "Ek"} | more


def kept(directory: PlainDirectory, number: int, source: int | None, **more: Any) -> dict[str, Any]:
    """Keep a student by the number of each key."""
    external = {} if source is None else {"external": {"sourceID": f"hr-{source}"}}
    names = {"firstName": "Bo", "lastName": "Ek"}
    return directory.put("/student", identityNumber=f"20150101-{number:04}", **external, **names, **more)


@pytest.fixture
def directory() -> PlainDirectory:
    """Give an empty directory."""
    return PlainDirectory()


@pytest.fixture
def students(directory: PlainDirectory) -> Any:
    """Give its students."""
    return RESOURCES["students"](directory)


async def test_one_search_asks_for_all_keys(directory: PlainDirectory, students: Any) -> None:
    """Created with two requests, left alone with one, updated with two."""
    made = await students.upsert(BOTH, **person())
    assert (made.created, made.changed) == (True, True)
    same = await students.upsert(BOTH, **person())
    assert (same.record.id, same.created, same.changed) == (made.record.id, False, False)
    other = await students.upsert(BOTH, **person(last_name="Berg"))
    assert (other.record.id, other.record.last_name, other.created) == (made.record.id, "Berg", False)
    search, create = "POST /student/_search", "POST /student"
    assert directory.asked == [search, create, search, search, "PATCH /student/{id}"]
    filters = [data["filter"] for _, path, data in directory.requests if path.endswith("_search")]
    assert filters[0]["orCondition"] is True
    assert [one["equals"] for one in filters[0]["nestedFilters"]] == [
        {"identityNumber": "20150101-0001"},
        {"external": {"sourceID": "hr-1"}},
    ]


@pytest.mark.parametrize("key", [BOTH, BOTH[::-1]])
async def test_a_record_that_has_one_of_the_keys_gets_the_other(key: Any, directory: PlainDirectory) -> None:
    """Known by its number, it gets the source id; known by the source id, it gets the number that became permanent."""
    students: Any = RESOURCES["students"](directory)
    by_number, by_source = kept(directory, 1, None), kept(directory, 9, 2)
    one = await students.upsert(key, **person(1, 1))
    two = await students.upsert(key, **person(2, 2))
    assert (one.record.id, one.record.external.source_id) == (by_number["id"], "hr-1")
    assert (two.record.id, two.record.identity_number) == (by_source["id"], "20150101-0002")
    assert not one.created
    assert not two.created
    assert len(directory.rows["/student"]) == 2


@pytest.mark.parametrize("many", [False, True])
async def test_keys_that_name_two_records_are_an_error_with_their_ids(many: bool, directory: PlainDirectory) -> None:
    """One search, no write, and no value of a key in the error; which of the two is meant is for a person to say."""
    students: Any = RESOURCES["students"](directory)
    ids = {kept(directory, 1, None)["id"], kept(directory, 2, 1)["id"]}
    before = json.dumps(directory.rows["/student"])
    if many:
        (outcome,) = [one async for one in students.upsert_many(BOTH, [person(1, 1, last_name="Berg")])]
        error = outcome.error
    else:
        with pytest.raises(MultipleFound) as caught:
            await students.upsert(BOTH, **person(1, 1, last_name="Berg"))
        error = caught.value
    assert isinstance(error, MultipleFound)
    assert set(error.ids) == ids
    assert all(one in str(error) for one in ids)
    assert "identity_number and source_id name different records of Students" in str(error)
    assert "0001" not in str(error)
    assert "hr-1" not in str(error)
    frames = StackSummary.extract(walk_tb(error.__traceback__), capture_locals=True)
    assert not [frame for frame in frames if frame.filename != __file__ and "20150101-0001" in str(frame.locals)]
    assert directory.asked == ["POST /student/_search"]
    assert json.dumps(directory.rows["/student"]) == before


async def test_two_records_with_one_source_id_are_told_with_their_ids(directory: PlainDirectory, students: Any) -> None:
    """With a single key, too: a source id need not be unique."""
    ids = {kept(directory, number, 1)["id"] for number in (1, 2)}
    with pytest.raises(MultipleFound, match="2 records of Students have the same source_id") as caught:
        await students.upsert("source_id", **person(3, 1))
    assert set(caught.value.ids) == ids


async def test_a_create_that_another_client_wins_is_found_by_any_key(directory: PlainDirectory, students: Any) -> None:
    """The server refuses the second number, and the record of the other client is updated."""
    faster = [True]

    def race(method: str, path: str, _: Any) -> None:
        if (method, path) == ("POST", "/student") and faster:
            faster.clear()
            kept(directory, 1, None)

    directory.before = race
    done = await students.upsert(BOTH, **person())
    assert (done.created, done.changed, len(directory.rows["/student"])) == (False, True, 1)


async def test_a_group_by_its_place_or_its_source_id(directory: PlainDirectory) -> None:
    """A key of two fields is one of several; what its source id says to be elsewhere cannot move."""
    groups: Any = RESOURCES["groups"](directory)
    key = ("source_id", ("school_id", "title"))
    row = directory.put("/group", schoolID=SCHOOL, title="7A")
    given = {"title": "7A", "external": {"source_id": "g-1"}}
    done = await groups.upsert(key, school_id=SCHOOL, **given)
    assert (done.record.id, done.created, done.record.external.source_id) == (row["id"], False, "g-1")
    renamed = await groups.upsert(key, school_id=SCHOOL, title="8A", external={"source_id": "g-1"})
    assert (renamed.record.id, renamed.record.title) == (row["id"], "8A")
    with pytest.raises(ConflictError, match=f"record {row['id']} differs in school_id"):
        await groups.upsert(key, school_id=OTHER_SCHOOL, **given)


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([("p-1", "2026-08-17", None)], 0),
        ([(None, "2026-08-17", None)], 0),
        ([("p-0", "2018-08-20", "2020-06-10"), ("p-1", "2026-08-17", None)], 1),
        ([("p-1", "2018-08-20", "2020-06-10"), ("p-2", "2026-08-20", None)], 0),
        ([("p-0", "2018-08-20", "2020-06-10"), (None, "2026-08-20", None)], 1),
        ([], None),
    ],
)
async def test_a_placement_by_its_source_id_or_its_ends(
    rows: Any, chosen: int | None, directory: PlainDirectory
) -> None:
    """Where the source id says which of the placements of a pair it is, the others are no contradiction."""
    kept = [
        directory.put(
            "/student-placement",
            studentID=PUPIL,
            schoolID=SCHOOL,
            schoolType="GR",
            startDate=start,
            endDate=end,
            **({"external": {"sourceID": source}} if source else {}),
        )
        for source, start, end in rows
    ]
    placements: Any = RESOURCES["student_placements"](directory)
    done = await placements.upsert(
        ("source_id", ("student_id", "school_id")),
        student_id=PUPIL,
        school_id=SCHOOL,
        school_type="GR",
        start_date=date(2026, 8, 17),
        external={"source_id": "p-1"},
    )
    assert done.created is (chosen is None)
    assert chosen is None or done.record.id == kept[chosen]["id"]
    assert len(directory.rows["/student-placement"]) == max(1, len(rows))


@pytest.mark.parametrize("spelling", ["source_id", BOTH])
async def test_what_only_the_server_recognises_counts(spelling: Any) -> None:
    """A server that compares in its own way found a row: alone it is the record, beside another it is a contradiction."""
    students: Any = RESOURCES["students"](PlainDirectory(tidy=nfc))
    upserting = Upserting(students, StudentFields, BOTH)
    asked = upserting.asked(upserting.keys(spelling), person(1, 1))

    stranger, known = _read("1", "x", "HR-1"), _read("2", "20150101-0001", "hr-9")
    assert upserting.chosen([stranger], asked) == stranger
    with pytest.raises(MultipleFound):
        upserting.chosen([stranger, known], asked)


def _read(end: str, number: str, source: str) -> Student:
    """Return a student as it is read."""
    external = External(source_id=source)
    return Student(id=f"{PUPIL[:-1]}{end}", identity_number=number, first_name="Bo", last_name="Ek", external=external)


@pytest.mark.parametrize(
    "key",
    [
        ("identity_number",),
        ("identity_number", "identity_number"),
        ("identity_number", "email_address1"),
        (BOTH, "source_id"),
        ("identity_number", NUMBER),
        (),
        ["identity_number", "source_id"],
        {"identity_number", "source_id"},
        ("identity_number", ["source_id"]),
    ],
)
@pytest.mark.parametrize("many", [False, True])
def test_wrong_keys_are_refused_at_once(key: Any, many: bool, directory: PlainDirectory, students: Any) -> None:
    """Before any request, with those that there are and without a value."""
    with pytest.raises(
        ValueError, match="only by 'identity_number' or 'source_id', or by several of these in a"
    ) as caught:
        students.upsert_many(key, [person()]) if many else students.upsert(key, **person())
    assert NUMBER not in str(caught.value)
    assert directory.requests == []


def test_every_key_is_among_the_fields(directory: PlainDirectory, students: Any) -> None:
    """A key that is not given finds nothing: refused before any request."""
    given = person()
    del given["external"]
    with pytest.raises(ValueError, match="upsert by source_id needs external"):
        students.upsert(BOTH, **given)
    assert directory.requests == []


# Many.


async def test_many_are_looked_up_in_few_searches(directory: PlainDirectory, students: Any) -> None:
    """300 that are as they should be: two searches of 250 items and 50, each with both keys, and no write."""
    for number in range(300):
        kept(directory, number, number)
    done = [one async for one in students.upsert_many(BOTH, (person(number, number) for number in range(300)))]
    assert [(one.error, one.record.changed) for one in done] == [(None, False)] * 300
    assert directory.asked == ["POST /student/_search"] * 2


async def test_each_of_many_is_found_by_either_key(directory: PlainDirectory, students: Any) -> None:
    """By the number, by the source id, by both, or created: one search, and a write for what differs."""
    ids = [kept(directory, 1, None)["id"], kept(directory, 9, 2)["id"], kept(directory, 3, 3)["id"]]
    items = [person(number, number) for number in (1, 2, 3, 4)]
    done = {one.index: one.record async for one in students.upsert_many(BOTH, items, concurrency=1)}
    assert [done[index].record.id for index in range(3)] == ids
    assert [(done[index].created, done[index].changed) for index in range(4)] == [
        (False, True), (False, True), (False, False), (True, True),
    ]  # fmt: skip
    assert directory.asked == [
        "POST /student/_search", "PATCH /student/{id}", "PATCH /student/{id}", "POST /student",
    ]  # fmt: skip
    assert len(directory.rows["/student"]) == 4


@pytest.mark.parametrize("concurrency", [1, 8])
async def test_items_with_a_key_in_common_follow_each_other(
    concurrency: int, directory: PlainDirectory, students: Any
) -> None:
    """The second creates nothing, the third has a key of each of two others: it waits for both, and is refused."""
    items = [person(1, 1), person(2, 2), person(1, 3), person(2, 3), person(2, 2, last_name="Berg")]
    outcomes = {one.index: one async for one in students.upsert_many(BOTH, items, concurrency=concurrency)}
    assert outcomes[0].record.created
    assert outcomes[1].record.created
    assert outcomes[2].record.record.id == outcomes[0].record.record.id
    assert outcomes[2].record.record.external.source_id == "hr-3"
    assert isinstance(outcomes[3].error, MultipleFound)
    assert outcomes[4].record.record.last_name == "Berg"
    assert [row["external"]["sourceID"] for row in directory.rows["/student"]] == ["hr-3", "hr-2"]


async def test_two_items_that_name_one_record_by_different_keys_are_refused(
    directory: PlainDirectory, students: Any
) -> None:
    """Otherwise each would overwrite the other's key; a third item goes on."""
    id = kept(directory, 1, 1)["id"]
    items = [person(1, 5), person(6, 1), person(7, 7)]
    outcomes = {one.index: one async for one in students.upsert_many(BOTH, items)}
    for index in (0, 1):
        error = outcomes[index].error
        assert isinstance(error, MultipleFound)
        assert error.ids == (id,)
    assert outcomes[2].record.created
    assert directory.asked == ["POST /student/_search", "POST /student"]


async def test_upserts_at_once_that_share_one_key_make_one_record(directory: PlainDirectory, students: Any) -> None:
    """By either key, in any order of the keys: a client does not race with itself."""
    done = await asyncio.gather(
        students.upsert(BOTH, **person(1, 1)),
        students.upsert(BOTH[::-1], **person(2, 1)),
        students.upsert("source_id", **person(2, 1)),
        students.upsert("identity_number", **person(2, 1)),
    )
    assert len({one.record.id for one in done}) == len(directory.rows["/student"]) == 1


# What it says of itself.


async def test_the_sandbox_and_the_real_seam_take_it() -> None:
    """Through a whole client: created, found by the other key, in two requests and two."""
    async with Meitner.sandbox(students=0) as meitner:
        app: Any = meitner._core.transport
        before = len(app.received)
        made = await meitner.students.upsert(BOTH, **person())
        again = await meitner.students.upsert(BOTH, **person(7, 1))
        assert (again.record.id, again.record.identity_number) == (made.record.id, "20150101-0007")
        assert len(app.received) - before == 4


def test_the_signature_names_the_keys() -> None:
    """Editors that read the bound call see one key or several; a resource with one key has no several."""
    students, units = (RESOURCES[name](PlainDirectory()) for name in ("students", "units"))
    shown = str(inspect.signature(students.upsert).parameters["key"].annotation)  # type: ignore[attr-defined]
    assert "tuple[typing.Literal['identity_number', 'source_id'], ...]" in shown
    assert "tuple" not in str(inspect.signature(units.upsert).parameters["key"].annotation)  # type: ignore[attr-defined]


def test_records_are_found_by_each_key_once() -> None:
    """A record that has both keys is one."""
    students: Any = RESOURCES["students"](PlainDirectory())
    upserting = Upserting(students, StudentFields, BOTH)
    asked = upserting.asked(BOTH, person(1, 1))
    both = _read("1", "20150101-0001", "hr-1")
    assert Found([both], [("identity_number",), ("source_id",)]).of(asked.keys) == [both]
