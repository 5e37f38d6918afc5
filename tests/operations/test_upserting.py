"""Upserts by natural keys, one and many, against a directory in plain dictionaries."""

from __future__ import annotations

import asyncio
import gc
import json
import traceback
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import virtual_time
from plain_directory import PlainDirectory, nfc, raw

from meitner_aio import (
    RESOURCES,
    AmbiguousWriteError,
    BadRequestError,
    ConflictError,
    External,
    ExternalRequest,
    GroupCreate,
    InternalServerError,
    Meitner,
    MultipleFound,
    NotFoundError,
    Outcome,
    StudentFields,
    Upserted,
)
from meitner_aio._operations.bulk import chunks
from meitner_aio._pipeline.retry import Retrying
from meitner_aio._pipeline.retry_policy import RetryPolicy
from meitner_aio._runtime.bulk_context import is_in_bulk

SCHOOL, OTHER_SCHOOL = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64", "0d9b1c3e-7f42-4a86-8b15-6e2d9c0f4a71"
PUPIL, OTHER_PUPIL = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
ENDS = ("student_id", "school_id")
TODAY = datetime.now(UTC).date()


def id_of(number: int) -> str:
    """Return an id for a number."""
    return f"33333333-3333-4333-8333-{number:012d}"


def placed(**more: Any) -> dict[str, Any]:
    """Return what a placement is created from."""
    return {"student_id": PUPIL, "school_id": SCHOOL, "school_type": "GR", "start_date": date(2026, 8, 17), **more}


def kept(directory: PlainDirectory, **more: Any) -> dict[str, Any]:
    """Keep a placement."""
    fields = {"studentID": PUPIL, "schoolID": SCHOOL, "schoolType": "GR", "startDate": "2026-08-17"}
    return directory.put("/student-placement", **fields | more)


ENDED = {"startDate": "2019-08-19", "endDate": "2022-06-10"}
ARCHIVED = {"startDate": "2018-08-20", "archivedAt": "2023-01-01T00:00:00Z"}


# By what a resource is known.


@pytest.mark.parametrize(
    ("attribute", "key", "given", "message"),
    [
        ("students", "email_address1", {}, "cannot be upserted by 'email_address1', only by 'identity_number' or"),
        ("students", ("identity_number",), {}, "only by 'identity_number' or 'source_id'"),
        ("students", "20150101-4242", {}, "StudentFields cannot be upserted by this key, only by"),
        ("students", None, {}, "cannot be upserted by this key"),
        ("students", ["identity_number"], {}, "cannot be upserted by this key"),
        ("units", "identity_number", {}, "UnitFields cannot be upserted by 'identity_number', only by 'source_id'"),
        ("groups", "title", {}, r"by 'title', only by 'source_id' or \('school_id', 'title'\)"),
        ("groups", ("title", "school_id"), {}, r"by \('title', 'school_id'\), only by"),
        ("student_placements", ("employee_id", "school_id"), {}, "cannot be upserted by this key"),
    ],
)
@pytest.mark.parametrize("many", [False, True])
def test_a_wrong_key_is_refused_at_once(attribute: str, key: Any, given: Any, message: str, many: bool) -> None:
    """It is refused before any I/O, naming the valid keys and no value."""
    directory = PlainDirectory()
    resource: Any = RESOURCES[attribute](directory)
    with pytest.raises(ValueError, match=message) as caught:
        resource.upsert_many(key, [given]) if many else resource.upsert(key, **given)
    assert "4242" not in str(caught.value)
    assert directory.requests == []


async def test_a_group_is_known_by_its_school_and_title() -> None:
    """Created once; the class of the same name at another school is another; a member more is an update."""
    directory = PlainDirectory()
    groups: Any = RESOURCES["groups"](directory)
    key = ("school_id", "title")
    made = await groups.upsert(key, school_id=SCHOOL, title="7A")
    other = await groups.upsert(key, school_id=OTHER_SCHOOL, title="7A")
    assert made.created
    assert other.created
    changed = await groups.upsert(key, school_id=SCHOOL, title="7A", member_ids=[PUPIL])
    assert (changed.record.id, changed.created, changed.changed) == (made.record.id, False, True)
    same = await groups.upsert(key, school_id=SCHOOL, title="7A", member_ids=[PUPIL])
    assert not same.changed
    assert directory.asked == [
        "POST /group/_search", "POST /group", "POST /group/_search", "POST /group",
        "POST /group/_search", "PATCH /group/{id}", "POST /group/_search",
    ]  # fmt: skip


async def test_a_group_that_somebody_else_created_is_found() -> None:
    """When the server refuses the create, the existing group is found and updated."""
    directory = PlainDirectory()
    faster = [True]

    def race(method: str, path: str, _: Any) -> None:
        if (method, path) == ("POST", "/group") and faster:
            faster.clear()
            directory.put("/group", schoolID=SCHOOL, title="7A")

    directory.before = race
    done = await RESOURCES["groups"](directory).upsert(
        ("school_id", "title"), school_id=SCHOOL, title="7A", types=["Class"]
    )  # type: ignore[attr-defined]
    assert (done.created, done.changed) == (False, True)
    assert len(directory.rows["/group"]) == 1


# Placements.


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([], None),
        ([{}], 0),
        ([{"startDate": "2026-08-20"}], 0),
        ([ENDED, {}], 1),
        ([ENDED, {"startDate": "2026-08-20"}], 1),
        ([ENDED, ARCHIVED, {"startDate": "2026-08-20"}], 2),
        ([ENDED, {"endDate": "2026-08-30"}], 1),
        ([{"endDate": "2026-08-30"}], 0),
        ([{"endDate": "2026-08-30"}, {"startDate": "2025-08-18"}], 0),
        ([{"startDate": "2026-08-20", "endDate": str(TODAY)}, ENDED], 0),
        ([{"startDate": "2026-08-20", "endDate": str(TODAY + timedelta(days=400))}, ENDED], 0),
    ],
)
async def test_a_placement_is_the_one_of_the_same_day_or_else_the_live_one(others: Any, chosen: int | None) -> None:
    """Ended and archived ones of the same pair are history, unless it is they that are meant."""
    directory = PlainDirectory()
    rows = [kept(directory, **other) for other in others]
    kept(directory, schoolID=OTHER_SCHOOL)
    kept(directory, studentID=OTHER_PUPIL)
    before = json.dumps(rows)
    done = await RESOURCES["student_placements"](directory).upsert(ENDS, **placed(has_childcare=True))  # type: ignore[attr-defined]
    assert done.created is (chosen is None)
    if chosen is not None:
        assert done.record.id == rows[chosen]["id"]
        unchanged = [row for row in rows if row["id"] != done.record.id]
        assert unchanged == [row for row in json.loads(before) if row["id"] != done.record.id]
        assert rows[chosen]["hasChildcare"] is True


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([{}, {}], "2 records of StudentPlacements have the same student_id and school_id, so change one"),
        ([{}, {"startDate": "2026-08-20"}, ENDED], "2 records of StudentPlacements have the same"),
        ([ENDED], "1 records .* have ended: modify one by its id, or create another"),
        ([ENDED, ARCHIVED], "2 records .* have ended"),
        ([{"endDate": "2026-08-30"}, {"archivedAt": "2026-09-30T00:00:00Z"}], "2 records .* have ended"),
    ],
)
async def test_an_upsert_does_not_choose_between_placements(others: Any, message: str) -> None:
    """With two live placements, or only ended ones of other days, nothing is written."""
    directory = PlainDirectory()
    for other in others:
        kept(directory, **other)
    before = json.dumps(directory.rows)
    with pytest.raises(MultipleFound, match=message) as caught:
        await RESOURCES["student_placements"](directory).upsert(ENDS, **placed())  # type: ignore[attr-defined]
    assert PUPIL not in str(caught.value)
    assert json.dumps(directory.rows) == before


async def test_more_placements_than_a_look_shows_are_too_many() -> None:
    """Which of them is meant may be among those that were not looked at."""
    directory = PlainDirectory()
    for _ in range(51):
        kept(directory, **ENDED)
    with pytest.raises(MultipleFound, match="51 records"):
        await RESOURCES["student_placements"](directory).upsert(ENDS, **placed())  # type: ignore[attr-defined]


async def test_an_employees_placement_is_known_by_its_ends_too() -> None:
    """The same rules, by the employee."""
    directory = PlainDirectory()
    placements: Any = RESOURCES["employee_placements"](directory)
    given = {"employee_id": PUPIL, "school_id": SCHOOL, "start_date": date(2026, 8, 17)}
    key = ("employee_id", "school_id")
    done = [await placements.upsert(key, **given), await placements.upsert(key, **given, title="Rektor")]
    assert [(one.created, one.changed) for one in done] == [(True, True), (False, True)]
    assert len(directory.rows["/employee-placement"]) == 1


async def test_racing_placements_of_several_clients_end_as_one() -> None:
    """The client that created later deletes its own placement and updates the other."""
    directory = PlainDirectory()
    racers = [RESOURCES["student_placements"](directory) for _ in range(4)]
    done = await asyncio.gather(*(one.upsert(ENDS, **placed()) for one in racers))  # type: ignore[attr-defined]
    (row,) = directory.rows["/student-placement"]
    assert {one.record.id for one in done} == {row["id"]}
    assert sum(one.created for one in done) == 1


def test_a_lost_placement_is_found_by_its_ends() -> None:
    """Within an upsert, too: one record, and it is the one returned."""

    async def main() -> None:
        directory = PlainDirectory()
        directory.loses = lambda number: number == 0
        placements: Any = RESOURCES["student_placements"](Retrying(directory.send, RetryPolicy()).send)
        done = await placements.upsert(ENDS, **placed())
        (row,) = directory.rows["/student-placement"]
        assert (done.record.id, done.created) == (row["id"], True)
        body = directory.requests[2][2]
        assert body == {"filter": {"equals": {"studentID": PUPIL, "schoolID": SCHOOL}, "orCondition": False}}

    virtual_time.run(main())


# Many.


def person(number: int, **more: Any) -> dict[str, Any]:
    """Return what a person is created from."""
    return {"identity_number": f"20150101-{number:04d}", "first_name": "Åsa", "last_name": f"Ek {number}", **more}


def filled(count: int, **how: Any) -> PlainDirectory:
    """Return a directory with so many students, of some age."""
    directory = PlainDirectory(**how)
    for number in range(count):
        fields = {"identityNumber": f"20150101-{number:04d}", "firstName": "Åsa", "lastName": f"Ek {number}"}
        directory.put("/student", **fields)
    directory.now += 3600
    return directory


async def collected(going: Any) -> list[Outcome[Upserted[Any]]]:
    """Return outcomes by index."""
    return sorted([outcome async for outcome in going], key=lambda outcome: outcome.index)


def told(outcomes: list[Outcome[Upserted[Any]]]) -> list[Any]:
    """Return what outcomes say, in short."""
    return [
        type(one.error).__name__ if one.record is None else (one.record.created, one.record.changed)
        for one in outcomes
    ]  # fmt: skip


@pytest.mark.parametrize("cap", [1000, 50])
async def test_five_hundred_unchanged_rows_cost_ten_requests_at_most(cap: int) -> None:
    """They are found by one search, a page of it after the other; nothing is written."""
    directory = filled(500, cap=cap)
    students: Any = RESOURCES["students"](directory)
    done = await collected(students.upsert_many("identity_number", [person(number) for number in range(500)]))
    assert [one.index for one in done] == list(range(500))
    assert told(done) == [(False, False)] * 500
    assert [one.record.record.last_name for one in done] == [f"Ek {number}" for number in range(500)]  # type: ignore[union-attr]
    assert set(directory.asked) == {"POST /student/_search"}
    assert len(directory.requests) <= 10


@pytest.mark.parametrize("make", [list, iter])
async def test_only_what_differs_is_written(make: Callable[[Any], Any]) -> None:
    """Created, changed, left alone, each told at its index; one request for each that is written."""
    directory = filled(300)
    students: Any = RESOURCES["students"](directory)
    items: list[Any] = [person(number) for number in range(290, 310)]
    items[3] = StudentFields(**items[3] | {"first_name": "Al"})
    done = await collected(students.upsert_many("identity_number", make(items), concurrency=3))
    assert told(done) == [(False, number == 3) if number < 10 else (True, True) for number in range(20)]
    assert directory.asked.count("POST /student/_search") == 1
    assert directory.asked.count("PATCH /student/{id}") == 1
    assert directory.asked.count("POST /student") == 10
    assert len(directory.rows["/student"]) == 310


async def test_no_items_cost_nothing() -> None:
    """Without items there is no request."""
    directory = PlainDirectory()
    assert await collected(RESOURCES["units"](directory).upsert_many("source_id", [])) == []  # type: ignore[attr-defined]
    assert directory.requests == []


async def test_what_is_wrong_with_an_item_is_its_outcome() -> None:
    """Items that the client or the server refuses have errors; the others are written."""
    directory = filled(3)
    students: Any = RESOURCES["students"](directory)
    items = [
        person(0), {"first_name": "Bo"}, person(1, shoe_size=44), None, person(2, first_name="Al"), person(7),
        person(8, email_address1="a@b.se"), person(9, email_address1="a@b.se"),
    ]  # fmt: skip
    done = await collected(students.upsert_many("identity_number", items, concurrency=1))
    assert told(done) == [
        (False, False), "TypeError", "TypeError", "TypeError", (False, True), (True, True), (True, True), "ConflictError",
    ]  # fmt: skip
    assert len(directory.rows["/student"]) == 5


@pytest.mark.parametrize("distance", [1, 600])
async def test_items_with_the_same_key_are_done_one_after_the_other(distance: int) -> None:
    """They are processed in order: the last one wins, and nothing is created twice."""
    directory = filled(0)
    students: Any = RESOURCES["students"](directory)
    between = [person(number) for number in range(1, distance)]
    items = [person(0), *between, person(0, first_name="Bo"), person(0, first_name="Bo"), person(0, first_name="Cy")]
    done = await collected(students.upsert_many("identity_number", items))
    assert told(done[:1] + done[distance:]) == [(True, True), (False, True), (False, False), (False, True)]
    (row,) = [row for row in directory.rows["/student"] if row["identityNumber"] == "20150101-0000"]
    assert row["firstName"] == "Cy"
    assert len({one.record.record.id for one in done[:1] + done[distance:]}) == 1  # type: ignore[union-attr]
    assert directory.asked.count("POST /student/_search") == (1 if distance == 1 else 2)


async def test_who_follows_a_failure_of_the_same_key_looks_again() -> None:
    """After a failed item, the next one with the same key searches again."""
    directory = filled(0)
    students: Any = RESOURCES["students"](directory)
    failures = [500]
    directory.before = lambda method, path, _: (
        failures.pop() if (method, path) == ("POST", "/student") and failures else None
    )
    done = await collected(students.upsert_many("identity_number", [person(0), person(0)]))
    assert told(done) == ["InternalServerError", (True, True)]
    assert directory.asked.count("POST /student/_search") == 2


async def test_two_spellings_are_one_key_among_many() -> None:
    """Two Unicode forms of a title in one call mean the same group."""
    directory = PlainDirectory(tidy=nfc)
    groups: Any = RESOURCES["groups"](directory)
    items = [GroupCreate(school_id=SCHOOL, title=title) for title in ("Å1", " A\u030a1", "Å1 ", "7A")]
    done = await collected(groups.upsert_many(("school_id", "title"), items))
    assert told(done) == [(True, True), (False, False), (False, False), (True, True)]
    again = await collected(RESOURCES["groups"](directory).upsert_many(("school_id", "title"), reversed(items)))  # type: ignore[attr-defined]
    assert told(again) == [(False, False)] * 4


async def test_spellings_that_a_server_keeps_apart_are_told_apart() -> None:
    """A server that tidies nothing has two records: each item finds what one alone would find."""
    directory = PlainDirectory(tidy=raw)
    for title in ("7A", " 7A"):
        directory.put("/group", schoolID=SCHOOL, title=title)
    groups: Any = RESOURCES["groups"](directory)
    key = ("school_id", "title")
    plain, blank = ({"school_id": SCHOOL, "title": title} for title in ("7A", " 7A"))
    assert told(await collected(groups.upsert_many(key, [plain]))) == [(False, False)]
    assert told(await collected(groups.upsert_many(key, [blank]))) == ["MultipleFound"]
    with pytest.raises(MultipleFound):
        await groups.upsert(key, **blank)


async def test_many_groups_of_many_schools_are_found_at_once() -> None:
    """A search by two fields finds more than was asked for: each item takes what is its own."""
    directory = PlainDirectory()
    for number in range(40):
        directory.put("/group", schoolID=id_of(number % 4), title=f"g{number // 4}")
    directory.now += 3600
    groups: Any = RESOURCES["groups"](directory)
    items = [{"school_id": id_of(number % 4).upper(), "title": f"g{number // 4}"} for number in range(0, 44, 3)]
    done = await collected(groups.upsert_many(("school_id", "title"), items))
    assert told(done) == [(False, False)] * 14 + [(True, True)]
    assert directory.asked == ["POST /group/_search", "POST /group"]


async def test_many_placements_follow_the_rules_of_one() -> None:
    """The live one, history that is left alone, and those that are not clear."""
    directory = PlainDirectory()
    for number, others in enumerate(([{}], [ENDED, {}], [{}, {}], [ENDED], [])):
        for other in others:
            kept(directory, **other | {"studentID": id_of(number)})
    directory.now += 3600
    placements: Any = RESOURCES["student_placements"](directory)
    items = [placed(student_id=id_of(number), has_childcare=True) for number in range(5)]
    done = await collected(placements.upsert_many(ENDS, items))
    assert told(done) == [(False, True), (False, True), "MultipleFound", "MultipleFound", (True, True)]
    assert len(directory.rows["/student-placement"]) == 7


async def test_rows_of_other_pairs_are_no_reason_to_look_again() -> None:
    """A search by two fields finds them, as it must: what it does not find of a pair is not there."""
    directory = PlainDirectory()
    kept(directory, studentID=id_of(0), schoolID=OTHER_SCHOOL)
    items = [placed(student_id=id_of(0)), placed(student_id=id_of(1), school_id=OTHER_SCHOOL)]
    done = await collected(RESOURCES["student_placements"](directory).upsert_many(ENDS, items))  # type: ignore[attr-defined]
    assert told(done) == [(True, True)] * 2
    assert directory.asked.count("POST /student-placement/_search") == 2


async def test_created_records_whose_key_is_not_unique_are_checked_at_once() -> None:
    """Whether somebody else was as fast costs one search for all of them, not one for each."""
    directory = PlainDirectory()
    placements: Any = RESOURCES["student_placements"](directory)
    items = [placed(student_id=id_of(number)) for number in range(200)]
    done = await collected(placements.upsert_many(ENDS, items))
    assert told(done) == [(True, True)] * 200
    assert directory.asked.count("POST /student-placement") == 200
    assert directory.asked.count("POST /student-placement/_search") <= 5


async def test_a_race_for_many_ends_with_one_record_each() -> None:
    """Two imports at once, of the same placements: each ends with the record that stays."""
    directory = PlainDirectory()
    items = [placed(student_id=id_of(number)) for number in range(30)]
    racing = (RESOURCES["student_placements"](directory).upsert_many(ENDS, items) for _ in range(2))  # type: ignore[attr-defined]
    one, other = await asyncio.gather(*map(collected, racing))
    ids = [row["id"] for row in directory.rows["/student-placement"]]
    assert len(ids) == 30
    for mine, theirs in zip(one, other, strict=True):
        assert mine.record is not None
        assert theirs.record is not None
        assert mine.record.record.id == theirs.record.record.id in ids
        assert mine.record.created is not theirs.record.created


async def test_a_check_that_fails_leaves_what_was_created() -> None:
    """If the check for duplicates fails, the created records stay and are reported as created."""
    directory = PlainDirectory()
    units: Any = RESOURCES["units"](directory)
    directory.before = lambda _, path, __: 500 if path.endswith("_search") and directory.rows["/unit"] else None
    done = await collected(units.upsert_many("source_id", [{"title": "x", "external": External(source_id="1")}]))
    assert told(done) == [(True, True)]


async def test_a_race_for_what_cannot_be_deleted_is_the_outcome_of_its_item() -> None:
    """Schools cannot be deleted: the slower client gets an error that names both."""
    directory = PlainDirectory()
    items = [{"title": "x", "school_type": "GR", "external": ExternalRequest(source_id=f"{n}")} for n in range(3)]

    def race(method: str, path: str, data: Any) -> None:
        if (method, path) == ("POST", "/school") and data["external"]["sourceID"] == "1":
            directory.put("/school", title="y", schoolType="GR", external={"sourceID": "1"})
            directory.now += 1

    directory.before = race
    done = await collected(RESOURCES["schools"](directory).upsert_many("source_id", items, concurrency=1))  # type: ignore[attr-defined]
    assert told(done) == [(True, True), "ConflictError", (True, True)]


async def test_a_search_that_one_key_spoils_is_made_without_it() -> None:
    """A value that the server refuses in a filter fails its own item only."""
    directory = filled(100)
    students: Any = RESOURCES["students"](directory)
    directory.before = lambda _, __, data: 400 if "poison" in json.dumps(data or {}) else None
    items = [person(number) for number in range(100)]
    items[37]["identity_number"] = "poison"
    done = await collected(students.upsert_many("identity_number", items))
    assert told(done) == ["BadRequestError" if number == 37 else (False, False) for number in range(100)]
    assert isinstance(done[37].error, BadRequestError)
    assert len(directory.requests) < 30


async def test_a_search_that_fails_is_the_outcome_of_its_chunk() -> None:
    """If a search fails, nothing of its chunk is created; the next chunk is not affected."""
    directory = filled(600)
    students: Any = RESOURCES["students"](directory)

    def fail_first(_: str, path: str, data: Any) -> int | None:
        return 503 if path.endswith("_search") and person(0)["identity_number"] in json.dumps(data) else None

    directory.before = fail_first
    done = await collected(students.upsert_many("identity_number", [person(number) for number in range(600)]))
    assert told(done) == ["InternalServerError"] * 500 + [(False, False)] * 100
    assert len({id(one.error) for one in done[:500]}) == 500
    assert all(isinstance(one.error, InternalServerError) for one in done[:500])


async def test_rows_that_moved_out_of_sight_are_not_created_again() -> None:
    """Without a unique key a search that may lack rows proves nothing: what it did not show is looked for alone."""
    directory = PlainDirectory(cap=10)
    for number in range(30):
        directory.put("/unit", title="x", external={"sourceID": f"u{number}"})
    units: Any = RESOURCES["units"](directory)

    def move(_: str, __: str, ___: Any) -> None:
        if len(directory.requests) == 2:
            rows = directory.rows["/unit"]
            rows.insert(
                0, rows.pop()
            )  # the last row comes to the front: the second page begins with the last of the first

    directory.before = move
    items = [{"title": "x", "external": External(source_id=f"u{number}")} for number in range(30)]
    done = await collected(units.upsert_many("source_id", items))
    assert told(done) == [(False, False)] * 30
    assert "POST /unit" not in directory.asked


async def test_a_server_that_compares_text_in_its_own_way_is_asked_again() -> None:
    """It finds what no item recognises: nothing is created that it would have found for one alone."""

    class Lax(PlainDirectory):
        def _same(self, asked: Any, kept: Any) -> bool:
            return str(asked).casefold() == str(kept).casefold()

    directory = Lax()
    for number in range(3):
        directory.put("/unit", title="x", external={"sourceID": f"U{number}"})
    units: Any = RESOURCES["units"](directory)
    items = [{"title": "x", "external": External(source_id=f"u{number}")} for number in range(3)]
    done = await collected(units.upsert_many("source_id", items))
    assert "POST /unit" not in directory.asked
    assert [one.record.record.external.source_id for one in done] == ["u0", "u1", "u2"]  # type: ignore[union-attr]


async def test_what_was_deleted_meanwhile_is_created_anew() -> None:
    """A record deleted between search and update is created again."""
    directory = filled(2)
    students: Any = RESOURCES["students"](directory)

    def delete(method: str, *_: Any) -> None:
        if method == "PATCH":
            directory.rows["/student"].clear()

    directory.before = delete
    done = await collected(students.upsert_many("identity_number", [person(0, first_name="Al")]))
    assert told(done) == [(True, True)]


async def test_what_can_never_change_is_the_outcome_of_its_item() -> None:
    """A changed category of a group is a conflict of its own item."""
    directory = PlainDirectory()
    directory.put("/group", schoolID=SCHOOL, title="7A", category="Other")
    directory.put("/group", schoolID=SCHOOL, title="7B")
    items = [{"school_id": SCHOOL, "title": title, "category": "Education"} for title in ("7A", "7B")]
    done = await collected(RESOURCES["groups"](directory).upsert_many(("school_id", "title"), items))  # type: ignore[attr-defined]
    assert told(done) == ["ConflictError", (False, False)]
    assert isinstance(done[0].error, ConflictError)


def test_lost_creates_of_many_are_found() -> None:
    """A third of the answers is lost: one record each, and each outcome has it."""

    async def main() -> None:
        directory = PlainDirectory()
        directory.loses = lambda number: number % 3 == 0
        students: Any = RESOURCES["students"](Retrying(directory.send, RetryPolicy()).send)
        done = await collected(students.upsert_many("identity_number", map(person, range(60))))
        assert told(done) == [(True, True)] * 60
        assert len(directory.rows["/student"]) == 60
        assert not any(isinstance(one.error, AmbiguousWriteError) for one in done)

    virtual_time.run(main())


# How items are taken.


def test_items_are_taken_a_chunk_at_a_time() -> None:
    """Nothing of the next chunk before every outcome of this one was consumed, however many there are."""

    async def main() -> None:
        directory = filled(0)
        students: Any = RESOURCES["students"](directory)
        taken = 0

        def endless() -> Iterator[dict[str, Any]]:
            nonlocal taken
            while True:
                taken += 1
                yield person(taken % 900)

        going = students.upsert_many("identity_number", endless())
        consumed = 0
        async for _ in going:
            consumed += 1
            assert taken <= (consumed - 1) // 500 * 500 + 501
            if consumed == 1200:
                break
        await going.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtual_time.run(main())


def test_an_item_that_waits_for_the_outcome_of_the_one_before_gets_it() -> None:
    """A slow source is not waited for until a chunk is full."""

    async def main() -> None:
        directory = filled(0)
        outcomes: asyncio.Queue[Any] = asyncio.Queue()

        async def conversing() -> AsyncIterator[dict[str, Any]]:
            for number in range(5):
                yield person(number)
                assert (await outcomes.get()).index == number

        students: Any = RESOURCES["students"](directory)
        async for outcome in students.upsert_many("identity_number", conversing()):
            outcomes.put_nowait(outcome)
        assert len(directory.rows["/student"]) == 5

    virtual_time.run(main())


class _PoorError(Exception):
    """What an iterable raises."""


@pytest.mark.parametrize("end", [0, 1, 7, 500, 501])
async def test_what_the_iterable_raises_comes_after_the_items_before(end: int) -> None:
    """Whoever reads a broken file learns what became of every line before."""
    directory = filled(0)
    students: Any = RESOURCES["students"](directory)

    def breaking() -> Iterator[dict[str, Any]]:
        yield from map(person, range(end))
        raise _PoorError

    got: list[int] = []

    async def consume() -> None:
        async for outcome in students.upsert_many("identity_number", breaking()):
            got.append(outcome.index)

    with pytest.raises(_PoorError):
        await consume()
    assert sorted(got) == list(range(end))
    assert len(directory.rows["/student"]) == end
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("concurrency", [0, -1])
def test_a_concurrency_below_one_is_refused_at_once(concurrency: int) -> None:
    """It is refused as by the other bulk calls."""
    with pytest.raises(ValueError, match="at least 1"):
        RESOURCES["units"](PlainDirectory()).upsert_many("source_id", [], concurrency=concurrency)  # type: ignore[attr-defined]


def test_no_more_writes_are_under_way_than_allowed() -> None:
    """Exactly as many writes as allowed are in flight while there are items."""

    async def main() -> None:
        directory = filled(0)
        flying = most = 0

        async def slow(request: Any) -> Any:
            nonlocal flying, most
            flying += 1
            most = max(most, flying)
            await asyncio.sleep(1)
            flying -= 1
            return await directory(request)

        await collected(
            RESOURCES["students"](slow).upsert_many("identity_number", map(person, range(30)), concurrency=5)
        )  # type: ignore[attr-defined]
        assert most == 5

    virtual_time.run(main())


@pytest.mark.parametrize("step", range(0, 90, 3))
@pytest.mark.parametrize("close", [True, False])
def test_cancelling_or_closing_leaves_nothing(step: int, close: bool) -> None:
    """At any step of the loop, no task or open source is left."""

    async def main() -> None:
        ended = started = False

        async def source() -> AsyncIterator[dict[str, Any]]:
            nonlocal ended, started
            started = True
            try:
                for number in range(20):
                    await asyncio.sleep(0.03)
                    yield person(number % 7)
            finally:
                ended = True

        async def consume() -> None:
            going = RESOURCES["students"](filled(3)).upsert_many("identity_number", source(), concurrency=2)  # type: ignore[attr-defined]
            try:
                async for outcome in going:
                    if close and outcome.index * 9 >= step:
                        break
            finally:
                await going.aclose()

        task = asyncio.create_task(consume())
        for _ in range(step):
            await asyncio.sleep(0.005)
        if not close:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert ended or not started

    virtual_time.run(main())


def test_memory_does_not_grow_with_the_number_of_items() -> None:
    """After thousands of items, thousands more leave nothing behind."""

    async def main() -> None:
        asyncio.get_running_loop().set_debug(False)  # it would keep a stack for every future
        directory = filled(300)
        seen, sizes = 0, list[int]()
        try:
            async for _ in RESOURCES["students"](directory).upsert_many(  # type: ignore[attr-defined]
                "identity_number", (person(number % 300) for number in range(1500))
            ):
                directory.requests.clear()
                seen += 1
                if seen == 300:
                    tracemalloc.start()
                if seen in (700, 1300):
                    gc.collect()
                    sizes.append(tracemalloc.get_traced_memory()[0])
            assert sizes[1] - sizes[0] < 50_000
        finally:
            tracemalloc.stop()

    virtual_time.run(main())


async def test_outcomes_show_nothing_personal() -> None:
    """An outcome in a log is an index, an id and masks; an error names fields."""
    directory = filled(1)
    students: Any = RESOURCES["students"](directory)
    items = [person(0), person(1, email_address1="a@b.se"), person(2, email_address1="a@b.se"), person(3, gender=7)]
    directory.before = lambda _, path, data: 500 if path == "/student" and data["lastName"] == "Ek 4" else None
    done = await collected(students.upsert_many("identity_number", [*items, person(4)], concurrency=1))
    text = repr(done)
    for error in (outcome.error for outcome in done if outcome.error is not None):
        shown = traceback.TracebackException(type(error), error, error.__traceback__, capture_locals=True)
        # But for the frames of this test's own directory, which hold what they were sent.
        shown.stack = traceback.StackSummary.from_list(
            frame for frame in shown.stack if "meitner_aio" in frame.filename
        )
        text += "".join(shown.format())
    assert "ConflictError" in text
    assert "_attempt" in text
    assert not any(secret in text for secret in ("20150101", "Ek ", "a@b.se", "Åsa"))


async def test_chunks_hold_what_was_ready() -> None:
    """Full ones while items come at once; what came before a pause does not wait for what comes after."""

    async def halting() -> AsyncIterator[int]:
        for number in range(7):
            if number == 4:
                await asyncio.sleep(0.05)
            yield number

    got = [[item for _, item in chunk] async for chunk in chunks(halting(), 3, patience=0.005)]
    assert got == [[0, 1, 2], [3], [4, 5, 6]]
    assert [len(chunk) async for chunk in chunks(range(6), 3)] == [3, 3]
    assert [chunk async for chunk in chunks((), 3)] == []


async def test_a_missing_record_is_an_outcome_like_any_other() -> None:
    """A server that finds a record and cannot update it is believed after three times."""
    directory = filled(1)
    directory.before = lambda method, *_: 404 if method == "PATCH" else None
    done = await collected(RESOURCES["students"](directory).upsert_many("identity_number", [person(0, first_name="A")]))  # type: ignore[attr-defined]
    assert isinstance(done[0].error, NotFoundError)
    assert directory.asked.count("PATCH /student/{id}") == 3


async def test_every_request_of_many_waits_for_the_quota_as_bulk_does() -> None:
    """Searches, writes, and the taking back of what somebody else created first: none gives up like a single call."""
    directory = PlainDirectory()
    patient: list[tuple[str, bool]] = []

    async def listening(request: Any) -> Any:
        patient.append((request.method, request.bulk or is_in_bulk()))
        return await directory(request)

    def race(method: str, path: str, data: Any) -> None:
        if (method, path) == ("POST", "/student-placement") and data["studentID"] == id_of(1):
            kept(directory, studentID=id_of(1))
            directory.now += 1

    directory.before = race
    items = [placed(student_id=id_of(number), has_childcare=True) for number in (0, 1, 1, 2, 2)]
    await collected(RESOURCES["student_placements"](listening).upsert_many(ENDS, [items[0], items[1], items[3]]))  # type: ignore[attr-defined]
    await collected(RESOURCES["student_placements"](listening).upsert_many(ENDS, items))  # type: ignore[attr-defined]
    assert {method for method, _ in patient} == {"POST", "DELETE", "PATCH"}
    assert all(bulk for _, bulk in patient)


async def test_who_follows_a_record_that_gives_way_writes_to_the_one_that_stays() -> None:
    """Created, changed by the next item of the same key, and somebody else was first: both end up in that record."""
    directory = PlainDirectory()

    def race(method: str, path: str, _: Any) -> None:
        if (method, path) == ("POST", "/student-placement"):
            kept(directory)
            directory.now += 1

    directory.before = race
    items = [placed(), placed(has_childcare=True)]
    done = await collected(RESOURCES["student_placements"](directory).upsert_many(ENDS, items))  # type: ignore[attr-defined]
    (row,) = directory.rows["/student-placement"]
    assert told(done) == [(False, False), (False, True)]
    assert row["hasChildcare"] is True


async def test_through_the_front_door() -> None:
    """With the whole client between, on the sandbox: 500 students as they are, one with another name, one more."""
    async with Meitner.sandbox(students=500) as meitner:
        names = ("identity_number", "first_name", "last_name")
        rows = [{name: getattr(row, name) for name in names} async for row in meitner.students.list()]
        with meitner.capture() as seen:
            done = await collected(meitner.students.upsert_many("identity_number", rows))
        assert told(done) == [(False, False)] * 500
        assert len(seen) <= 10
        changes = [rows[7] | {"first_name": "Al"}, person(0)]
        assert told(await collected(meitner.students.upsert_many("identity_number", changes))) == [
            (False, True),
            (True, True),
        ]
