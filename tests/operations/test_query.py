"""Search conditions: how each is spelled on the wire, what `~` and nesting do, and what is refused before any I/O."""

from __future__ import annotations

import copy
import io
import json
import pickle
import re
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from samples import ID, NOON, OTHER_ID

from meitner_aio import (
    RESOURCES,
    AddressQuery,
    AuditEventQuery,
    EmployeeQuery,
    ExternalQuery,
    Gender,
    GroupQuery,
    GroupType,
    MetaQuery,
    SchoolType,
    StudentPlacementQuery,
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
from meitner_aio._wire.validation import encode
from meitner_aio.query import GROUPS, Condition, SearchBody, to_filter

CANARY = "20150101-4242"
SPRING, SUMMER = date(2015, 3, 1), date(2015, 6, 1)
QUERIES = [operations(resource)["search"].body for resource in RESOURCES.values() if "search" in operations(resource)]


# Spelling.

ONE_CONDITION = {
    "a bare value": ("Ek", "equals", "Ek"),
    "equals": (equals("Ek"), "equals", "Ek"),
    "not equals": (~equals("Ek"), "notEquals", "Ek"),
    "like": (like("E%"), "like", "E%"),
    "not like": (~like("E%"), "notLike", "E%"),
    "one of": (one_of("Ek", "Bo"), "contains", ["Ek", "Bo"]),
    "none of": (~one_of("Ek", "Bo"), "notContains", ["Ek", "Bo"]),
    "null": (null, "null", True),
    "not null": (~null, "notNull", True),
}


@pytest.mark.parametrize(("condition", "group", "value"), ONE_CONDITION.values(), ids=ONE_CONDITION)
def test_a_condition_on_text(condition, group, value):
    """Each operator is one group of the filter."""
    assert to_filter(StudentQuery(email_address1=condition)) == {group: {"emailAddress1": value}, "orCondition": False}


BOUNDS = {
    "above": (above, "greaterThan"),
    "at least": (at_least, "greaterOrEqual"),
    "below": (below, "smallerThan"),
    "at most": (at_most, "smallerOrEqual"),
    "not above": (lambda value: ~above(value), "smallerOrEqual"),
    "not at least": (lambda value: ~at_least(value), "smallerThan"),
    "not below": (lambda value: ~below(value), "greaterOrEqual"),
    "not at most": (lambda value: ~at_most(value), "greaterThan"),
}


@pytest.mark.parametrize(("make", "group"), BOUNDS.values(), ids=BOUNDS)
def test_a_bound(make, group):
    """What has an order has four sides, and the opposite of one is another."""
    assert to_filter(StudentQuery(date_of_birth=make(SPRING)))[group] == {"dateOfBirth": SPRING}
    assert to_filter(StudentPlacementQuery(childcare_max_hours=make(7)))[group] == {"childcareMaxHours": 7}
    assert to_filter(AuditEventQuery(timestamp=make(NOON)))[group] == {"timestamp": NOON}


def test_between_includes_both_ends():
    """Two bounds of one field stand in one filter, and both must hold."""
    assert to_filter(StudentQuery(date_of_birth=between(SPRING, SUMMER))) == {
        "greaterOrEqual": {"dateOfBirth": SPRING},
        "smallerOrEqual": {"dateOfBirth": SUMMER},
        "orCondition": False,
    }


def test_outside_is_an_alternative():
    """The opposite of between is below or above: a filter of its own, joined with OR."""
    outside = {
        "smallerThan": {"dateOfBirth": SPRING},
        "greaterThan": {"dateOfBirth": SUMMER},
        "orCondition": True,
    }
    condition = ~between(SPRING, SUMMER)
    assert to_filter(StudentQuery(date_of_birth=condition)) == outside
    assert to_filter(StudentQuery(date_of_birth=condition, first_name="Bo")) == {
        "equals": {"firstName": "Bo"},
        "orCondition": False,
        "nestedFilters": [outside],
    }


def test_conditions_on_several_fields_must_all_hold():
    """One filter holds them all: one group each, fields of a group together."""
    query = StudentQuery(first_name="Bo", last_name="Ek", gender=~one_of(Gender.MALE), phone_number1=null)
    assert to_filter(query) == {
        "equals": {"firstName": "Bo", "lastName": "Ek"},
        "notContains": {"gender": [Gender.MALE]},
        "null": {"phoneNumber1": True},
        "orCondition": False,
    }


def test_objects_are_filtered_by_the_same_groups():
    """A condition inside meta, external or address keeps its path."""
    query = StudentQuery(
        first_name="Bo",
        meta=MetaQuery(updated_at=at_least(NOON), created_at=between(NOON, NOON), created_by=ID),
        external=ExternalQuery(source_id=like("a%")),
        address=AddressQuery(postal_city="Solna", postal_code=~null),
    )
    assert to_filter(query) == {
        "equals": {"firstName": "Bo", "meta": {"createdBy": ID}, "address": {"postalCity": "Solna"}},
        "greaterOrEqual": {"meta": {"createdAt": NOON, "updatedAt": NOON}},
        "smallerOrEqual": {"meta": {"createdAt": NOON}},
        "like": {"external": {"sourceID": "a%"}},
        "notNull": {"address": {"postalCode": True}},
        "orCondition": False,
    }


def test_outside_works_inside_an_object_too():
    """An alternative about a nested field is a nested filter with the nested path."""
    query = StudentQuery(meta=MetaQuery(created_at=~between(NOON, NOON)), first_name="Bo")
    assert to_filter(query)["nestedFilters"] == [
        {
            "smallerThan": {"meta": {"createdAt": NOON}},
            "greaterThan": {"meta": {"createdAt": NOON}},
            "orCondition": True,
        }
    ]


# Alternatives.


def said(**conditions):
    """Return the filter of equal values."""
    return {"equals": conditions, "orCondition": False}


def test_any_of_is_or():
    """One alternative must hold."""
    either = (StudentQuery(last_name="Ek"), StudentQuery(first_name="Bo"))
    assert to_filter(StudentQuery(any_of=either)) == {
        "orCondition": True,
        "nestedFilters": [said(lastName="Ek"), said(firstName="Bo")],
    }


def test_all_of_is_and():
    """More conditions on a field that already has one."""
    both = [StudentQuery(last_name=like("E%")), StudentQuery(last_name=like("%k"))]
    assert to_filter(StudentQuery(all_of=both)) == {
        "orCondition": False,
        "nestedFilters": [
            {"like": {"lastName": "E%"}, "orCondition": False},
            {"like": {"lastName": "%k"}, "orCondition": False},
        ],
    }


def test_alternatives_beside_conditions_hold_together():
    """Conditions, alternatives and more conditions are joined with AND, each alternative staying whole."""
    query = StudentQuery(
        gender=Gender.OTHER,
        any_of=[StudentQuery(last_name="Ek", first_name="Bo"), StudentQuery(last_name="Al")],
        all_of=[StudentQuery(first_name=~null if False else ~equals("Xi"))],
        date_of_birth=~between(SPRING, SUMMER),
    )
    assert to_filter(query) == {
        "equals": {"gender": Gender.OTHER},
        "orCondition": False,
        "nestedFilters": [
            {"orCondition": True, "nestedFilters": [said(lastName="Ek", firstName="Bo"), said(lastName="Al")]},
            {"orCondition": False, "nestedFilters": [{"notEquals": {"firstName": "Xi"}, "orCondition": False}]},
            {"smallerThan": {"dateOfBirth": SPRING}, "greaterThan": {"dateOfBirth": SUMMER}, "orCondition": True},
        ],
    }


def test_alternatives_nest():
    """An alternative may have alternatives."""
    inner = StudentQuery(any_of=[StudentQuery(first_name="Bo"), StudentQuery(first_name="Al")])
    assert to_filter(StudentQuery(any_of=[inner, StudentQuery(last_name="Ek")])) == {
        "orCondition": True,
        "nestedFilters": [
            {"orCondition": True, "nestedFilters": [said(firstName="Bo"), said(firstName="Al")]},
            said(lastName="Ek"),
        ],
    }


def test_a_search_body_is_the_filter_as_json():
    """Dates, instants and enums are written as the API writes them."""
    query = StudentQuery(date_of_birth=SPRING, gender=Gender.OTHER, meta=MetaQuery(updated_at=above(NOON)))
    assert json.loads(encode(SearchBody(to_filter(query)))) == {
        "filter": {
            "equals": {"dateOfBirth": "2015-03-01", "gender": "Other"},
            "greaterThan": {"meta": {"updatedAt": "2026-03-01T12:00:00Z"}},
            "orCondition": False,
        }
    }


# Laws.

days = st.dates()
conditions = st.one_of(
    days.map(equals),
    st.lists(days, min_size=1).map(lambda values: one_of(*values)),
    days.map(above),
    days.map(at_least),
    days.map(below),
    days.map(at_most),
    st.tuples(days, days).map(lambda ends: between(*ends)),
    st.just(null),
)


def holds(made, value):
    """Return whether a filter on the date of birth holds for a value, null included."""
    tests = {
        "equals": lambda asked: value == asked,
        "notEquals": lambda asked: value != asked,
        "contains": lambda asked: value in asked,
        "notContains": lambda asked: value not in asked,
        "null": lambda _: value is None,
        "notNull": lambda _: value is not None,
        "greaterThan": lambda asked: value > asked,
        "greaterOrEqual": lambda asked: value >= asked,
        "smallerThan": lambda asked: value < asked,
        "smallerOrEqual": lambda asked: value <= asked,
    }
    found = [tests[group](fields["dateOfBirth"]) for group, fields in made.items() if group in tests]
    found += [holds(inner, value) for inner in made.get("nestedFilters", [])]
    return (any if made["orCondition"] else all)(found)


@given(conditions, days)
def test_not_is_the_opposite(condition, day):
    """`~condition` holds exactly where the condition does not."""
    said_yes = holds(to_filter(StudentQuery(date_of_birth=condition)), day)
    assert holds(to_filter(StudentQuery(date_of_birth=~condition)), day) is not said_yes


@given(conditions)
def test_not_not_is_nothing(condition):
    """Twice the opposite is the condition itself, of the same type."""
    assert ~~condition == condition
    assert type(~condition) is type(condition)
    assert to_filter(StudentQuery(date_of_birth=~~condition)) == to_filter(StudentQuery(date_of_birth=condition))


@given(st.lists(conditions, min_size=1, max_size=4), st.booleans(), days)
def test_alternatives_mean_what_they_say(several, either, day):
    """Any of the alternatives is enough for `any_of`; `all_of` wants all of them."""
    queries = [StudentQuery(date_of_birth=condition) for condition in several]
    each = [holds(to_filter(query), day) for query in queries]
    asked = StudentQuery(any_of=queries) if either else StudentQuery(all_of=queries)
    assert holds(to_filter(asked), day) is (any if either else all)(each)


def matches(pattern, text):
    """Return whether SQL LIKE, with the backslash as escape, matches."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    sense = {"%": ".*", "_": "."}
    return re.fullmatch("".join(sense.get(part, re.escape(part[-1])) for part in parts), text, re.DOTALL) is not None


@given(st.text(alphabet="a%_\\b\n") | st.text(), st.text(alphabet="a%_\\b\n") | st.text())
def test_escape_leaves_no_wildcard(text, other):
    """Text of a user, escaped, matches itself and nothing else."""
    assert matches(like.escape(text), text)
    assert matches(like.escape(text), other) == (text == other)
    assert matches(like.escape(text) + "%", text + other)


def test_escape_by_example():
    """The wildcards and the escape itself are escaped."""
    assert like.escape(r"50%_a\b") == r"50\%\_a\\b"


# Refusals.

REFUSED = {
    "like on an enum": lambda: StudentQuery(gender=like("F%")),
    "like on a date": lambda: StudentQuery(date_of_birth=like("2015%")),
    "like on an id": lambda: StudentQuery(id=like("5f%")),
    "a range of text": lambda: StudentQuery(first_name=above("Bo")),
    "a range of booleans": lambda: StudentQuery(identity_temporary=above(True)),
    "null where it never is": lambda: StudentQuery(first_name=null),
    "not null where it always is": lambda: StudentQuery(first_name=~null),
    "one of some instants": lambda: AuditEventQuery(timestamp=one_of(NOON)),
    "like on an instant": lambda: AuditEventQuery(timestamp=like("2026%")),
    "None": lambda: StudentQuery(email_address1=None),
    "a number for text": lambda: StudentQuery(first_name=7),
    "a number in a list": lambda: StudentQuery(first_name=one_of("Bo", 7)),
    "None in a list": lambda: StudentQuery(first_name=one_of(None)),
    "None in equals": lambda: StudentQuery(email_address1=~equals(None)),
    "a number in a pattern": lambda: StudentQuery(first_name=like(7)),
    "text for a date": lambda: StudentQuery(date_of_birth="2015-03-01"),
    "an instant for a date": lambda: StudentQuery(date_of_birth=above(NOON)),
    "a date for an instant": lambda: AuditEventQuery(timestamp=above(SPRING)),
    "a date for a number": lambda: StudentPlacementQuery(childcare_max_hours=above(SPRING)),
    "bounds of two kinds": lambda: StudentQuery(date_of_birth=between(SPRING, 7)),
    "another enum": lambda: StudentQuery(gender=SchoolType.GR),
    "a list for a list field": lambda: GroupQuery(types=[GroupType.CLASS]),
    "an address as text": lambda: StudentQuery(address="Solna"),
    "null for an object": lambda: StudentQuery(address=null),
    "another object": lambda: StudentQuery(address=MetaQuery(created_by=ID)),
    "alternatives of another resource": lambda: StudentQuery(any_of=[EmployeeQuery(last_name="Ek")]),
    "an alternative that is no query": lambda: StudentQuery(any_of=[{"last_name": "Ek"}]),
    "one alternative without a list": lambda: StudentQuery(any_of=StudentQuery(last_name="Ek")),
    "alternatives as text": lambda: StudentQuery(any_of="Ek"),
    "alternatives as None": lambda: StudentQuery(all_of=None),
    "a condition without an operator": lambda: StudentQuery(first_name=Condition((("equals", "Bo"),))),
}


@pytest.mark.parametrize("query", REFUSED.values(), ids=REFUSED)
def test_what_a_field_does_not_allow_is_a_type_error(query):
    """The type of a field decides; the message names the field and the kind, never the value."""
    with pytest.raises(TypeError, match=r"^(Student|StudentPlacement|AuditEvent|Group|Employee)Query\.\w+") as caught:
        to_filter(query())
    assert "Bo" not in str(caught.value)


WRONG = {
    "a naive instant": lambda: AuditEventQuery(timestamp=above(datetime(2026, 3, 1))),
    "an id that is none": lambda: StudentQuery(id=CANARY),
    "an id in a list": lambda: GroupQuery(member_ids=one_of(ID, CANARY)),
    "an enum value that is none": lambda: StudentQuery(gender=CANARY),
    "a lone surrogate": lambda: StudentQuery(first_name=like(CANARY + "\ud800")),
    "a number of 65 bits": lambda: StudentPlacementQuery(childcare_max_hours=2**63),
    "no alternatives": lambda: StudentQuery(any_of=()),
    "an empty alternative": lambda: StudentQuery(any_of=[StudentQuery()]),
    "an object without conditions": lambda: StudentQuery(address=AddressQuery()),
    "an object without conditions beside one": lambda: StudentQuery(address=AddressQuery(), first_name="Bo"),
}


@pytest.mark.parametrize("query", WRONG.values(), ids=WRONG)
def test_a_value_that_cannot_be_is_a_value_error(query):
    """Right type, wrong value: refused without quoting it."""
    with pytest.raises(ValueError, match="Query") as caught:
        to_filter(query())
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.__name__)
def test_an_empty_search_is_refused(query):
    """A search without conditions would match every row: that is what `list()` is for."""
    with pytest.raises(ValueError, match=r"no condition.*list\(\)"):
        to_filter(query())


def test_one_of_nothing_is_refused():
    """A search for none of them would match nothing, or everything."""
    with pytest.raises(ValueError, match="at least one value"):
        one_of()


@pytest.mark.parametrize("resource", [r for r in RESOURCES.values() if "search" in operations(r)])
def test_a_mistyped_name_is_refused(resource):
    """A filter that the server would drop in silence matches every row."""

    async def never(_):
        raise AssertionError("sent")

    with pytest.raises(TypeError, match=r"has no field 'idd'; did you mean 'id'\?"):
        resource(never).search(idd=ID)


# What a query keeps to itself.


def test_queries_and_conditions_hide_their_values():
    """A search for a person is personal: `repr` and rich name fields and groups only."""
    query = StudentQuery(identity_number=CANARY, any_of=[StudentQuery(first_name=like(CANARY))])
    console = Console(file=io.StringIO(), width=300)
    console.print(query, like(CANARY), SearchBody(to_filter(query)))
    shown = console.file.getvalue() + repr(query) + repr(~like(CANARY)) + repr(SearchBody(to_filter(query)))
    assert CANARY not in shown
    assert repr(query) == "StudentQuery(any_of=***, identity_number=***)"
    assert repr(~like(CANARY)) == "Like(notLike)"
    assert repr(like) == "like"


def test_a_query_is_a_value():
    """Queries are frozen, equal by value, copied and pickled like any record."""
    query = StudentQuery(first_name=one_of("Bo"), any_of=(StudentQuery(date_of_birth=~between(SPRING, SUMMER)),))
    twin = pickle.loads(pickle.dumps(query))
    assert twin == copy.deepcopy(query) == query
    assert to_filter(twin) == to_filter(query)
    with pytest.raises(AttributeError):
        query.first_name = "Ek"


def test_a_condition_is_a_value():
    """Conditions are frozen and equal by value; they can be kept in a set."""
    for make in (lambda: equals("Bo"), lambda: like("B%"), lambda: above(SPRING), lambda: ~null):
        assert make() == make()
        assert len({make(), make()}) == 1
        with pytest.raises(AttributeError):
            make().parts = ()
    assert equals("Bo") != like("Bo")
    assert one_of("Bo") == one_of("Bo")


def test_none_is_answered_with_what_was_meant():
    """None is no condition: who writes it means null."""
    with pytest.raises(TypeError, match=r"^StudentQuery\.email_address1: None is not a condition; use null or ~null$"):
        to_filter(StudentQuery(email_address1=None))


def test_there_are_twelve_groups():
    """Every filter group of the API can be asked for."""
    assert len(set(GROUPS)) == len(GROUPS) == 12


def test_ids_in_a_filter_are_kept():
    """An id may be written in either case; the server compares UUIDs, not text."""
    made = to_filter(GroupQuery(member_ids=one_of(ID.upper(), OTHER_ID)))
    assert [value.lower() for value in made["contains"]["memberIDs"]] == [ID, OTHER_ID]


def test_an_instant_of_any_zone_is_taken():
    """UTC or not: what has an offset is an instant."""
    assert to_filter(AuditEventQuery(timestamp=above(datetime.now(UTC).astimezone())))
