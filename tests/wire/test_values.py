"""What a caller may hand in: every kind of value, good and bad, and the silence of the messages about them."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from samples import ID, NOON, OTHER_ID, Recorder, answer, every, page, record, required

from meitner_aio import (
    RESOURCES,
    Address,
    External,
    ExternalRequest,
    Gender,
    GroupCreate,
    GroupType,
    SchoolType,
    StudentFields,
    StudentPlacementUpdate,
    UnitFields,
)
from meitner_aio._operations.operations import operations
from meitner_aio._wire.validation import built, checked, checked_id, suggestion
from meitner_aio.records import Record, fields

CANARY = "20150101-4242"
BODIES = [
    operation.body
    for resource in RESOURCES.values()
    for name, operation in operations(resource).items()
    if operation.body is not None and name != "search"
]


# Ids.


@pytest.mark.parametrize("text", [ID, ID.upper(), "00000000-0000-0000-0000-000000000000", "F" * 8 + ID[8:]])
def test_a_uuid_is_an_id(text):
    """Any UUID in its usual form, whatever its version; it travels in lower case."""
    assert checked_id(text) == text.lower()


NOT_IDS = [
    "",
    "../school/1",
    ID[:-1],
    ID + "0",
    f" {ID}",
    f"{ID}\n",
    f"{{{ID}}}",
    f"urn:uuid:{ID}",
    ID.replace("-", ""),
    ID.replace("5", "\N{ARABIC-INDIC DIGIT FIVE}"),
    ID.replace("a", "\N{CYRILLIC SMALL LETTER A}"),
    ID.replace("a", "g"),
    f"{ID}/archive",
    f"{ID}?limit=1",
    f"{ID}%00",
    CANARY,
]


@pytest.mark.parametrize("text", NOT_IDS)
def test_other_text_is_not_an_id(text):
    """An id becomes part of a path: text that is no UUID could name anything."""
    with pytest.raises(ValueError, match=r"^id must be a UUID such as 5f0c8a52-"):
        checked_id(text)


@pytest.mark.parametrize("value", [None, 7, uuid.UUID(ID), ID.encode(), [ID], {"id": ID}])
def test_an_id_is_text(value):
    """The contract says `str`: a UUID object is refused with its type named."""
    with pytest.raises(TypeError, match=f"^id must be a str holding a UUID, not {type(value).__name__}$"):
        checked_id(value)


@given(st.uuids())
def test_every_uuid_is_an_id(value):
    """What `str(uuid.UUID)` says is accepted and left alone."""
    assert checked_id(str(value)) == str(value)


@given(
    st.text() | st.text("0123456789abcdef-", min_size=34, max_size=38) | st.from_regex(r"[0-9a-f-]{36}", fullmatch=True)
)
@example(ID)
def test_an_accepted_id_is_a_uuid(text):
    """Whatever is accepted means the same to `uuid.UUID`."""
    try:
        accepted = checked_id(text)
    except ValueError:
        return
    assert str(uuid.UUID(accepted)) == accepted == text.lower()


# Kinds of values.


class Colour(Enum):
    """An enum that is none of the API's."""

    RED = "Female"


PLACEMENT = required(StudentPlacementUpdate)
GOOD = {
    "text": (StudentFields, "first_name", ["Bo", "", "Åsa-Li ☃", "O'Brien", "\U0001f600"]),
    "boolean": (StudentFields, "identity_temporary", [True, False]),
    "integer": (StudentPlacementUpdate, "childcare_max_hours", [0, -1, 2**63 - 1, -(2**63)]),
    "date": (StudentFields, "date_of_birth", [date(2015, 1, 1), date.min, date.max, None]),
    "enum": (StudentFields, "gender", [Gender.MALE, "Male", Gender("Later"), None]),
    "ids": (GroupCreate, "member_ids", [[], [ID], (ID, OTHER_ID), collections.deque([ID]), collections.UserList([ID])]),
    "enums": (GroupCreate, "types", [[GroupType.CLASS], ["Class"], ()]),
    "address": (StudentFields, "address", [Address(), Address(postal_city=None)]),
    "external": (UnitFields, "external", [External(source_id="5"), ExternalRequest(source_id="5")]),
}
BAD = {
    "text": (StudentFields, "first_name", [b"Bo", 7, ["Bo"], None, "\ud800", Address()]),
    "boolean": (StudentFields, "identity_temporary", [0, 1, "true", None]),
    "integer": (StudentPlacementUpdate, "childcare_max_hours", [True, 1.0, "1", 2**63, -(2**63) - 1]),
    "date": (StudentFields, "date_of_birth", ["2015-01-01", NOON, 2015]),
    "enum": (StudentFields, "gender", ["Later", "FEMALE", "female", "", SchoolType.GR, Colour.RED, 7]),
    "ids": (GroupCreate, "member_ids", [ID, ["5"], [None], {ID}, {ID: 1}, None, iter([ID]), b"", b"ab", [CANARY]]),
    "enums": (GroupCreate, "types", ["Class", GroupType.CLASS, [Gender.MALE], ["Later"]]),
    "address": (
        StudentFields,
        "address",
        [{"town": "Solna"}, {"postal_city": 7}, "Solna", None, Address(postal_city=7)],
    ),
    "external": (UnitFields, "external", ["5", None, {}, External(), External(source_id=None), External(source="x")]),
}


def _cases(table):
    return [
        pytest.param(body, name, value, id=f"{kind}-{number}")
        for kind, (body, name, values) in table.items()
        for number, value in enumerate(values)
    ]


def sent(body, name, value):
    """Return what a write sends when one field has the value."""
    resource, call = next(
        (resource, call)
        for resource in RESOURCES.values()
        for call, operation in operations(resource).items()
        if operation.body is body
    )
    send = Recorder(answer(record(resource.model)))
    ids = [ID] if call == "update" else []
    asyncio.run(getattr(resource(send), call)(*ids, **(required(body) | {name: value})))
    return json.loads(send.requests[0].body)


def searched(instant):
    """Return what a search for an instant sends as its value."""
    send = Recorder(page())
    asyncio.run(RESOURCES["audit_events"](send).search(timestamp=instant).count())
    return json.loads(send.requests[0].body)["filter"]["equals"]["timestamp"]


@pytest.mark.parametrize(("body", "name", "value"), _cases(GOOD))
def test_good_values_are_sent(body, name, value):
    """What fits the field reaches the wire."""
    field = next(field for field in fields(body) if field.name == name)
    data = sent(body, name, value)
    if isinstance(value, Record):
        assert set(data[field.wire]) == {wire for wire in ("postalCity", "sourceID") if wire in str(data)}
    elif field.many:
        assert data[field.wire] == list(value)
    else:
        assert data[field.wire] == msgspec.to_builtins(value)


@pytest.mark.parametrize(("body", "name", "value"), _cases(BAD))
def test_bad_values_are_refused_before_anything_is_sent(body, name, value):
    """What does not fit raises TypeError or ValueError and names the field."""
    with pytest.raises((TypeError, ValueError), match=rf"^{body.__name__}\.{name}|^Address\."):
        sent(body, name, value)


def test_a_wrong_type_is_told_in_words():
    """The sentence reads like one: an Address, a Gender."""
    with pytest.raises(TypeError, match=r"^StudentFields\.address must be an Address, not str$"):
        sent(StudentFields, "address", "Solna")
    with pytest.raises(TypeError, match=r"^StudentFields\.gender must be a Gender, not SchoolType$"):
        sent(StudentFields, "gender", SchoolType.GR)
    with pytest.raises(ValueError, match=r"^StudentFields\.gender must be one of Female, Male, Other$"):
        sent(StudentFields, "gender", "Later")


SUBCLASSES = {
    "text": (StudentFields, "first_name", type("Markup", (str,), {})("Bo"), "Bo"),
    "date": (StudentFields, "date_of_birth", type("Day", (date,), {})(2015, 1, 1), "2015-01-01"),
    "integer": (StudentPlacementUpdate, "childcare_max_hours", type("Hours", (int,), {})(7), 7),
}


@pytest.mark.parametrize(("body", "name", "value", "wire"), SUBCLASSES.values(), ids=SUBCLASSES)
def test_a_subclass_is_what_it_is_a_kind_of(body, name, value, wire):
    """Text of a template engine, a timestamp of pandas, a number of numpy: each is sent as what it is."""
    assert wire in sent(body, name, value).values()


def test_a_subclass_of_datetime_is_an_instant():
    """A search for a pandas timestamp is a search for an instant."""
    stamp = type("Stamp", (datetime,), {})(2026, 3, 1, 12, tzinfo=UTC)
    assert datetime.fromisoformat(searched(stamp)) == NOON


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (datetime(2026, 3, 1, 12), "no time zone"),
        (date(2026, 3, 1), "must be a datetime, not date"),
        ("2026-03-01T12:00:00Z", "must be a datetime, not str"),
    ],
)
def test_an_instant_is_an_aware_datetime(value, problem):
    """A naive time is refused by name: nobody knows where its noon is."""
    with pytest.raises((TypeError, ValueError), match=problem):
        searched(value)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-9, minutes=-30))])
def test_an_instant_keeps_its_offset(zone):
    """Any zone will do."""
    assert datetime.fromisoformat(searched(NOON.astimezone(zone))) == NOON


# External ids.


def test_an_external_that_was_read_can_be_written():
    """`source` is the server's: a write sends the source id only."""
    body = checked(UnitFields(title="Norr", external=External(source_id="5", source="Other")))
    assert json.loads(msgspec.json.encode(body)) == {"title": "Norr", "external": {"sourceID": "5"}}


# Building.


def test_a_wrong_name_is_refused_with_the_right_one():
    """A typing mistake is answered with what was meant."""
    with pytest.raises(TypeError, match=r"^StudentFields has no field 'first_nam'; did you mean 'first_name'\?$"):
        built(StudentFields, {"first_nam": "Bo"})
    with pytest.raises(TypeError, match=r"^StudentFields has no field 'firstName'; did you mean 'first_name'\?$"):
        built(StudentFields, {"firstName": "Bo"})
    with pytest.raises(TypeError, match=r"^UnitFields has no field 'zzz'$"):
        built(UnitFields, {"zzz": 1})


def test_a_suggestion_is_close_or_nothing():
    """Only a near miss is worth a guess."""
    assert suggestion("titel", ["title", "id"]) == "; did you mean 'title'?"
    assert suggestion("colour", ["title", "id"]) == ""


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_missing_fields_are_named_all_at_once(body):
    """Who forgot two fields hears of both."""
    needed = [field.name for field in fields(body) if field.required]
    with pytest.raises(TypeError, match=f"^{body.__name__} lacks the required {', '.join(needed)}$"):
        built(body, {})


def test_unset_is_not_given():
    """`UNSET` says that nothing is said, as leaving the field out does; it does not stand in for a required one."""
    assert built(UnitFields, {"title": "Norr", "description": msgspec.UNSET}) == UnitFields(title="Norr")
    with pytest.raises(TypeError, match="lacks the required title"):
        built(UnitFields, {"title": msgspec.UNSET})


@pytest.mark.parametrize("given", [every(StudentFields), {"first_name": CANARY}, {"first_nam": CANARY}, {}])
def test_what_was_given_is_emptied(given):
    """No frame of a later traceback holds the values, whether building them worked or not."""
    given = dict(given)
    with contextlib.suppress(TypeError):
        built(StudentFields, given)
    assert given == {}


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_null_is_for_nullable_fields(body):
    """None clears what may be null, and is refused everywhere else."""
    for field in fields(body):
        given = required(body) | {field.name: None}
        if field.nullable:
            assert checked(built(body, given)) is not None
        else:
            with pytest.raises(TypeError, match=rf"^{body.__name__}\.{field.name} cannot be null"):
                checked(built(body, given))


# Silence.


class Loud:
    """A value whose every spelling is a canary."""

    def __repr__(self):
        return CANARY

    __str__ = __repr__


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_no_check_prints_a_value(body):
    """Whatever the field, a wrong value is described by its type."""
    for field in fields(body):
        for value in (Loud(), [Loud()], CANARY + "\ud800"):
            given = required(body) | {field.name: value}
            with pytest.raises((TypeError, ValueError), match=field.name) as caught:
                checked(built(body, given))
            assert CANARY not in str(caught.value)
            assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_record_of_each_resource_is_a_good_sample():
    """The samples that other tests use pass the checks themselves."""
    for body in BODIES:
        assert checked(built(body, every(body))) == record(body)
