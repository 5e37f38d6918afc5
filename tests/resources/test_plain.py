"""Records as dictionaries and as JSON: the same data in each form, under either names, and nothing that is no record."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from traceback import StackSummary, walk_tb
from typing import Any

import msgspec
import pytest
from samples import ID, NOON, record

from meitner_aio import (
    RESOURCES,
    Address,
    External,
    Gender,
    GroupCreate,
    Meitner,
    Meta,
    Student,
    StudentFields,
    to_dict,
    to_json,
)
from meitner_aio.records import Record

MODELS = [resource.model for resource in RESOURCES.values()]
CANARY = "Canary-20150101-4242"


def student(**more: Any) -> Student:
    """Return a student."""
    return Student(id=ID, identity_number="20150101-0000", first_name="Åsa", last_name="Ek", **more)


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_json_under_the_names_of_the_api_is_what_an_answer_would_be(kind: type[Record]) -> None:
    """Every record comes back equal when its JSON is read as an answer of the API is."""
    whole = record(kind)
    assert msgspec.json.decode(to_json(whole, by_alias=True), type=kind) == whole


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("by_alias", [False, True])
def test_a_dictionary_of_json_is_the_json(kind: type[Record], by_alias: bool) -> None:
    """`mode="json"` has what the text has, in types of the standard library, exactly."""
    data = to_dict(record(kind), mode="json", by_alias=by_alias)
    assert json.loads(to_json(record(kind), by_alias=by_alias)) == data
    assert json.loads(json.dumps(data)) == data
    assert set(data) == set(kind.__struct_encode_fields__ if by_alias else kind.__struct_fields__)


def test_a_dictionary_in_a_write_has_the_names_that_are_asked_for() -> None:
    """It is another spelling of a record, and becomes what that one does."""
    spelled = External(source_id="7")
    for by_alias in (False, True):
        one, other = (
            StudentFields(identity_number="1", first_name="a", last_name="b", gender=Gender.FEMALE, external=external)
            for external in (spelled, {"source_id": "7"})
        )
        expected = {"sourceID" if by_alias else "source_id": "7"}
        assert to_dict(one, by_alias=by_alias)["external"] == to_dict(other, by_alias=by_alias)["external"] == expected


def test_modes_differ_in_their_values_and_aliases_in_their_names() -> None:
    """Python keeps dates, instants and enums; JSON has text. Names are decided by themselves, at every depth."""
    meta = Meta(created_at=datetime(2026, 8, 17, 12, tzinfo=UTC))
    one = student(date_of_birth=date(2015, 1, 2), gender=Gender("New"), meta=meta, address=Address(postal_city="Solna"))
    kept, json_kept = to_dict(one), to_dict(one, mode="json")
    assert (kept["date_of_birth"], kept["meta"]["created_at"]) == (date(2015, 1, 2), NOON.replace(day=17, month=8))
    assert isinstance(kept["gender"], Gender)
    assert (json_kept["date_of_birth"], json_kept["meta"]["created_at"]) == ("2015-01-02", "2026-08-17T12:00:00Z")
    assert type(json_kept["gender"]) is str
    assert to_dict(one, by_alias=True)["address"] == {"postalCity": "Solna"}
    assert to_dict(one, by_alias=True)["dateOfBirth"] == date(2015, 1, 2)
    assert "Åsa" in to_json(one)


def test_what_is_not_set_is_in_neither() -> None:
    """A write has the fields that were given, and null where null was given."""
    assert to_json(Address(postal_code=None), by_alias=True) == '{"postalCode":null}'
    assert to_json(External(source_id="5")) == '{"source_id":"5"}'
    assert to_dict(GroupCreate(school_id=ID, title="7A"), mode="json") == {"title": "7A", "school_id": ID}


async def test_several_records_are_a_list_of_them() -> None:
    """A list, a tuple, a generator and a page give a list each, and an array of JSON; none give an empty one."""
    async with Meitner.sandbox(students=3) as meitner:
        page = await meitner.students.list()
    expected = [to_dict(row) for row in page.data]
    assert len(expected) == 3
    for rows in (page, page.data, tuple(page.data), (row for row in page.data)):
        assert to_dict(rows) == expected
    assert json.loads(to_json(page, indent=2)) == [to_dict(row, mode="json") for row in page.data]
    assert (to_dict([]), to_json([])) == ([], "[]")


def test_an_indent_spreads_the_same_json_over_lines() -> None:
    """For people: one line a field."""
    assert to_json(Address(postal_city="Solna"), indent=2) == '{\n  "postal_city": "Solna"\n}'


def test_objects_of_any_depth_and_in_mappings_are_spelled_out() -> None:
    """Records in lists and in values of mappings, as a record of a user's own may have them."""

    class Household(Record):
        """People who live together."""

        members: list[Address]
        by_role: dict[str, Address]

    home = Household(members=[Address(postal_city="Solna")], by_role={"first_one": Address(postal_city="Solna")})
    plain = {"members": [{"postal_city": "Solna"}], "by_role": {"first_one": {"postal_city": "Solna"}}}
    assert to_dict(home) == plain
    assert to_dict(home, by_alias=True) == {
        "members": [{"postalCity": "Solna"}],
        "byRole": {"first_one": {"postalCity": "Solna"}},
    }


@pytest.mark.parametrize("call", [to_dict, to_json])
@pytest.mark.parametrize("given", [CANARY, CANARY.encode(), {"name": CANARY}, 5, None, [CANARY], [student(), {"a": 1}]])
def test_what_is_no_record_is_refused_and_not_shown(call: Any, given: Any) -> None:
    """The type is named, and no value, in the message or in a local of the frames below the caller's."""
    with pytest.raises(TypeError, match=r"takes a record or several, (and one of them is|not) \w+$") as caught:
        call(given)
    frames = StackSummary.extract(walk_tb(caught.value.__traceback__), capture_locals=True)
    assert not [frame for frame in frames if frame.filename != __file__ and CANARY in str(frame.locals)]


async def test_a_listing_is_read_first() -> None:
    """It says how: its rows cannot be had without waiting."""
    async with Meitner.sandbox(students=1) as meitner:
        with pytest.raises(TypeError, match=r"a Listing is read first: to_dict\(await listing.all\(\)\)"):
            to_dict(meitner.students.list())  # type: ignore[call-overload]


def test_another_mode_is_refused() -> None:
    """A mistyped mode is no silent default."""
    with pytest.raises(ValueError, match='mode must be "python" or "json"'):
        to_dict(student(), mode="JSON")  # type: ignore[call-overload]


def test_a_record_is_no_mapping() -> None:
    """`dict(record)` and a loop over one are refused: its data is shown by name only, where a reader can search for it."""
    with pytest.raises(TypeError, match="not iterable"):
        dict(student())  # type: ignore[call-overload]
