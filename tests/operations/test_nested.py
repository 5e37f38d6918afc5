"""Objects in a write as dictionaries: the same requests as the records they stand for, wherever a write is made."""

from __future__ import annotations

import json
import types
from datetime import date
from traceback import StackSummary, walk_tb
from typing import Any, get_type_hints, is_typeddict

import pytest
from plain_directory import PlainDirectory
from samples import ID

import meitner_aio
from meitner_aio import (
    RESOURCES,
    Address,
    AddressDict,
    ExternalDict,
    ExternalRequest,
    Meitner,
    Portal,
    StudentFields,
    UnitFields,
)
from meitner_aio._operations.operations import operations
from meitner_aio._wire.validation import checked, encode
from meitner_aio.outbox import Outbox
from meitner_aio.reconcile import Desired
from meitner_aio.records import SPELLED, Kind, Record, fields

CANARY = "Canary-20150101-4242"
PERSON = {"identity_number": "20150101-0000", "first_name": "Bo", "last_name": "Ek"}
NESTED: dict[str, Any] = {"address": {"postal_city": "Solna", "postal_code": None}, "external": {"source_id": "hr-1"}}
RECORDS: dict[str, Any] = {
    "address": Address(postal_city="Solna", postal_code=None),
    "external": ExternalRequest(source_id="hr-1"),
}
SENT = {"address": {"postalCity": "Solna", "postalCode": None}, "external": {"sourceID": "hr-1"}}


class Home(Record):
    """A home."""

    address: Address


class Family(Record):
    """A family."""

    homes: list[Home]
    since: date


@pytest.mark.parametrize(("spelling", "record"), SPELLED.items(), ids=lambda kind: getattr(kind, "__name__", ""))
def test_dictionaries_have_the_fields_of_their_records(spelling: Any, record: type[Record]) -> None:
    """Names, types and what is required are equal: neither can grow without the other."""
    hints = get_type_hints(spelling)
    assert is_typeddict(spelling)
    assert hints == get_type_hints(record)
    assert spelling.__required_keys__ == {field.name for field in fields(record) if field.required}
    assert getattr(meitner_aio, spelling.__name__) is spelling


def test_every_object_in_a_write_may_be_a_dictionary() -> None:
    """No write has an object without its dictionary in the annotation."""
    bodies = {
        operation.body
        for resource in RESOURCES.values()
        for name, operation in operations(resource).items()
        if operation.body is not None and name != "search"
    }
    objects = [(body, field) for body in bodies for field in fields(body) if field.kind is Kind.OBJECT]
    assert len(objects) > 10
    for body, field in objects:
        hint = get_type_hints(body)[field.name]
        assert isinstance(hint, types.UnionType)
        assert [SPELLED[member] for member in hint.__args__ if member in SPELLED] == [field.type]


async def test_every_way_to_write_takes_them() -> None:
    """`create`, `update`, `modify`, `upsert`, those of many and an outbox send what they send for records."""
    seen = []
    for nested in (NESTED, RECORDS):
        directory = PlainDirectory()
        students: Any = RESOURCES["students"](directory)
        made = await students.create(**PERSON, **nested)
        await students.update(made.id, **PERSON, **nested)
        await students.modify(made, **nested)
        assert not (await students.upsert("source_id", **PERSON, **nested)).changed
        fresh = PERSON | {"identity_number": "20150101-1111"} | nested | {"external": {"source_id": "hr-2"}}
        assert [one.error async for one in students.create_many([StudentFields(**fresh)])] == [None]
        assert [one.error async for one in students.update_many([(made.id, PERSON | nested)])] == [None]
        done = [one async for one in students.upsert_many("source_id", [PERSON | nested])]
        assert [(one.error, one.record.changed) for one in done] == [(None, False)]
        async with Outbox() as outbox:
            outbox.put(students.update(made.id, **PERSON, **nested))
        assert (outbox.sent, outbox.failures) == (1, [])
        assert sum(data["address"] == SENT["address"] for _, _, data in directory.requests if "address" in data) == 6
        seen.append([data for _, path, data in directory.requests if "_search" not in path])
    assert seen[0] == seen[1]


def test_a_portal_and_a_registry_take_them() -> None:
    """So do code without asyncio and a desired state."""
    with Portal(Meitner.sandbox(students=0)) as portal:
        made = portal.run(portal.meitner.students.create(**PERSON, **NESTED))
        assert (made.address, made.external) != (None, None)
        assert made.address is not None
        assert made.address.postal_city == "Solna"
    assert Desired(students=[PERSON | NESTED]).problems == Desired(students=[PERSON | RECORDS]).problems == ()


@pytest.mark.parametrize(
    ("nested", "message"),
    [
        (
            {"external": {"sourceID": CANARY}},
            "external has no field 'sourceID', which is the API's name of 'source_id'",
        ),
        ({"address": {"postalCity": CANARY}}, "address has no field 'postalCity', which is the API's name of 'postal_"),
        ({"address": {"postal_cty": CANARY}}, r"address has no field 'postal_cty'; did you mean 'postal_city'\?"),
        ({"external": {"source_id": "5", "source": CANARY}}, "external has no field 'source': the server sets it"),
        ({"address": {CANARY: "Solna"}}, r"address has no field 'Canary-\*\*\*'$"),
        ({"address": {7: CANARY}}, "address must have names of fields, not int"),
        ({"external": {}}, "external lacks the required source_id"),
        ({"external": {"source_id": None}}, "source_id cannot be null"),
        ({"address": {"postal_city": 7}}, "Address.postal_city must be a str, not int"),
        ({"address": [("postal_city", CANARY)]}, "address must be an Address, not list"),
        ({"external": CANARY}, "external must be an ExternalRequest, not str"),
    ],
)
@pytest.mark.parametrize("call", ["create", "update", "upsert", "modify", "create_many", "upsert_many"])
async def test_what_is_wrong_in_one_is_said_before_anything_is_sent(call: str, nested: Any, message: str) -> None:
    """The field, and what was meant: no request, and no value in the message or in a frame below the caller's."""
    directory = PlainDirectory()
    students: Any = RESOURCES["students"](directory)
    person = students.model(id=ID, **PERSON)
    fields = PERSON | {"external": {"source_id": "5"}} | nested
    ways: dict[str, Any] = {
        "create": lambda: students.create(**fields),
        "update": lambda: students.update(ID, **fields),
        "upsert": lambda: students.upsert("identity_number", **fields),
        "modify": lambda: students.modify(person, **nested),
    }
    if call in ways:
        with pytest.raises(TypeError, match=message) as caught:
            ways[call]()
        error: BaseException | None = caught.value
    else:
        many = students.create_many([fields]) if call == "create_many" else students.upsert_many("source_id", [fields])
        (outcome,) = [one async for one in many]
        error = outcome.error
        assert error is not None
        with pytest.raises(TypeError, match=message):
            raise error
    assert directory.requests == []
    assert error is not None
    assert CANARY not in str(error)
    frames = StackSummary.extract(walk_tb(error.__traceback__), capture_locals=True)
    assert not [frame for frame in frames if frame.filename != __file__ and CANARY in str(frame.locals)]


def test_a_write_that_holds_one_shows_nothing_of_it() -> None:
    """A dictionary masks nothing by itself, so `repr` of the write does."""
    write = StudentFields(**PERSON, address={"postal_city": CANARY})  # type: ignore[arg-type]
    assert "address=***" in repr(write)
    assert CANARY not in repr(write) + str(write.__rich_repr__())
    assert json.loads(encode(checked(write)))["address"] == {"postalCity": CANARY}


def test_a_search_takes_records_only() -> None:
    """Conditions are no values: a dictionary in a query is refused as before."""
    directory = PlainDirectory()
    with pytest.raises(TypeError, match="must be a AddressQuery, not dict"):
        RESOURCES["students"](directory).search(address={"postal_city": "Solna"})  # type: ignore[attr-defined]
    assert directory.requests == []


def test_a_dictionary_deep_in_a_list_of_records_is_spelled_for_the_wire() -> None:
    """A record in a list may hold one: its names become those of the API, too."""
    given: Any = {"postal_city": "Solna"}
    family = checked(Family(homes=[Home(address=given)], since=date(2026, 8, 17)))
    assert json.loads(encode(family)) == {"homes": [{"address": {"postalCity": "Solna"}}], "since": "2026-08-17"}


def test_a_dictionary_is_taken_by_name_and_typed() -> None:
    """The names that a type checker knows are the ones that a write takes."""
    address: AddressDict = {"postal_city": "Solna"}
    external: ExternalDict = {"source_id": "5"}
    assert json.loads(encode(checked(UnitFields(title="Norr", external=external))))["external"] == {"sourceID": "5"}
    assert json.loads(encode(checked(StudentFields(**PERSON, address=address))))["address"] == {"postalCity": "Solna"}
