"""What a search finds in the sandbox: the twelve filter groups, their combination, and what is refused."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import Any

import api_table
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_calls import NOBODY, call, made, person, placed_student, school, search

from meitner_aio.sandbox import Sandbox

API = api_table.parse()
SEARCHED = [resource for resource in API.resources.values() if "search" in resource.operations]
GROUPS = [group for names in API.groups.values() for group in names]


@pytest.fixture(scope="module")
def filled():
    """Give a small directory, to be read only, that refuses what it does not know."""
    return Sandbox(students=150, schools=6, unknown="refuse", limiter="none")


@pytest.fixture
def sandbox():
    """Give an empty directory."""
    return Sandbox(students=0, schools=0, limiter="none")


async def _titles(sandbox, **groups: Any) -> str:
    return "".join(sorted(row["title"] for row in (await search(sandbox, "/unit", **groups)).rows))


async def _units(sandbox, **descriptions: str | None) -> dict[str, dict[str, Any]]:
    return {title: await made(sandbox, "/unit", title=title, description=text) for title, text in descriptions.items()}


# What a condition means


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ({"equals": {"description": "Ek"}}, "a"),
        ({"equals": {"description": "ek"}}, "b"),
        ({"notEquals": {"description": "Ek"}}, "bd"),
        ({"contains": {"description": ["Ek", "Björk", "Al"]}}, "ad"),
        ({"contains": {"description": []}}, ""),
        ({"notContains": {"description": ["Ek", "ek"]}}, "d"),
        ({"notContains": {"description": []}}, "abd"),
        ({"like": {"description": "%k"}}, "abd"),
        ({"like": {"description": "E%"}}, "a"),
        ({"notLike": {"description": "E%"}}, "bd"),
        ({"null": {"description": True}}, "c"),
        ({"null": {"description": False}}, "abd"),
        ({"notNull": {"description": True}}, "abd"),
        ({"notNull": {"description": False}}, "c"),
        ({"equals": {"description": "Ek", "title": "b"}}, ""),
        ({"equals": {"description": "Ek"}, "notEquals": {"title": "b"}}, "a"),
        ({"equals": {"description": "Ek", "title": "b"}, "either": True}, "ab"),
        ({"equals": {"title": "a"}, "null": {"description": True}, "either": True}, "ac"),
    ],
)
async def test_conditions_on_text(groups, found, sandbox):
    """As SQL has it: case matters, and no comparison with null is true, negated or not."""
    await _units(sandbox, a="Ek", b="ek", c=None, d="Björk")
    assert await _titles(sandbox, **groups) == found


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("%", "abcdef"),
        ("", "f"),
        ("_", ""),
        ("1_%", "abc"),
        ("10%", "abc"),
        (r"10\%", "a"),
        (r"10\%%", "ab"),
        ("1_0%", ""),
        (r"1\_0%", ""),
        ("%\n%", "d"),
        ("a_b", "de"),
        ("a%b", "de"),
        (r"a\\b", "e"),
        (r"a\b", ""),
        ("%0%%0%", "b"),
        ("%[0-9]%", ""),
        (".*", ""),
        ("%100%", "b"),
    ],
)
async def test_like(pattern, found, sandbox):
    """`%` is any run, `_` one character, a backslash takes their meaning; the whole text counts, line breaks too."""
    await _units(sandbox, a="10%", b="10%100", c="10 ", d="a\nb", e="a\\b", f="")
    assert await _titles(sandbox, like={"description": pattern}) == found


async def test_a_pattern_cannot_hang_the_sandbox(sandbox):
    """Many wildcards on a long text take no noticeable time, where backtracking would take years."""
    await _units(sandbox, a="a" * 3000)
    assert await _titles(sandbox, like={"description": "%a" * 60 + "%b"}) == ""
    assert await _titles(sandbox, like={"description": "%a" * 60}) == "a"


async def test_a_pattern_cannot_end_in_its_escape(sandbox):
    """As in PostgreSQL, this is an error: 400."""
    assert (await search(sandbox, "/unit", like={"title": "a\\"})).code == "BadRequest"


async def test_ranges():
    """Numbers, dates and instants are compared as what they are, instants whatever their offset; null is in no range."""
    sandbox = Sandbox(students=0, schools=0, resolution="microsecond")
    place = await school(sandbox)
    for percent, end in ((9, "2026-12-31"), (10, "2027-01-01"), (100, None), (None, None)):
        employee = (await made(sandbox, "/employee", **person()))["id"]
        await made(
            sandbox, "/employee-placement", employeeID=employee, schoolID=place, startDate="2020-01-01",
            employmentPercent=percent, endDate=end,
        )  # fmt: skip

    async def percents(**groups: Any) -> list[int]:
        return [row["employmentPercent"] for row in (await search(sandbox, "/employee-placement", **groups)).rows]

    assert await percents(greaterThan={"employmentPercent": 10}) == [100]
    assert await percents(greaterOrEqual={"employmentPercent": 10}) == [10, 100]
    assert await percents(smallerThan={"employmentPercent": 10}) == [9]
    assert await percents(smallerOrEqual={"employmentPercent": 10}) == [9, 10]
    assert await percents(smallerThan={"endDate": "2027-01-01"}) == [9]
    assert await percents(greaterOrEqual={"endDate": "2026-12-31"}, smallerOrEqual={"endDate": "2026-12-31"}) == [9]
    first = (await call(sandbox, "GET", "/employee-placement")).rows[0]["meta"]["createdAt"]
    elsewhere = first.replace("Z", "+00:00") if "." in first else first.replace("Z", ".000000+00:00")
    assert len(await percents(greaterThan={"meta": {"createdAt": elsewhere}})) == 3
    assert len(await percents(equals={"meta": {"createdAt": elsewhere}})) == 1
    assert len(await percents(greaterThan={"meta": {"createdAt": "2026-01-01T00:00:00+14:00"}})) == 4
    assert await percents(greaterThan={"meta": {"updatedAt": "2026-01-01T00:00:00Z"}}) == []


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ({"equals": {"types": "Class"}}, "ab"),
        ({"notEquals": {"types": "Class"}}, "cd"),
        ({"contains": {"types": ["Class", "Childcare"]}}, "ab"),
        ({"contains": {"types": ["Mentor", "Childcare"]}}, "bc"),
        ({"notContains": {"types": ["Childcare", "Mentor"]}}, "ad"),
        ({"null": {"types": True}}, "d"),
        ({"notNull": {"types": True}}, "abc"),
        ({"equals": {"types": "Class"}, "notEquals": {"types": "Mentor"}}, "a"),
        ({"equals": {"memberIDs": "MEMBER"}}, "a"),
        ({"contains": {"memberIDs": [NOBODY, "MEMBER"]}}, "a"),
        ({"notEquals": {"memberIDs": "MEMBER"}}, "bcd"),
        ({"null": {"memberIDs": True}}, "bcd"),
    ],
)
async def test_conditions_on_lists(groups, found, sandbox):
    """A condition asks whether any element fits, its negation whether none does; an empty list is null."""
    place = await school(sandbox)
    member = await placed_student(sandbox, place)
    for title, types in (("a", ["Class"]), ("b", ["Class", "Mentor"]), ("c", ["Mentor"]), ("d", [])):
        members = [member] if title == "a" else []
        await made(sandbox, "/group", schoolID=place, title=title, types=types, memberIDs=members)
    asked = json.loads(json.dumps(groups).replace("MEMBER", member.upper()))
    assert "".join(row["title"] for row in (await search(sandbox, "/group", **asked)).rows) == found


async def test_conditions_on_objects(sandbox):
    """`meta`, `external` and `address` hold conditions of their own; in an object that is null everything is."""
    here = await made(sandbox, "/student", **person(external={"sourceID": "1"}, address={"postalCity": "Umeå"}))
    there = await made(sandbox, "/student", **person(address={"postalCity": "Luleå"}))

    async def found(**groups: Any) -> list[str]:
        return [row["id"] for row in (await search(sandbox, "/student", **groups)).rows]

    assert await found(equals={"external": {"sourceID": "1", "source": "api"}}) == [here["id"]]
    assert await found(notEquals={"external": {"sourceID": "2"}}) == [here["id"]]
    assert await found(null={"external": {"sourceID": True}}) == [there["id"]]
    assert await found(like={"address": {"postalCity": "%leå"}}) == [there["id"]]
    assert await found(null={"address": {"postalCode": True}}) == [here["id"], there["id"]]
    assert await found(equals={"meta": {"createdBy": here["meta"]["createdBy"]}}) == [here["id"], there["id"]]
    assert await found(null={"meta": {"updatedAt": True}}, equals={"address": {"postalCity": "Umeå"}}) == [here["id"]]


# How conditions combine


def _all(*nested: dict[str, Any], **groups: Any) -> dict[str, Any]:
    return {"orCondition": False, "nestedFilters": list(nested), **groups}


def _any(*nested: dict[str, Any], **groups: Any) -> dict[str, Any]:
    return {**_all(*nested, **groups), "orCondition": True}


A, B, C = ({"equals": {"title": title}} for title in "abc")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (_all(), "abc"),
        (_any(), "abc"),
        (_all(_all(**A), _all(**B)), ""),
        (_any(_all(**A), _all(**B)), "ab"),
        (_any(_all(**A), **B), "ab"),
        (_all(_any(_all(**A), **B), notEquals={"title": "a"}), "b"),
        (_all(_any(**A, notEquals={"description": "x"}), _any(_all(**B), **C)), "b"),
        (_all(_all(), **A), "a"),
        (_any(_all(), **A), "abc"),
        ({"orCondition": False, "nestedFilters": None, **A}, "a"),
    ],
)
async def test_levels_combine(asked, found, sandbox):
    """`orCondition` joins the conditions of its level and its nested filters; a level without any matches everything."""
    await _units(sandbox, a="x", b="y", c="x")
    answer = await call(sandbox, "POST", "/unit/_search", {"filter": asked})
    assert "".join(row["title"] for row in answer.rows) == found


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("empty", [{}, None, {"meta": {}}, {"meta": None}, {"external": {}, "meta": {}}])
@pytest.mark.parametrize("either", [False, True])
async def test_an_empty_group_is_no_condition(group, empty, either, sandbox):
    """The official client sends such groups; beside a condition they change nothing, joined with AND or OR."""
    await _units(sandbox, a="x", b="y")
    assert await _titles(sandbox, either=either, **{group: empty}) == "ab"
    other = "like" if group == "equals" else "equals"
    assert await _titles(sandbox, either=either, **{group: empty, other: {"title": "a"}}) == "a"


async def test_a_null_field_is_no_condition(sandbox):
    """So is what the official client sends for a field that it was given as None."""
    await _units(sandbox, a="x", b="y")
    assert await _titles(sandbox, equals={"title": "a", "description": None}) == "a"
    assert await _titles(sandbox, contains={"id": None}, equals={"id": None}) == "ab"


async def test_filters_nest_to_a_limit(sandbox):
    """Fifty levels are fine, one more is 400; so is what would exhaust the stack."""
    await _units(sandbox, a="x")

    def deep(levels: int) -> dict[str, Any]:
        asked = _all(**A)
        for _ in range(levels - 1):
            asked = _any(asked)
        return {"filter": asked}

    assert (await call(sandbox, "POST", "/unit/_search", deep(50))).data["pagination"]["total"] == 1
    assert (await call(sandbox, "POST", "/unit/_search", deep(51))).code == "BadRequest"
    bottomless = b'{"filter":' + b'{"orCondition":true,"nestedFilters":[' * 100_000
    assert (await call(sandbox, "POST", "/unit/_search", bottomless)).code == "BadRequest"


# What is refused


def _of_kind(kind: str) -> Any:
    plain = {"uuid": NOBODY, "string": "x", "boolean": True, "integer": 1, "date": "2026-01-01"}
    plain["date-time"] = "2026-01-01T00:00:00Z"
    return API.enums[kind.removeprefix("enum:")][0] if kind.startswith("enum:") else plain[kind]


def _value(group: str, kind: str) -> Any:
    if group in API.groups["N"]:
        return True
    return [_of_kind(kind)] if group in API.groups["C"] else _of_kind(kind)


def _places(resource: api_table.Resource) -> list[tuple[tuple[str, ...], api_table.Field]]:
    found = []
    for wire, field in resource.part("r").items():
        if field.kind.startswith("object:"):
            inner = API.objects[field.kind.removeprefix("object:")]
            found += [((wire, one.wire), one) for one in inner]
        else:
            found.append(((wire,), field))
    return found


@pytest.mark.parametrize("resource", SEARCHED, ids=lambda resource: resource.attribute)
@pytest.mark.parametrize("group", GROUPS)
async def test_a_field_takes_the_groups_of_its_type(resource, group, filled):
    """Law 3, from the tests' own table of the API: what it allows is answered, and everything else is 400."""
    (letter,) = (letter for letter, names in API.groups.items() if group in names)
    for path, field in _places(resource):
        for value, good in ((_value(group, field.element), letter in field.conditions), ({"a": 1}, False)):
            asked: Any = value
            for name in reversed(path):
                asked = {name: asked}
            answer = await search(filled, resource.path, **{group: asked})
            assert answer.status == (200 if good else 400), (path, value)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"orCondition": None},
        {"orCondition": "false"},
        {"orCondition": 0},
        [],
        None,
        "x",
        {"orCondition": False, "equal": {"title": "x"}},
        {"orCondition": False, "between": {}},
        {"orCondition": False, "equals": []},
        {"orCondition": False, "equals": "x"},
        {"orCondition": False, "equals": {"Title": "x"}},
        {"orCondition": False, "equals": {"first_name": "x"}},
        {"orCondition": False, "equals": {"meta": "x"}},
        {"orCondition": False, "equals": {"meta": {"created": "x"}}},
        {"orCondition": False, "null": {"external": True}},
        {"orCondition": False, "null": {"description": "true"}},
        {"orCondition": False, "null": {"description": 1}},
        {"orCondition": False, "greaterThan": {"title": None}},
        {"orCondition": False, "equals": {"title": 5}},
        {"orCondition": False, "equals": {"title": ["x"]}},
        {"orCondition": False, "equals": {"id": "5"}},
        {"orCondition": False, "contains": {"title": "x"}},
        {"orCondition": False, "contains": {"title": [None]}},
        {"orCondition": False, "contains": {"id": [NOBODY, "x"]}},
        {"orCondition": False, "equals": {"meta": {"createdAt": "2026-01-01"}}},
        {"orCondition": False, "equals": {"meta": {"createdAt": "2026-01-01T00:00:00"}}},
        {"orCondition": False, "equals": {"meta": {"createdAt": 1770000000}}},
        {"orCondition": False, "nestedFilters": {}},
        {"orCondition": False, "nestedFilters": [None]},
        {"orCondition": False, "nestedFilters": [{}]},
        {"orCondition": False, "nestedFilters": [{"orCondition": True, "equals": {"x": 1}}]},
    ],
)
async def test_what_makes_no_sense_is_refused(asked, filled):
    """Never ignored: a condition that goes unheard finds everything."""
    assert (await call(filled, "POST", "/unit/_search", {"filter": asked})).code == "BadRequest"


@pytest.mark.parametrize(
    "body", [{}, {"filters": {}}, {"filter": {"orCondition": True}, "limit": 5}, [], b"", b"{", b"\xff"]
)
async def test_the_body_is_a_filter(body, filled):
    """Nothing more and nothing less."""
    assert (await call(filled, "POST", "/unit/_search", body)).code == "BadRequest"


# How it is found


async def test_a_search_by_id_meets_its_other_conditions(sandbox):
    """The ids narrow the rows, they are not the answer."""
    rows = await _units(sandbox, a="x", b="y")
    ids = [rows["b"]["id"].upper(), rows["a"]["id"], rows["a"]["id"], NOBODY]
    assert await _titles(sandbox, contains={"id": ids}) == "ab"
    assert await _titles(sandbox, contains={"id": ids}, equals={"title": "b"}) == "b"
    assert await _titles(sandbox, contains={"id": ids}, equals={"id": rows["a"]["id"]}) == "a"
    assert await _titles(sandbox, contains={"id": ids[:1]}, equals={"title": "a"}, either=True) == "ab"
    assert await _titles(sandbox, notContains={"id": ids}) == ""


async def test_a_search_sees_every_change(sandbox):
    """Results are remembered for the pages that follow, and never longer than they are true."""
    rows = await _units(sandbox, a="x", b="x")
    asked = {"equals": {"description": "x"}}
    assert await _titles(sandbox, **asked) == "ab"
    await _units(sandbox, c="x")
    assert await _titles(sandbox, **asked) == "abc"
    await call(sandbox, "PATCH", f"/unit/{rows['a']['id']}", {"title": "a", "description": "y"})
    assert await _titles(sandbox, **asked) == "bc"


async def test_pages_of_a_search_filter_once(filled, monkeypatch):
    """The second page of a search comes from the first one's work."""
    asked = {"like": {"lastName": "%e%"}}
    first = await search(filled, "/student", query="limit=10", **asked)
    monkeypatch.setattr("meitner_aio.sandbox.store.directory.compile_filter", None)
    second = await search(filled, "/student", query="limit=10&offset=10", **asked)
    assert first.data["pagination"]["total"] == second.data["pagination"]["total"] > 10
    assert not {row["id"] for row in first.rows} & {row["id"] for row in second.rows}


# SQLite as the judge

SIGNS = {
    "equals": "=", "notEquals": "<>", "greaterThan": ">", "smallerThan": "<", "greaterOrEqual": ">=",
    "smallerOrEqual": "<=", "like": "LIKE", "notLike": "NOT LIKE", "contains": "IN", "notContains": "NOT IN",
}  # fmt: skip
WIRE = {"signature": "text", "title": "text", "employmentPercent": "integer", "endDate": "text"}
TEXTS = ["", "a", "A", "ab", "a%b", "a_b", "å", "a\\b", "aXb", None]
PERCENTS = [0, 5, 50, 100, None]
DATES = ["2026-01-31", "2026-02-01", "2025-12-01", None]


def _operands(wire: str) -> st.SearchStrategy[Any]:
    values = {"employmentPercent": PERCENTS, "endDate": DATES}.get(wire, TEXTS)
    return st.sampled_from([value for value in values if value is not None])


@st.composite
def _conditions(draw: st.DrawFn) -> tuple[str, str, Any]:
    wire = draw(st.sampled_from(sorted(WIRE)))
    groups = [group for group in SIGNS if ("ike" in group) <= (WIRE[wire] == "text" and wire != "endDate")]
    if wire in ("signature", "title"):
        groups = [group for group in groups if "er" not in group]
    group = draw(st.sampled_from([*groups, "null", "notNull"]))
    if group in ("null", "notNull"):
        return group, wire, draw(st.booleans())
    if group.endswith("ontains"):
        return group, wire, draw(st.lists(_operands(wire), min_size=1, max_size=3))
    if group.endswith("ike"):
        return (
            group,
            wire,
            draw(st.sampled_from(["%", "a%", "_b", "%b", "a_b", r"a\%b", r"a\_b", r"a\\b", "%a%", "", "Å"])),
        )
    return group, wire, draw(_operands(wire))


def _filters(depth: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    nested = st.just([]) if depth == 0 else st.lists(_filters(depth - 1), max_size=2)
    conditions = st.lists(_conditions(), min_size=1, max_size=3, unique_by=lambda one: one[:2])
    return st.builds(_filter, st.booleans(), conditions, nested)


def _filter(either: bool, conditions: list[tuple[str, str, Any]], nested: list[dict[str, Any]]) -> dict[str, Any]:
    groups: dict[str, Any] = {}
    for group, wire, value in conditions:
        groups.setdefault(group, {})[wire] = value
    return {"orCondition": either, **groups, "nestedFilters": nested}


def _sql(asked: dict[str, Any], values: list[Any]) -> str:
    parts = []
    for group, conditions in asked.items():
        for wire, value in conditions.items() if isinstance(conditions, dict) else ():
            if group in ("null", "notNull"):
                parts.append(f"{wire} IS {'NOT ' if value is (group == 'notNull') else ''}NULL")
            elif isinstance(value, list):
                parts.append(f"{wire} {SIGNS[group]} ({','.join('?' * len(value))})")
                values += value
            else:
                parts.append(f"{wire} {SIGNS[group]} ?" + (r" ESCAPE '\'" if "ike" in group else ""))
                values.append(value)
    parts += [f"({_sql(inner, values)})" for inner in asked["nestedFilters"]]
    return (" OR " if asked["orCondition"] else " AND ").join(parts)


async def _twins(sandbox: Sandbox, database: sqlite3.Connection) -> None:
    """Put the same rows into the sandbox and into SQLite."""
    place = await school(sandbox)
    employee = (await made(sandbox, "/employee", **person()))["id"]
    terms = {"employeeID": employee, "schoolID": place, "startDate": "2020-01-01"}
    for number in range(120):
        row = {
            "signature": TEXTS[number % 10],
            "title": TEXTS[number * 7 % 9],
            "employmentPercent": PERCENTS[number % 5],
            "endDate": DATES[number % 4],
        }
        kept = await made(sandbox, "/employee-placement", **terms, **row)
        database.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", (kept["id"], *row.values()))


@pytest.fixture(scope="module")
def judged():
    """Give a sandbox and a database that hold the same."""
    sandbox, database = Sandbox(students=0, schools=0, limiter="none"), sqlite3.connect(":memory:")
    database.execute("PRAGMA case_sensitive_like = ON")
    database.execute(f"CREATE TABLE rows (id, {', '.join(f'{wire} {kind}' for wire, kind in WIRE.items())})")
    with asyncio.Runner() as runner:
        runner.run(_twins(sandbox, database))
    yield sandbox, database
    database.close()


@settings(deadline=None, max_examples=150, derandomize=True)
@given(asked=_filters())
async def test_a_search_finds_what_sql_finds(asked, judged):
    """Any combination of conditions means to the sandbox what it means to a database."""
    sandbox, database = judged
    values: list[Any] = []
    sql = f"SELECT id FROM rows WHERE {_sql(asked, values)}"
    expected = [row[0] for row in database.execute(sql, values)]
    answer = await call(sandbox, "POST", "/employee-placement/_search", {"filter": asked}, query="limit=1000")
    assert [row["id"] for row in answer.rows] == expected
