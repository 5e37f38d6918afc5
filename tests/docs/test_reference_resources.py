"""The pages of the resources say what the API says: against the tests' own table of it, which shares nothing with them."""

from __future__ import annotations

import re

import msgspec
import pytest
from api_table import Field, parse
from reference import _fields, _resources
from rooms import Room, Rooms

from meitner_aio.declare import List, Personal, Record, Resource
from meitner_aio.resources import DATA_EXPORT, LISTED

API = parse()
OF_THE_API = {one.attribute: one for one in API.resources.values()}
_WIRE = re.compile(r"(?:<br>)?`([^`]+)`$")


class Desk(Room):
    """A desk."""

    seats: int = 1
    """People, at most."""
    nickname: Personal[str | None] = None


class Desks(Resource[Desk]):
    """Desks."""

    path = "/desk"
    model = Desk
    list = List()


class Node(Record):
    """A node."""

    children: list[Node] = msgspec.field(default_factory=list)


def page(attribute: str) -> str:
    """Return the page of a resource of the client."""
    return _resources.page(attribute, LISTED[attribute])


def table(text: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading, as cells."""
    below = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in below.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[2:]]


def by_wire(text: str) -> dict[str, list[str]]:
    """Return the rows of fields by the names that the API has for them."""
    return {_WIRE.search(row[0])[1]: row for row in table(text, "Fields")}


def kind(field: Field) -> str:
    """Return how a page says the kind of a field."""
    word, _, name = field.element.partition(":")
    said = f"{word} `{name}`" if name else word
    return f"list of {said}" if field.kind.startswith("list<") else said


@pytest.mark.parametrize("attribute", OF_THE_API)
def test_every_field_is_told_as_the_api_has_it(attribute):
    """Its kind, whether it may be null, and whether a create and an update require it, take it or know it not."""
    told = by_wire(page(attribute))
    written = bool({"create", "update"} & set(OF_THE_API[attribute].operations))
    for field in OF_THE_API[attribute].fields:
        row = told[field.wire]
        if "r" in field.parts:
            assert row[1].startswith(kind(field))
            assert ("may be null" in row[2]) is field.nullable
        for letter, column in (("c", 3), ("u", 4)) if written else ():
            part = OF_THE_API[attribute].part(letter).get(field.wire)
            if part is None:
                assert row[column] == "no", (field.wire, letter)
            else:
                assert row[column].startswith("required" if part.required else "optional"), (field.wire, letter)
                assert row[column].endswith("or None") is part.nullable, (field.wire, letter)
    top = {wire for wire in told if "." not in wire}
    assert top == {field.wire for field in OF_THE_API[attribute].fields}


@pytest.mark.parametrize("attribute", OF_THE_API)
def test_every_operation_is_told_with_its_place(attribute):
    """Its call, its method and its path; and no operation that the API lacks."""
    text = page(attribute)
    for name in API.operations:
        operation, declared = API.operations[name], name in OF_THE_API[attribute].operations
        assert (f"}} meitner.{attribute}.{name}(" in text) is declared
        if declared:
            assert f"`{operation.method} {OF_THE_API[attribute].path}{operation.suffix}`" in text


@pytest.mark.parametrize("attribute", [name for name, one in OF_THE_API.items() if "search" in one.operations])
def test_every_condition_is_told(attribute):
    """What a search takes of each field."""
    letters = {"E": "`equals`", "C": "`one_of`", "L": "`like`", "R": "a range", "N": "`null`"}
    told = {row[0].strip("`"): row for row in table(page(attribute), "Conditions of a search")}
    names = {row.wire: row.name for row in _fields.rows(LISTED[attribute].model)}
    for field in OF_THE_API[attribute].part("r").values():
        row = told[names[field.wire]]
        if not field.kind.startswith("object:"):
            assert row[2].split(", ") == [letters[one] for one in "ECLRN" if one in field.conditions], field.wire
    assert {"any_of", "all_of"} <= set(told)


@pytest.mark.parametrize("attribute", OF_THE_API)
def test_every_value_of_an_enum_is_told(attribute):
    """On the page of each resource that has the enum."""
    text = page(attribute)
    for field in OF_THE_API[attribute].fields:
        word, _, name = field.element.partition(":")
        if word == "enum":
            told = text.partition(f"}} {name}\n")[2].partition("\n:::")[0]
            assert [value for value in API.enums[name] if f"| `{value}` |" not in told] == []


@pytest.mark.parametrize("attribute", DATA_EXPORT)
def test_the_data_export_api_is_told_too(attribute):
    """Its list, its path, and every field of the rows and of the objects in them."""
    text, kind = page(attribute), DATA_EXPORT[attribute]
    assert f"}} meitner.data_export.{attribute}.list(" in text
    assert f"`{kind.path}` of `/data-export/v1`" in text
    assert set(by_wire(text)) == {row.wire for row in _fields.rows(kind.model)}
    assert "class" not in by_wire(text)  # it is a field of the student


def test_a_resource_that_is_added_has_a_page():
    """With its operations, its fields, its conditions and its classes."""
    text = _resources.page("rooms", Rooms)
    assert text.startswith("# Rooms\n")
    assert ":::{py:method} meitner.rooms.create(*, title: str, school_id: str, seats: int | None = UNSET" in text
    assert by_wire(text)["schoolID"] == ["`school_id`<br>`schoolID`", "uuid. Of `schools`.", "always", "required", "no"]
    assert ["`seats`", "integer", "`equals`, `one_of`, a range, `null`"] in table(text, "Conditions of a search")
    assert [name for name in ("Rooms", "Room", "RoomQuery") if f":::{{py:class}} {name}\n" not in text] == []


def test_a_field_that_changes_is_told_as_it_is():
    """Its kind, what it is when an answer lacks it, its docstring, and that it is personal."""
    told = by_wire(_resources.page("desks", Desks))
    assert told["seats"] == ["`seats`", "integer. People, at most.", "absent means `1`"]
    assert told["nickname"] == ["`nickname`", "string. Personal.", "may be null"]


def test_an_object_that_holds_its_own_kind_ends():
    """A page of a tree of records is finite."""
    assert [row.name for row in _fields.rows(Node)] == ["children"]
