"""Searching from end to end: what goes out for every kind of field, what it finds, and what is refused.

What a search finds is held against a second reading of the query, in plain Python, that knows neither the filter that
goes out nor the sandbox that answers it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, structs
from samples import ID, NOON, OTHER_ID, Recorder, page
from sandbox_calls import KEY, NOBODY, Clock, call

from meitner_aio import (
    RESOURCES,
    AddressQuery,
    External,
    ExternalQuery,
    Gender,
    GroupType,
    MetaQuery,
    SchoolType,
    StudentQuery,
    above,
    at_least,
    at_most,
    below,
    between,
    equals,
    like,
    null,
    one_of,
)
from meitner_aio._operations.operations import operations
from meitner_aio._wire.messages import RawResponse, Request, error_from
from meitner_aio.query import GROUPS, Query
from meitner_aio.records import Field, Record, fields
from meitner_aio.sandbox import Sandbox

SEARCHED = {attribute: kind for attribute, kind in RESOURCES.items() if "search" in operations(kind)}


# What goes out.


def sent(attribute: str, **conditions: Any) -> Any:
    """Return the filter that a search sends, as the JSON that it is."""
    recorder = Recorder(page())

    async def main() -> None:
        await cast("Any", RESOURCES[attribute](recorder)).search(**conditions)

    asyncio.run(main())
    (request,) = recorder.requests
    assert (request.method, request.path) == ("POST", f"{RESOURCES[attribute].path}/_search")
    body = json.loads(request.body or b"")
    assert list(body) == ["filter"]
    return body["filter"]


DAY, LATER = date(2015, 3, 1), date(2015, 6, 1)
SAID, SAID_LATER = "2015-03-01", "2015-06-01"
EXACT = {
    "a bare value": (lambda one, _: one, "equals", lambda one, _: one),
    "equals": (lambda one, _: equals(one), "equals", lambda one, _: one),
    "not equals": (lambda one, _: ~equals(one), "notEquals", lambda one, _: one),
}
SEVERAL = {
    "one of": (one_of, "contains", lambda one, two: [one, two]),
    "none of": (lambda one, two: ~one_of(one, two), "notContains", lambda one, two: [one, two]),
}
PATTERN = {
    "like": (lambda one, _: like(one), "like", lambda one, _: one),
    "not like": (lambda one, _: ~like(one), "notLike", lambda one, _: one),
}
SIDES = {
    "above": (lambda one, _: above(one), "greaterThan", lambda one, _: one),
    "at least": (lambda one, _: at_least(one), "greaterOrEqual", lambda one, _: one),
    "below": (lambda one, _: below(one), "smallerThan", lambda one, _: one),
    "at most": (lambda one, _: at_most(one), "smallerOrEqual", lambda one, _: one),
    "not above": (lambda one, _: ~above(one), "smallerOrEqual", lambda one, _: one),
    "not at least": (lambda one, _: ~at_least(one), "smallerThan", lambda one, _: one),
    "not below": (lambda one, _: ~below(one), "greaterOrEqual", lambda one, _: one),
    "not at most": (lambda one, _: ~at_most(one), "greaterThan", lambda one, _: one),
}
NULLNESS = {
    "null": (lambda *_: null, "null", lambda *_: True),
    "not null": (lambda *_: ~null, "notNull", lambda *_: True),
}
BY_KIND = {
    "uuid": EXACT | SEVERAL,
    "enum": EXACT | SEVERAL,
    "boolean": EXACT | SEVERAL,
    "string": EXACT | SEVERAL | PATTERN,
    "date": EXACT | SEVERAL | SIDES,
    "integer": EXACT | SEVERAL | SIDES,
    "date-time": EXACT | SIDES,
}
"""Law 3, written down a second time: which operators a kind of field takes."""

SAMPLES: dict[str, tuple[Any, Any, Any, Any]] = {
    "uuid": (ID, OTHER_ID, ID, OTHER_ID),
    "boolean": (True, False, True, False),
    "string": ("Ek%", "Å", "Ek%", "Å"),
    "date": (DAY, LATER, SAID, SAID_LATER),
    "integer": (7, 0, 7, 0),
    "date-time": (NOON, NOON, "2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
}
"""Two values of a kind, and how JSON has them."""


def _samples(field: Field) -> tuple[Any, Any, Any, Any]:
    kind = field.kind.partition(":")[0]
    if kind != "enum":
        return SAMPLES[kind]
    first, *_, last = field.type if len(field.type) > 1 else [*field.type, *field.type]
    return first, last, first.value, last.value


def _leaves(model: type[Record], query: type[Query]) -> Iterator[tuple[tuple[Field, ...], bool]]:
    """Yield the path to every field that a query can ask for, and whether the model has it null or a list."""
    kept = {field.name: field for field in fields(model)}
    for field in fields(query):
        if field.name in ("any_of", "all_of"):
            continue
        if issubclass(field.type, Query):
            for path, nullable in _leaves(kept[field.name].type, field.type):
                yield (field, *path), nullable
        else:
            yield (field,), kept[field.name].nullable or kept[field.name].many


def _operators_of(path: tuple[Field, ...], *, nullable: bool) -> dict[str, Any]:
    return BY_KIND[path[-1].kind.partition(":")[0]] | (NULLNESS if nullable else {})


TABLE = {
    f"{attribute}.{'.'.join(field.name for field in path)}": (attribute, path, _operators_of(path, nullable=nullable))
    for attribute, kind in SEARCHED.items()
    for path, nullable in _leaves(kind.model, operations(kind)["search"].body or Query)
}


def test_the_table_reaches_every_group():
    """All twelve groups, on each kind of field that takes them: none is out of reach for the public operators."""
    reached: dict[str, set[str]] = {}
    for _, path, operators in TABLE.values():
        reached.setdefault(path[-1].kind.partition(":")[0], set()).update(group for _, group, _ in operators.values())
    exact, null_too = {"equals", "notEquals", "contains", "notContains"}, {"null", "notNull"}
    sides = {"greaterThan", "greaterOrEqual", "smallerThan", "smallerOrEqual"}
    assert reached == {
        "uuid": exact | null_too,
        "enum": exact | null_too,
        "boolean": exact,
        "string": exact | null_too | {"like", "notLike"},
        "date": exact | sides | null_too,
        "integer": exact | sides | null_too,
        "date-time": {"equals", "notEquals"} | sides | null_too,
    }
    assert set().union(*reached.values()) == set(GROUPS)
    assert len(GROUPS) == 12
    assert len(TABLE) > 150


@pytest.mark.parametrize(("attribute", "path", "operators"), TABLE.values(), ids=TABLE)
def test_every_operator_on_every_field(attribute, path, operators):
    """One condition on one field is one group with one wire name, at the end of its path; nothing else is sent."""
    one, two, json_one, json_two = _samples(path[-1])
    for make, group, said in operators.values():
        condition, expected = make(one, two), said(json_one, json_two)
        for field in reversed(path):
            expected = {field.wire: expected}
        if len(path) == 2:
            condition = path[0].type(**{path[1].name: condition})
        assert sent(attribute, **{path[0].name: condition}) == {group: expected, "orCondition": False}


QUERY: dict[str, tuple[dict[str, Any], Any]] = {
    "the example of the contract": (
        {
            "last_name": ~like("Test%"),
            "date_of_birth": above(DAY),
            "gender": one_of(Gender.FEMALE, Gender.OTHER),
        },
        {
            "notLike": {"lastName": "Test%"},
            "greaterThan": {"dateOfBirth": SAID},
            "contains": {"gender": ["Female", "Other"]},
            "orCondition": False,
        },
    ),
    "changed since": (
        {"meta": MetaQuery(updated_at=at_least(NOON.astimezone(timezone(timedelta(hours=2))))), "email_address1": null},
        {
            "greaterOrEqual": {"meta": {"updatedAt": "2026-03-01T12:00:00Z"}},
            "null": {"emailAddress1": True},
            "orCondition": False,
        },
    ),
    "between and outside": (
        {"date_of_birth": between(DAY, LATER), "meta": MetaQuery(created_at=~between(NOON, NOON))},
        {
            "greaterOrEqual": {"dateOfBirth": SAID},
            "smallerOrEqual": {"dateOfBirth": SAID_LATER},
            "orCondition": False,
            "nestedFilters": [
                {
                    "smallerThan": {"meta": {"createdAt": "2026-03-01T12:00:00Z"}},
                    "greaterThan": {"meta": {"createdAt": "2026-03-01T12:00:00Z"}},
                    "orCondition": True,
                }
            ],
        },
    ),
    "alternatives": (
        {"any_of": (StudentQuery(last_name="Ek"), StudentQuery(first_name="Bo"))},
        {
            "orCondition": True,
            "nestedFilters": [
                {"equals": {"lastName": "Ek"}, "orCondition": False},
                {"equals": {"firstName": "Bo"}, "orCondition": False},
            ],
        },
    ),
    "all of it": (
        {
            "first_name": "Bo",
            "any_of": [StudentQuery(address=AddressQuery(postal_city=~null)), StudentQuery(id=one_of(ID))],
            "all_of": [StudentQuery(first_name=like(like.escape("50%_\\") + "%"), external=ExternalQuery(source="x"))],
        },
        {
            "equals": {"firstName": "Bo"},
            "orCondition": False,
            "nestedFilters": [
                {
                    "orCondition": True,
                    "nestedFilters": [
                        {"notNull": {"address": {"postalCity": True}}, "orCondition": False},
                        {"contains": {"id": [ID]}, "orCondition": False},
                    ],
                },
                {
                    "orCondition": False,
                    "nestedFilters": [
                        {
                            "like": {"firstName": r"50\%\_\\%"},
                            "equals": {"external": {"source": "x"}},
                            "orCondition": False,
                        }
                    ],
                },
            ],
        },
    ),
}


@pytest.mark.parametrize(("conditions", "expected"), QUERY.values(), ids=QUERY)
def test_a_whole_query(conditions, expected):
    """Several conditions, as the JSON that goes out."""
    assert sent("students", **conditions) == expected


# What is found.


def like_holds(pattern: str, text: str) -> bool:
    """Read a LIKE pattern character by character."""
    if not pattern:
        return not text
    head, rest = pattern[0], pattern[1:]
    if head == "%":
        return any(like_holds(rest, text[start:]) for start in range(len(text) + 1))
    if head == "\\":
        head, rest = rest[0], rest[1:]
    elif head == "_":
        return bool(text) and like_holds(rest, text[1:])
    return text.startswith(head) and like_holds(rest, text[1:])


class Asked:
    """A condition as a test wrote it: an operator, its values, and whether it is negated. Makes the real one."""

    def __init__(self, operator: str, *values: Any, negated: bool = False) -> None:
        self.operator, self.values, self.negated = operator, values, negated

    def __repr__(self) -> str:
        return f"{'~' * self.negated}{self.operator}{self.values}"

    @property
    def condition(self) -> Any:
        """What a user writes for it."""
        if self.operator == "bare":
            return self.values[0]
        made = null if self.operator == "null" else MAKERS[self.operator](*self.values)
        return ~made if self.negated else made

    def holds(self, value: Any) -> bool:
        """Whether it holds for the value of a row, as SQL has it."""
        if self.operator == "null":
            return (value is None or value == []) is not self.negated
        if isinstance(value, list):
            return any(self._meets(element) for element in value) is not self.negated
        if isinstance(value, datetime) and self.operator not in ("bare", "equals"):
            return self._holds_at(value)
        return value is not None and self._meets(value) is not self.negated

    def _holds_at(self, value: datetime) -> bool:
        """Read a range of instants, whose lower bounds count without their fractions of a second, negated or not."""
        low, high = self.values[0], self.values[-1]
        floor = {one: one.replace(microsecond=0) for one in (low, high)}
        yes, no = {
            "above": (value > floor[low], value <= low),
            "at_least": (value >= floor[low], value < low),
            "below": (value < low, value >= floor[low]),
            "at_most": (value <= low, value > floor[low]),
            "between": (floor[low] <= value <= high, value < low or value > floor[high]),
        }[self.operator]
        return no if self.negated else yes

    def _meets(self, value: Any) -> bool:  # noqa: PLR0911 - one for each operator
        first, last = self.values[0], self.values[-1]
        match self.operator:
            case "bare" | "equals":
                return bool(value == first)
            case "one_of":
                return value in self.values
            case "like":
                return like_holds(first, value)
            case "above":
                return bool(value > first)
            case "at_least":
                return bool(value >= first)
            case "below":
                return bool(value < first)
            case "at_most":
                return bool(value <= first)
            case "between":
                return bool(first <= value <= last)
        raise AssertionError(self.operator)


MAKERS: dict[str, Callable[..., Any]] = {
    "equals": equals,
    "one_of": one_of,
    "like": like,
    "above": above,
    "at_least": at_least,
    "below": below,
    "at_most": at_most,
    "between": between,
}


class Question:
    """A query as a test wrote it: conditions by path, alternatives and further demands."""

    def __init__(self, query: type[Query], asked: dict[tuple[str, ...], Asked], **nested: list[Question]) -> None:
        self.query, self.asked, self.nested = query, asked, nested

    def __repr__(self) -> str:
        return f"{self.asked} {self.nested or ''}"

    @property
    def conditions(self) -> dict[str, Any]:
        """The keywords of the search."""
        given: dict[str, Any] = {}
        objects: dict[str, dict[str, Any]] = {}
        for path, asked in self.asked.items():
            home = given if len(path) == 1 else objects.setdefault(path[0], {})
            home[path[-1]] = asked.condition
        kinds = {field.name: field.type for field in fields(self.query)}
        given |= {name: kinds[name](**inner) for name, inner in objects.items()}
        return given | {
            name: [self.query(**question.conditions) for question in questions]
            for name, questions in self.nested.items()
        }

    def holds(self, row: Any) -> bool:
        """Whether a row meets it."""
        return (
            all(asked.holds(_value(row, path)) for path, asked in self.asked.items())
            and ("any_of" not in self.nested or any(one.holds(row) for one in self.nested["any_of"]))
            and all(one.holds(row) for one in self.nested.get("all_of", []))
        )


def _value(row: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        row = None if row is None else getattr(row, name)
    return row


TEXTS = ["50%", "_", "a_b", "\\", "\\%", "", "Ek", "ek", "Åsa Öberg", "5", "%", "x\nY"]
"""Texts that a careless pattern, escape or comparison would take for something else."""


class Library:
    """A sandbox with everything in it that makes a search go wrong: nulls, empty lists, odd texts, deletions."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sandbox = Sandbox(students=30, schools=4, seed=7, limiter="none", clock=self.clock)
        self.loop = asyncio.Runner()
        self.loop.run(self._unsettle())
        self.rows = {attribute: self.sandbox.records(attribute) for attribute in SEARCHED}
        self.pools = {attribute: self._pool(attribute) for attribute in SEARCHED}

    async def send(self, request: Request) -> RawResponse:
        """Carry a request to the sandbox."""
        response = await self.sandbox.send(structs.replace(request, headers=KEY))
        if response.status >= 300:
            raise error_from(request, response)
        return response

    async def _unsettle(self) -> None:
        for attribute in ("students", "guardians", "employees", "schools", "units", "groups", "student_placements"):
            resource: Any = RESOURCES[attribute](self.send)
            body = operations(RESOURCES[attribute])["update"].body or Record
            for number, record in enumerate(self.sandbox.records(attribute)[: 3 * len(TEXTS)]):
                self.clock.now += 1
                changes = self._odd(attribute, body, number)
                if changes:
                    await resource.modify(record, **changes)
        for attribute in ("student_placements", "guardians", "groups", "students"):
            for record in self.sandbox.records(attribute)[-3:]:
                self.clock.now += 7
                await call(self.sandbox, "DELETE", f"{RESOURCES[attribute].path}/{record.id}")

    @staticmethod
    def _odd(attribute: str, body: type[Record], number: int) -> dict[str, Any]:
        """Return changes that the rules of the API allow: by turns everything cleared, and odd texts."""
        free = {"first_name", "last_name", "title", "unit_code", "csn_school_code", "description", "phone_number2"}
        text = TEXTS[number // 3 % len(TEXTS)]
        named = [field for field in fields(body) if not field.required or field.name in free]
        if number % 3 == 0:
            odd = {field.name: [] if field.many else None for field in named if field.many or field.nullable}
            if "address" in body.__struct_fields__:
                address = next(field.type for field in fields(body) if field.name == "address")
                odd["address"] = address(**dict.fromkeys(address.__struct_fields__))
            return odd
        if number % 3 == 1:
            unique = f"{text}{number}" if attribute == "groups" else text
            odd = {field.name: unique for field in named if field.name in free}
            return odd | ({"external": External(source_id=unique)} if "external" in body.__struct_fields__ else {})
        return {}

    def _pool(self, attribute: str) -> dict[tuple[str, ...], list[Any]]:
        """Return the values that each field really has, so that conditions hit."""
        pool: dict[tuple[str, ...], list[Any]] = {}
        kind: Any = SEARCHED[attribute]
        for path, _ in _leaves(kind.model, operations(kind)["search"].body or Query):
            names = tuple(field.name for field in path)
            values = [_value(row, names) for row in self.rows[attribute]]
            flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
            pool[names] = sorted({one for one in flat if one is not None}, key=str)
        return pool

    def found(self, attribute: str, question: Question) -> list[str]:
        """Return the ids that a search brings."""

        async def search() -> list[str]:
            listing = cast("Any", RESOURCES[attribute](self.send)).search(**question.conditions)
            return [row.id async for row in listing.paged(limit=1000)]

        return self.loop.run(search())


@pytest.fixture(scope="module")
def library() -> Iterator[Library]:
    """Give the one sandbox that all questions are asked of."""
    made = Library()
    yield made
    made.loop.close()


STRANGE: dict[str, list[Any]] = {
    "uuid": [NOBODY],
    "string": TEXTS,
    "boolean": [True, False],
    "integer": [0, -1, 50],
    "date": [date(1, 1, 1), DAY, date(9999, 12, 31)],
    "date-time": [NOON, datetime(2020, 1, 1, tzinfo=UTC), NOON.astimezone(timezone(timedelta(hours=-9)))],
}


@st.composite
def conditions_of(draw: st.DrawFn, field: Field, pool: list[Any], *, nullable: bool) -> Asked:
    """Draw a condition that a field takes, mostly about values that it really has."""
    kind = field.kind.partition(":")[0]
    usual: list[Any] = list(field.type) if kind == "enum" else STRANGE[kind]
    value = st.sampled_from(usual) | st.sampled_from(pool or usual)
    takes = ["bare", "equals"]
    if kind != "date-time":
        takes.append("one_of")
    if kind == "string":
        takes.append("like")
    if kind in ("date", "integer", "date-time"):
        takes += ["above", "at_least", "below", "at_most", "between"]
    operator = draw(st.sampled_from(takes + ["null"] * nullable))
    negated = operator != "bare" and draw(st.booleans())
    if operator == "null":
        return Asked(operator, negated=negated)
    if operator == "one_of":
        return Asked(operator, *draw(st.lists(value, min_size=1, max_size=4)), negated=negated)
    if operator == "like":
        return Asked(operator, draw(patterns(value)), negated=negated)
    return Asked(operator, *(draw(value) for _ in range(1 + (operator == "between"))), negated=negated)


@st.composite
def patterns(draw: st.DrawFn, value: st.SearchStrategy[str]) -> str:
    """Draw a pattern: a text as it is, escaped, or cut, with wildcards around or within."""
    text = draw(value)
    start = draw(st.integers(0, len(text)))
    part = like.escape(text[start : draw(st.integers(start, len(text)))])
    wild = st.sampled_from(["", "%", "_"])
    return draw(st.sampled_from([like.escape(text), part, "", "a_b", "_%"]).map(lambda one: draw(wild) + one)) + draw(
        wild
    )


@st.composite
def questions(draw: st.DrawFn, library: Library, attribute: str, depth: int = 2) -> Question:
    """Draw a query of a resource, alternatives within alternatives included."""
    kind: Any = SEARCHED[attribute]
    query: Any = operations(kind)["search"].body
    leaves = list(_leaves(kind.model, query))
    nested: dict[str, list[Question]] = {}
    if depth:
        inner = questions(library, attribute, depth - 1)
        for name in ("any_of", "all_of"):
            if draw(st.integers(0, 3)) == 0:
                nested[name] = draw(st.lists(inner, min_size=1, max_size=3))
    few = st.lists(st.sampled_from(leaves), min_size=0 if nested else 1, max_size=3, unique_by=lambda leaf: leaf[0])
    asked: dict[tuple[str, ...], Asked] = {}
    for path, nullable in draw(few):
        names = tuple(field.name for field in path)
        asked[names] = draw(conditions_of(path[-1], library.pools[attribute][names], nullable=nullable))
    return Question(query, asked, **nested)


@pytest.mark.parametrize("attribute", SEARCHED)
def test_a_search_finds_what_it_says(attribute, library):
    """For any query, the rows that come are those for which it holds, read in Python: no more, no fewer, in order."""

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        question = data.draw(questions(library, attribute))
        expected = [row.id for row in library.rows[attribute] if question.holds(row)]
        assert library.found(attribute, question) == expected

    check()


@pytest.mark.parametrize("attribute", SEARCHED)
def test_each_operator_finds_what_it_says(attribute, library):
    """One condition at a time, every operator in both polarities on every field, about a value that a row has."""
    kind: Any = SEARCHED[attribute]
    query: Any = operations(kind)["search"].body
    for path, nullable in _leaves(kind.model, query):
        names = tuple(field.name for field in path)
        field = path[-1]
        pool = library.pools[attribute][names] or STRANGE.get(field.kind, [])
        if not pool:
            continue
        middle = pool[len(pool) // 2]
        for operator in _operators(field) + ["null"] * nullable:
            values = {"null": (), "between": (pool[0], middle), "like": (f"{like.escape(str(middle)[:2])}%",)}
            for negated in (False, True):
                question = Question(query, {names: Asked(operator, *values.get(operator, (middle,)), negated=negated)})
                expected = [row.id for row in library.rows[attribute] if question.holds(row)]
                assert library.found(attribute, question) == expected, question


def _operators(field: Field) -> list[str]:
    kind = field.kind.partition(":")[0]
    more = {"string": ["one_of", "like"], "date-time": []}.get(kind, ["one_of"])
    sides = ["above", "at_least", "below", "at_most", "between"]
    return ["equals", *more, *(sides if kind in ("date", "integer", "date-time") else [])]


def test_the_library_is_worth_searching(library):
    """Nulls, empty lists, odd texts and deletions are really there: otherwise agreement would mean little."""
    students, groups = library.rows["students"], library.rows["groups"]
    assert {"50%", "a_b", "\\", ""} <= {row.first_name for row in students}
    assert any(row.date_of_birth is None for row in students)
    assert any(row.date_of_birth is not None for row in students)
    assert any(row.address is None or row.address.postal_city is None for row in students)
    assert any(row.external is None for row in students)
    assert any(row.external is not None for row in students)
    assert any(row.meta.updated_at is None for row in students)
    assert any(row.meta.updated_at is not None for row in students)
    assert any(not row.member_ids for row in groups)
    assert any(row.member_ids for row in groups)
    assert len({row.resource for row in library.rows["audit_events"]}) >= 3
    assert all(library.rows.values())


@pytest.mark.parametrize("text", TEXTS)
def test_text_of_a_user_means_itself(text, library):
    """Escaped, `%`, `_` and the backslash find themselves and nothing else, in the middle of a pattern as well."""
    for path, around in (("first_name", ""), ("last_name", "%")):
        condition = like(around + like.escape(text) + around)
        found = library.loop.run(_ids(RESOURCES["students"](library.send), **{path: condition}))
        holds = text.__eq__ if not around else lambda value: text in value
        assert found == [row.id for row in library.rows["students"] if holds(getattr(row, path))]


async def _ids(resource: Any, **conditions: Any) -> list[str]:
    return [row.id async for row in resource.search(**conditions)]


@pytest.mark.parametrize(
    ("pattern", "text", "holds"),
    [
        ("E%", "Ek", True),
        ("E%", "ek", False),
        ("E_", "Ek", True),
        ("E_", "E", False),
        ("%k%", "Björkö", True),
        (r"\%", "%", True),
        (r"\%", "x", False),
        (r"\\", "\\", True),
        ("", "", True),
        ("", "a", False),
        ("%", "", True),
    ],
)
def test_the_second_reading_reads_patterns(pattern, text, holds):
    """The evaluator of this file is held by examples, so that two wrongs cannot agree."""
    assert like_holds(pattern, text) is holds


# What is refused.


class Unreached:
    """A `Send` that must not be used."""

    async def __call__(self, request: Request) -> RawResponse:
        """Fail."""
        raise AssertionError(f"{request} was sent")


REFUSED: dict[str, tuple[str, dict[str, Any], type[Exception], str]] = {
    "a mistyped name": ("students", {"first_nam": "Bo"}, TypeError, "'first_nam'; did you mean 'first_name'?"),
    "a name of the wire": ("students", {"firstName": "Bo"}, TypeError, "did you mean 'first_name'?"),
    "a name of another resource": ("schools", {"first_name": "Bo"}, TypeError, "no field 'first_name'"),
    "nothing": ("students", {}, ValueError, "use list()"),
    "nothing but unset": ("students", {"first_name": UNSET}, ValueError, "use list()"),
    "an empty object": ("students", {"meta": MetaQuery()}, ValueError, "StudentQuery.meta holds no condition"),
    "an empty alternative": ("students", {"any_of": [StudentQuery()]}, ValueError, "holds no condition"),
    "an empty demand": ("students", {"first_name": "Bo", "all_of": [StudentQuery()]}, ValueError, "no condition"),
    "no alternatives": ("students", {"any_of": []}, ValueError, "any_of is empty"),
    "no demands": ("students", {"all_of": ()}, ValueError, "all_of is empty"),
    "an alternative that is not one": ("students", {"any_of": [{"first_name": "Bo"}]}, TypeError, "any_of must be"),
    "one alternative alone": ("students", {"any_of": StudentQuery(id=ID)}, TypeError, "any_of must be a sequence"),
    "None": ("students", {"email_address1": None}, TypeError, "use null or ~null"),
    "None in an object": ("students", {"meta": MetaQuery(updated_at=None)}, TypeError, "use null"),
    "a naive datetime": ("audit_events", {"timestamp": datetime(2026, 1, 1)}, ValueError, "aware"),
    "a naive bound": ("students", {"meta": MetaQuery(updated_at=above(datetime(2026, 1, 1)))}, ValueError, "aware"),
    "a naive end": (
        "students",
        {"meta": MetaQuery(created_at=between(NOON, datetime(2026, 1, 1)))},
        ValueError,
        "aware",
    ),
    "a datetime for a date": ("students", {"date_of_birth": NOON}, TypeError, "must be a date, not datetime"),
    "a datetime bound of a date": ("students", {"date_of_birth": at_most(NOON)}, TypeError, "must be a date"),
    "a date for an instant": ("audit_events", {"timestamp": at_least(DAY)}, TypeError, "must be a datetime"),
    "text for a date": ("students", {"date_of_birth": "2015-01-01"}, TypeError, "must be a date"),
    "like on an enum": ("students", {"gender": like("F%")}, TypeError, "like does not apply to enum Gender"),
    "like on an id": ("students", {"id": like("5%")}, TypeError, "like does not apply to uuid"),
    "an order of texts": ("students", {"last_name": above("A")}, TypeError, "range does not apply to string"),
    "an order of truths": ("students", {"identity_temporary": above(0)}, TypeError, "range does not apply"),
    "one of some instants": ("audit_events", {"timestamp": one_of(NOON)}, TypeError, "oneof does not apply"),
    "null where nothing is": ("students", {"first_name": null}, TypeError, "null does not apply"),
    "a wrong element": ("students", {"first_name": one_of("Bo", 7)}, TypeError, "must be a str"),
    "another enum": ("students", {"gender": SchoolType.GR}, TypeError, "must be a Gender"),
    "no id": ("students", {"id": one_of(ID, "7")}, ValueError, "UUID"),
    "a list for an element": ("groups", {"types": [GroupType.CLASS]}, TypeError, "must be a GroupType"),
    "another object": ("students", {"meta": AddressQuery(postal_city="Solna")}, TypeError, "must be a MetaQuery"),
    "a truth for a number": ("student_placements", {"childcare_max_hours": True}, TypeError, "must be an int"),
}


@pytest.mark.parametrize(("attribute", "conditions", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_search_is_refused_before_any_io(attribute, conditions, error, message):
    """The call itself refuses, with no loop running and nothing awaited; `find` does as `search` does."""
    resource: Any = RESOURCES[attribute](Unreached())
    for ask in (resource.search, resource.find):
        with pytest.raises(error, match=re.escape(message)):
            ask(**dict(conditions))


def test_one_of_nothing_is_refused():
    """It would match nothing, or everything; the operator itself says so."""
    with pytest.raises(ValueError, match="at least one value"):
        one_of()


@pytest.mark.parametrize("attribute", ["grade_elementaries", "grade_upper_secondaries"])
def test_grades_cannot_be_searched(attribute):
    """The API has no search of grades, and there is none here."""
    assert not hasattr(RESOURCES[attribute](Unreached()), "search")
    assert len(SEARCHED) == 9
