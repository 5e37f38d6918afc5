"""Records as Arrow tables: the columns of a flat format, each with the type of its field."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from read_back import as_answered, encode_lines, flat, rebuilt, records

from meitner_aio import MeitnerError
from meitner_aio.export.formats.arrow import DELETED_AT, ArrowRows
from meitner_aio.export.formats.columns import Rows
from meitner_aio.resources import RESOURCES

MODELS = [resource.model for resource in RESOURCES.values()]


def _of_cell(field: Any, cell: Any) -> Any:
    if field.many:
        return json.loads(cell)
    return cell


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_records_are_what_they_were(model: Any, data: st.DataObject) -> None:
    """Whatever they hold: each table stands for the records that it was made of."""
    given = as_answered(data.draw(st.lists(records(model), max_size=5)))
    table = ArrowRows(model).of_records(encode_lines(given))
    assert table.column_names == [*(column.name for column in Rows(model).columns), DELETED_AT]
    rows = table.to_pylist()
    assert [row.pop(DELETED_AT) for row in rows] == [None] * len(given)
    assert [rebuilt(model, row, _of_cell) for row in rows] == [flat(record) for record in given]


def test_types_are_those_of_the_fields() -> None:
    """Dates, instants in UTC, integers and booleans; everything else is text. Only the id is never null."""
    schema = ArrowRows(RESOURCES["employee_placements"].model).schema
    found = {field.name: str(field.type) for field in schema}
    expected = {
        "roles": "string",
        "start_date": "date32[day]",
        "meta_created_at": "timestamp[us, tz=UTC]",
        "id": "string",
    }
    assert found | expected == found
    assert [field.name for field in schema if not field.nullable] == ["id"]


def test_fields_can_be_chosen() -> None:
    """The id is always there."""
    rows = ArrowRows(RESOURCES["students"].model, ["last_name"])
    assert rows.schema.names == ["id", "last_name", DELETED_AT]


def test_deletions_have_an_id_and_a_time() -> None:
    """And the same columns as records, so that both can be in one file."""
    rows, at = ArrowRows(RESOURCES["guardians"].model), datetime(2026, 3, 1, tzinfo=UTC)
    table = rows.of_deletions(["a", "b"], at)
    assert table.schema == rows.of_records(b"").schema == rows.schema
    assert [{name: cell for name, cell in row.items() if cell is not None} for row in table.to_pylist()] == [
        {"id": "a", DELETED_AT: at},
        {"id": "b", DELETED_AT: at},
    ]


@pytest.mark.parametrize(
    ("resource", "field"),
    [
        ("students", '"dateOfBirth":"9-canary"'),
        ("employee_placements", '"employmentPercent":8888888888888888888888,"title":"canary"'),
    ],
)
def test_a_record_that_does_not_fit_is_not_quoted(resource: str, field: str) -> None:
    """The error names the record's type; what Arrow says has the value."""
    model = RESOURCES[resource].model
    with pytest.raises(MeitnerError, match=f"a record of {model.__name__} does not fit") as refused:
        ArrowRows(model).of_records(b'{"id":"a",%b}\n' % field.encode())
    assert "8888" not in str(refused.value)
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
