"""How the sandbox reads and writes values and pages: what the vendor's own code suggests, and what may be chosen."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from sandbox_calls import NOBODY, Clock, call, made, person, placed_employee, placed_student, school, search

from meitner_aio.sandbox import Sandbox


@pytest.fixture
def sandbox():
    """Give an empty directory with the usual ways."""
    return Sandbox(students=0, schools=0, clock=Clock())


async def _titles(sandbox: Sandbox, **groups: Any) -> str:
    return "".join(row["title"] for row in (await search(sandbox, "/unit", **groups)).rows)


# Text on its way in


async def test_text_is_trimmed(sandbox):
    """In creates and updates, in objects too, whatever white space it is; inside it stays."""
    row = await made(
        sandbox, "/student", **person(firstName=" Bo\t", lastName="\u00a0af  Ek\n", address={"postalCity": " Umeå "})
    )
    assert (row["firstName"], row["lastName"], row["address"]["postalCity"]) == ("Bo", "af  Ek", "Umeå")
    same = {name: row[name] for name in ("identityNumber", "firstName")}
    updated = await call(sandbox, "PATCH", f"/student/{row['id']}", {**same, "lastName": "  Ask"})
    assert updated.data["lastName"] == "Ask"
    assert (await made(sandbox, "/unit", title=" ", description="   "))["description"] == ""


async def test_a_unique_value_is_unique_trimmed(sandbox):
    """The group that is called the same with a space is the same."""
    place = await school(sandbox)
    await made(sandbox, "/group", schoolID=place, title="7A")
    assert (await call(sandbox, "POST", "/group", {"schoolID": place, "title": " 7A "})).status == 409


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ({"equals": {"title": " a "}}, "a"),
        ({"notEquals": {"title": " a "}}, "b"),
        ({"contains": {"title": ["b ", "\tc"]}}, "b"),
        ({"like": {"title": " a% "}}, "a"),
        ({"like": {"title": "%b "}}, "b"),
        ({"notLike": {"title": " a"}}, "b"),
    ],
)
async def test_text_in_a_search_is_trimmed(groups, found, sandbox):
    """Values and LIKE patterns alike."""
    for title in "ab":
        await made(sandbox, "/unit", title=title)
    assert await _titles(sandbox, **groups) == found


async def test_codes_are_upper_cased(sandbox):
    """Those of countries and municipalities, of people and schools, kept and searched for; other text keeps its case."""
    row = await made(
        sandbox, "/student", **person(lastName="ek", address={"countryCode": " swe ", "postalCity": "umeå"})
    )
    assert row["address"]["countryCode"] == "SWE"
    assert (row["lastName"], row["address"]["postalCity"]) == ("ek", "umeå")
    for asked in ("swe", "SWE"):
        assert (await search(sandbox, "/student", equals={"address": {"countryCode": asked}})).rows == [row]
    assert (await search(sandbox, "/student", like={"address": {"countryCode": "sw%"}})).rows == [row]


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Åsa") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("normalize", "kept"), [(None, DECOMPOSED), ("NFC", COMPOSED)])
async def test_text_keeps_its_unicode_form_unless_asked(normalize, kept):
    """With `normalize="NFC"` both spellings are one, kept and searched for."""
    sandbox = Sandbox(students=0, schools=0, normalize=normalize)
    unit = await made(sandbox, "/unit", title=DECOMPOSED)
    assert unit["title"] == kept
    found = [len((await search(sandbox, "/unit", equals={"title": text})).rows) for text in (COMPOSED, DECOMPOSED)]
    assert found == ([1, 1] if normalize else [0, 1])


# What an update says


async def test_an_update_says_as_much_as_it_names(sandbox):
    """Absent is left alone; null clears a scalar, says nothing of a list or an object, and clears a member of one."""
    place = await school(sandbox)
    student, teacher = await placed_student(sandbox, place), await placed_employee(sandbox, place)
    group = await made(
        sandbox, "/group", schoolID=place, title="7A", types=["Class"], memberIDs=[student], moderatorIDs=[teacher],
        external={"sourceID": "7"},
    )  # fmt: skip
    path, lists = f"/group/{group['id']}", ("types", "memberIDs", "moderatorIDs")
    for silent in ({}, dict.fromkeys((*lists, "external"))):
        answer = await call(sandbox, "PATCH", path, {"title": "7A", **silent})
        assert answer.data == {**group, "meta": answer.data["meta"]}
    answer = await call(sandbox, "PATCH", path, {"title": "7A", **{name: [] for name in lists}})
    assert [answer.data[name] for name in lists] == [[], [], []]

    address = {"postalCity": "Umeå", "postalCode": "903 25"}
    row = await made(sandbox, "/student", **person(gender="Other", address=address))
    same = {name: row[name] for name in ("identityNumber", "firstName", "lastName")}
    path = f"/student/{row['id']}"
    assert (await call(sandbox, "PATCH", path, {**same, "address": None})).data["address"] == row["address"]
    answer = await call(sandbox, "PATCH", path, {**same, "gender": None, "address": {"postalCode": None}})
    assert (answer.data["gender"], answer.data["address"]) == (None, {**row["address"], "postalCode": None})


async def test_a_create_with_a_null_list_has_an_empty_one(sandbox):
    """Null says nothing here, too."""
    guardian = await made(sandbox, "/guardian", **person(studentIDs=None, external=None, address=None))
    assert (guardian["studentIDs"], guardian["external"]) == ([], None)
    assert guardian["address"]["postalCity"] is None


# What is unknown


async def test_a_search_does_not_hear_what_it_does_not_know(sandbox):
    """Groups, fields, fields of another type than the group takes, and whatever stands beside the filter."""
    for title in "ab":
        await made(sandbox, "/unit", title=title)
    for unheard in (
        {"equal": {"title": "a"}},
        {"equals": {"titel": "a"}},
        {"like": {"id": "a%"}},
        {"greaterThan": {"title": 5}},
        {"null": {"title": True}},
        {"equals": {"meta": {"madeAt": "x"}}},
    ):
        assert await _titles(sandbox, **unheard) == "ab", unheard
        assert await _titles(sandbox, **{"contains": {"title": ["a"]}, **unheard}) == "a"
    body = {"filter": {"orCondition": False, "equals": {"title": "a"}}, "sort": "title"}
    assert len((await call(sandbox, "POST", "/unit/_search", body)).rows) == 1
    assert (await call(sandbox, "POST", "/unit/_search", {"filters": {}})).status == 400


# What is nil


async def test_empty_lists_may_be_sent_as_null():
    """With `nil_lists`, in records and pages, got, listed, searched for, created and updated; a full one is a list."""
    sandbox = Sandbox(students=0, schools=0, nil_lists=True)
    assert (await call(sandbox, "GET", "/group")).data["data"] is None
    assert (await search(sandbox, "/group")).data["data"] is None
    place = await school(sandbox)
    student = await placed_student(sandbox, place)
    group = await made(sandbox, "/group", schoolID=place, title="7A", types=["Class"], memberIDs=[student])
    assert (group["types"], group["memberIDs"], group["moderatorIDs"]) == (["Class"], [student], None)
    emptied = await call(sandbox, "PATCH", f"/group/{group['id']}", {"title": "7A", "memberIDs": [], "types": []})
    assert (emptied.data["types"], emptied.data["memberIDs"]) == (None, None)
    assert (await call(sandbox, "GET", f"/group/{group['id']}")).data == emptied.data
    assert (await call(sandbox, "GET", "/group")).rows == [emptied.data]
    assert (await search(sandbox, "/group", null={"types": True})).rows == [emptied.data]
    assert (await made(sandbox, "/guardian", **person()))["studentIDs"] is None
    assert sandbox.records("groups")[0].types == []


async def test_null_objects_may_be_sent_as_objects_of_nulls():
    """With `nil_objects`; an object that holds something is sent as it is."""
    sandbox = Sandbox(students=0, schools=0, nil_objects=True)
    unit, other = [await made(sandbox, "/unit", title=title, **more) for title, more in (("a", {}), ("b", {"external": {"sourceID": "7"}}))]  # fmt: skip
    assert unit["external"] == {"sourceID": None, "source": None}
    assert other["external"] == {"sourceID": "7", "source": "api"}
    assert (await call(sandbox, "GET", "/unit")).rows == [unit, other]
    assert (await search(sandbox, "/unit", null={"external": {"sourceID": True}})).rows == [unit]


async def test_the_usual_way_with_nothing():
    """Empty lists are lists, and an object that is null is null."""
    sandbox = Sandbox(students=0, schools=0)
    assert (await call(sandbox, "GET", "/group")).data["data"] == []
    assert (await made(sandbox, "/unit", title="a"))["external"] is None


# Instants in a search


@pytest.mark.parametrize(("zones", "found"), [("convert", "a"), ("drop", "")])
async def test_an_offset_may_be_dropped(zones, found):
    """As by a column that knows no zone: 02:40 UTC is searched for as 03:40+01:00, and found only where offsets count."""
    sandbox = Sandbox(students=0, schools=0, clock=Clock(), zones=zones)
    await made(sandbox, "/unit", title="a")
    assert await _titles(sandbox, equals={"meta": {"createdAt": "2026-02-02T03:40:00+01:00"}}) == found
    assert await _titles(sandbox, equals={"meta": {"createdAt": "2026-02-02T02:40:00Z"}}) == "a"


# A limit that is too large


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_limit_above_the_cap_may_be_refused(method):
    """With `over_cap="refuse"` it is 400 and names the cap; the cap itself is served, and so is no limit at all."""
    sandbox = Sandbox(students=30, page_cap=20, over_cap="refuse")
    path, body = ("/student", None) if method == "GET" else ("/student/_search", {"filter": {"orCondition": False}})
    for limit in (21, 50, 1000):
        answer = await call(sandbox, method, path, body, query=f"limit={limit}")
        assert (answer.code, "20" in answer.message) == ("BadRequest", True)
    for query in ("limit=20", ""):
        answer = await call(sandbox, method, path, body, query=query)
        assert (len(answer.rows), answer.data["pagination"]["limit"]) == (20, 20)


async def test_an_id_that_is_none_is_refused_before_the_body(sandbox):
    """A path id that is no UUID is 400 with the API's error object, whatever else is wrong."""
    for path in ("/student/5", f"/student/{NOBODY}0"):
        answer = await call(sandbox, "PATCH", path, b"{")
        assert (answer.status, answer.code) == (400, "BadRequest")
