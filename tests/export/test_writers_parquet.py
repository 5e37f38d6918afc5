"""Parquet: the types of the columns, and how the file is laid out."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet
import pytest
from read_back import encode_lines, write
from samples import ID, record, required

from meitner_aio import EmployeePlacement, Group, Student
from meitner_aio.export.formats import parquet as _parquet
from meitner_aio.export.formats.writers import open_writer

TEXT, INSTANT = pa.string(), pa.timestamp("us", tz="UTC")


def schema_of(model, path):
    """Return the schema of a file of one record."""
    write("parquet", model, [record(model)], path)
    return pyarrow.parquet.read_schema(path)


def test_columns_have_the_types_of_the_fields(tmp_path):
    """Dates, instants with their zone, truth, structs under their Python names; ids and choices are text."""
    schema = schema_of(Student, tmp_path / "s.parquet")
    assert {name: schema.field(name).type for name in ("id", "gender", "date_of_birth", "identity_temporary")} == {
        "id": TEXT,
        "gender": TEXT,
        "date_of_birth": pa.date32(),
        "identity_temporary": pa.bool_(),
    }
    assert schema.field("meta").type == pa.struct(
        [("created_at", INSTANT), ("created_by", TEXT), ("updated_at", INSTANT), ("updated_by", TEXT)]
    )
    assert schema.names == list(Student.__struct_fields__)


def test_lists_and_integers_have_their_types(tmp_path):
    """A list is a list, of text here."""
    assert schema_of(Group, tmp_path / "g.parquet").field("member_ids").type == pa.list_(TEXT)
    assert schema_of(EmployeePlacement, tmp_path / "p.parquet").field("employment_percent").type == pa.int64()


def test_null_is_not_empty(tmp_path):
    """An object without values is not one that is not there, a list without items not one either."""
    given = Student(**required(Student) | {"address": None, "external": None})
    path = tmp_path / "s.parquet"
    writer = open_writer("parquet", Student, path, table="s", fields=("address", "external"), replace=True)
    writer.write(encode_lines([given]))
    writer.write(b'{"id":"%s","address":{},"external":{"source":""}}\n' % ID.encode())
    writer.close()
    table = pyarrow.parquet.read_table(path)
    nothing = dict.fromkeys(("postal_address", "postal_code", "postal_city", "country_code", "municipality_code"))
    assert table["address"].to_pylist() == [None, nothing]
    assert table["external"].to_pylist() == [None, {"source_id": None, "source": ""}]


@pytest.mark.parametrize(("limit", "value"), [("_ROWS", 30), ("_BYTES", 5000)])
def test_row_groups_are_bounded(limit, value, tmp_path, monkeypatch):
    """By rows, and by bytes where rows are wide: what is in memory at a time does not grow with the file."""
    monkeypatch.setattr(_parquet, "_PIECE", 2000)
    monkeypatch.setattr(_parquet, limit, value)
    rows = [Student(**required(Student) | {"id": f"{number:08d}{ID[8:]}"}) for number in range(200)]
    write("parquet", Student, rows, tmp_path / "s.parquet")
    file = pyarrow.parquet.ParquetFile(tmp_path / "s.parquet")
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert sum(sizes) == 200
    assert len(sizes) > 4
    assert max(sizes) < 60
    assert file.read()["id"].to_pylist() == [row.id for row in rows]


def test_the_file_is_compressed_and_choices_are_stored_once(tmp_path):
    """zstd throughout, dictionaries for what repeats."""
    write("parquet", Student, [record(Student)] * 100, tmp_path / "s.parquet")
    group = pyarrow.parquet.ParquetFile(tmp_path / "s.parquet").metadata.row_group(0)
    columns = {group.column(number).path_in_schema: group.column(number) for number in range(group.num_columns)}
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    assert "RLE_DICTIONARY" in columns["gender"].encodings


def _with_dictionary(path):
    group = pyarrow.parquet.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    return {column.path_in_schema for column in columns if "RLE_DICTIONARY" in column.encodings}


def test_only_what_repeats_has_a_dictionary(tmp_path):
    """By the values that there are, in structs and lists as well: a dictionary of ids is a copy of the column."""
    ids = [f"{number:08d}{ID[8:]}" for number in range(200)]
    rows = [
        Group(
            **required(Group) | {"id": one, "title": one, "school_id": ids[number % 100], "member_ids": [one, ID, ID]}
        )
        for number, one in enumerate(ids)
    ]
    write("parquet", Group, rows, tmp_path / "g.parquet")
    found = _with_dictionary(tmp_path / "g.parquet")
    assert found.isdisjoint({"id", "title"})
    assert found >= {"school_id", "meta.created_by", "category"}
    rows = [msgspec.structs.replace(row, member_ids=[row.id]) for row in rows]
    write("parquet", Group, rows, tmp_path / "h.parquet")
    assert found - _with_dictionary(tmp_path / "h.parquet") == {"member_ids.list.element"}
    assert pyarrow.parquet.read_table(tmp_path / "h.parquet")["member_ids"].to_pylist() == [[one] for one in ids]


def test_later_rows_do_not_change_how_columns_are_written(tmp_path, monkeypatch):
    """One layout for all row groups, though values that repeated at first do so no more; they read back the same."""
    monkeypatch.setattr(_parquet, "_ROWS", 50)
    monkeypatch.setattr(_parquet, "_PIECE", 5000)
    names = ["Åsa"] * 100 + [f"Å{number}" for number in range(100)]
    rows = [Student(**required(Student) | {"first_name": name}) for name in names]
    path = tmp_path / "s.parquet"
    write("parquet", Student, rows, path)
    assert pyarrow.parquet.ParquetFile(path).num_row_groups > 2
    assert "first_name" in _with_dictionary(path)
    assert pyarrow.parquet.read_table(path)["first_name"].to_pylist() == names
    assert [name for (name,) in duckdb.sql(f"SELECT first_name FROM '{path}'").fetchall()] == names


def test_a_file_without_rows_has_its_schema(tmp_path):
    """Nothing repeats in it, and nothing is missing from it."""
    write("parquet", Student, [], tmp_path / "none.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "none.parquet")
    assert (table.num_rows, table.schema) == (0, schema_of(Student, tmp_path / "one.parquet"))


def test_an_instant_keeps_its_moment(tmp_path):
    """Whatever zone it was written in."""
    line = b'{"id":"%s","meta":{"createdAt":"2026-03-01T14:00:00.000001+02:00"}}\n' % ID.encode()
    writer = open_writer("parquet", Student, tmp_path / "s.parquet", table="s", fields=("meta",), replace=True)
    writer.write(line)
    writer.close()
    (meta,) = pyarrow.parquet.read_table(tmp_path / "s.parquet")["meta"].to_pylist()
    assert meta["created_at"] == datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("environment", "backend"), [({}, "system"), ({"ARROW_DEFAULT_MEMORY_POOL": "mimalloc"}, "mimalloc")]
)
def test_pyarrow_is_loaded_to_be_frugal_unless_configured_otherwise(environment, backend):
    """The allocator is chosen for pyarrow alone: the environment is afterwards what it was."""
    code = (
        "import os; before = dict(os.environ)\n"
        "from meitner_aio.export.formats.arrow import pyarrow\n"
        "print(pyarrow().default_memory_pool().backend_name, os.environ == before)"
    )
    clean = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == [backend, "True"]
