"""The kinds of fields: one place tells a field's kind from its annotation, and every table knows all of them."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec import UNSET, UnsetType, field

from meitner_aio import Address, Gender
from meitner_aio._wire import validation
from meitner_aio.cli.rendering import typed
from meitner_aio.query import Exact, Instant, Null, Ordered, ResourceQuery, Text
from meitner_aio.records import Id, Kind, OrAbsent, Personal, Record, Timestamp, fields
from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox.http import openapi
from meitner_aio.sandbox.store.filters import applies

MADE = {Kind.ENUM, Kind.OBJECT, Kind.OTHER}
"""Kinds that are read by what they are made of, and not by a table."""


class Everything(Record):
    """A field of every kind, spelled as records spell them."""

    id: Id
    text: Personal[str | None] = None
    flag: bool = False
    number: int | None | UnsetType = UNSET
    day: Personal[date | None] = None
    at: Timestamp | None = None
    choice: Gender | None = None
    address: OrAbsent[Address] = None
    ids: list[Id] = field(default_factory=list)


class EverythingQuery(ResourceQuery):
    """The same, as queries spell them."""

    text: Text | Null = UNSET
    flag: Exact[bool] = UNSET
    number: Ordered[int] | Null = UNSET
    day: Ordered[date] = UNSET
    at: Instant | Null = UNSET
    choice: Exact[Gender] | Null = UNSET


KINDS = {
    "id": Kind.UUID,
    "text": Kind.TEXT,
    "flag": Kind.BOOLEAN,
    "number": Kind.INTEGER,
    "day": Kind.DATE,
    "at": Kind.INSTANT,
    "choice": Kind.ENUM,
    "address": Kind.OBJECT,
    "ids": Kind.UUID,
}


@pytest.mark.parametrize("record", [Everything, EverythingQuery])
def test_the_annotation_tells_the_kind(record):
    """Whatever stands around it: a null, a mark, a list, operators."""
    found = {one.name: one.kind for one in fields(record) if one.name in KINDS}
    assert found == {name: kind for name, kind in KINDS.items() if name in found}
    assert len(found) >= 7


def test_every_table_knows_every_kind():
    """A kind that is added must be decided everywhere: in writes, at the shell, and by the sandbox."""
    assert set(validation._CHECKS) == set(Kind) - MADE
    assert set(openapi._SIMPLE) == set(Kind) - MADE
    assert set(typed._KINDS) == set(Kind) - MADE - {Kind.INSTANT}  # which needs the time
    searched = {one.kind for one in fields(Everything) if applies("equals", one)}
    assert searched == set(Kind) - {Kind.OBJECT, Kind.OTHER}


def test_the_api_has_every_kind():
    """None is made up, but that of the records of other APIs."""
    found = {one.kind for resource in RESOURCES.values() for one in fields(resource.model)}
    assert found == set(Kind) - {Kind.OTHER}


def test_a_kind_is_described_with_its_name():
    """Which enum, which object: messages say so."""
    described = {one.name: one.described for one in fields(Everything)}
    assert (described["choice"], described["address"], described["at"]) == (
        "enum Gender",
        "object Address",
        "date-time",
    )
