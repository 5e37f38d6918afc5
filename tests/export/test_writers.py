"""Writers of an export: what every format keeps, whatever the resource."""

import asyncio
import csv
import errno
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from read_back import as_answered, encode_lines, flat, read, records, write
from samples import ID, record, required

from meitner_aio import Address, ConfigurationError, Meitner, MeitnerError, Meta, School, Student
from meitner_aio.export.formats import columns as _columns
from meitner_aio.export.formats import parquet as _parquet
from meitner_aio.export.formats.columns import Rows, pieces
from meitner_aio.export.formats.writers import check_format, open_writer
from meitner_aio.records import DirectoryRecord, Id, OpenEnum, Record, Timestamp
from meitner_aio.resources import RESOURCES

FORMATS = ("csv", "parquet", "sqlite")
NAMES = {"csv": "rows.csv.part", "parquet": "rows.parquet.part", "sqlite": "directory.sqlite"}


def kept_by(form, rows):
    """Return records as a format keeps them."""
    return rows if form == "parquet" else [flat(row, without_empty_text=form == "csv") for row in rows]


def opened(form, folder, model=Student, **options):
    """Begin a writer."""
    return open_writer(
        form, model, folder / NAMES[form], **{"table": "rows", "fields": None, "replace": True, **options}
    )


@cache
def sandbox_rows():
    """Return the rows of every resource of a sandbox."""

    async def collect():
        async with Meitner.sandbox(students=30, schools=2) as meitner:
            return {name: await getattr(meitner, name).list().all() for name in RESOURCES}

    return asyncio.run(collect())


# What is read back is what was written.


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("form", FORMATS)
def test_a_resource_is_read_back_as_it_was(form, resource, tmp_path):
    """A directory survives the format."""
    rows = sandbox_rows()[resource] or [record(RESOURCES[resource].model)]
    path = tmp_path / NAMES[form]
    write(form, RESOURCES[resource].model, rows, path, table=resource)
    assert read(form, RESOURCES[resource].model, path, table=resource) == kept_by(form, rows)


@pytest.mark.parametrize("model", [kind.model for kind in RESOURCES.values()], ids=list(RESOURCES))
@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=6, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_records_are_read_back_as_they_were(form, model, data):
    """Nothing that a record can hold is beyond a form: years 1 and 9999, NUL, formulas, unknown choices, nothing."""
    made = data.draw(st.lists(records(model), max_size=4, unique_by=lambda row: row.id))
    rows = as_answered(made)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAMES[form]
        write(form, model, made, path)
        assert read(form, model, path) == kept_by(form, rows)


class Kind(OpenEnum):
    """A choice."""

    ONE = "One"


class Place(Record):
    """Nested twice."""

    opened_on: date | None = None
    seen: list[Timestamp] = msgspec.field(default_factory=list)


class Room(Record):
    """Nested, and in lists."""

    room_number: int | None = None
    place: Place | None = None


class Twelfth(DirectoryRecord):
    """A resource that no writer has ever seen."""

    kinds: list[Kind] = msgspec.field(default_factory=list)
    room: Room | None = None
    other_rooms: list[Room] = msgspec.field(default_factory=list)
    days: list[date] = msgspec.field(default_factory=list)
    at: Timestamp | None = None
    tags: list[str] | None = None
    owner_id: Id | None = None


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_twelfth_resource_needs_no_code(form, data):
    """Objects in objects, lists of objects, dates in them: the columns follow from the record."""
    made = data.draw(st.lists(records(Twelfth), min_size=1, max_size=3, unique_by=lambda row: row.id))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAMES[form]
        write(form, Twelfth, made, path)
        assert read(form, Twelfth, path) == kept_by(form, as_answered(made))


@pytest.mark.parametrize("form", FORMATS)
def test_nine_digits_of_a_second_are_no_trouble(form, tmp_path):
    """What the API sends in nanoseconds is a microsecond in the record and in every format."""
    answer = (
        b'{"id":"%s","title":"Ek","schoolType":"GR","meta":{"createdAt":"2025-01-01T00:00:00.123456789+02:00"}}'
        % ID.encode()
    )
    school = msgspec.json.decode(answer, type=School)
    write(form, School, [school], tmp_path / NAMES[form])
    (back,) = read(form, School, tmp_path / NAMES[form])
    assert back.meta.created_at == datetime(2024, 12, 31, 22, microsecond=123457, tzinfo=UTC)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_lines_of_any_length_arrive_in_order(form, size, tmp_path, monkeypatch):
    """A record longer than what is read at a time is a record all the same."""
    monkeypatch.setattr(_columns, "_PIECE", size)
    monkeypatch.setattr(_parquet, "_PIECE", size)
    rows = [
        School(**required(School) | {"id": f"{number:08d}{ID[8:]}", "title": "å" * number}) for number in range(100)
    ]
    writer = opened(form, tmp_path, School)
    for start in range(0, 100, 30):
        writer.write(encode_lines(rows[start : start + 30]))
    writer.close()
    assert read(form, School, tmp_path / NAMES[form]) == rows


@pytest.mark.parametrize("form", ["csv", "sqlite"])
def test_an_instant_that_utc_has_no_year_for_stays_as_it_was(form, tmp_path):
    """The first hours of the year 1 east of Greenwich are before all years; Parquet counts microseconds."""
    first = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    school = School(**required(School) | {"meta": Meta(created_at=first)})
    write(form, School, [school], tmp_path / NAMES[form])
    (back,) = read(form, School, tmp_path / NAMES[form])
    assert back.meta.created_at == first


@given(lengths=st.lists(st.integers(0, 20)), size=st.integers(1, 50), ended=st.booleans())
def test_pieces_are_whole_lines(lengths, size, ended):
    """No line is cut, none is lost, as many as fit are together, and a piece is longer only when one line is."""
    lines = b"\n".join(b"x" * length for length in lengths) + (b"\n" if ended else b"")
    cut = [bytes(piece) for piece in pieces(lines, size)]
    assert b"".join(cut) == lines
    assert all(piece.endswith(b"\n") for piece in cut[:-1])
    assert all(len(piece) <= size or piece.count(b"\n", 0, -1) == 0 for piece in cut)
    assert all(len(piece) + after.find(b"\n") >= size for piece, after in pairwise(cut[:-1]))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("lines", [[], [b""]])
def test_no_records_are_a_file_with_columns(form, lines, tmp_path):
    """An empty resource is not a missing one."""
    writer = opened(form, tmp_path)
    for line in lines:
        writer.write(line)
    writer.close()
    assert read(form, Student, tmp_path / NAMES[form]) == []


@pytest.mark.parametrize("resource", RESOURCES)
def test_no_two_columns_share_a_name(resource):
    """Joining the names of objects and of their fields is never ambiguous."""
    names = [column.name for column in Rows(RESOURCES[resource].model).columns]
    assert len(set(names)) == len(names)


# Only some fields.


@pytest.mark.parametrize("form", FORMATS)
def test_fields_that_are_not_named_are_left_out(form, tmp_path):
    """The id is always kept, the order is the record's, an object is kept whole."""
    path = tmp_path / NAMES[form]
    write(form, Student, [record(Student)], path, fields=("address", "first_name"))
    address = ["address"] if form == "parquet" else [f"address_{name}" for name in Address.__struct_fields__]
    assert columns_of(form, path) == ["id", "first_name", *address]


def columns_of(form, path):
    """Return the names of the columns of a file."""
    if form == "parquet":
        return pyarrow.parquet.read_schema(path).names
    if form == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file))
    with closing(sqlite3.connect(path)) as database:
        return [name for (name,) in database.execute("SELECT name FROM pragma_table_info('rows')")]


@pytest.mark.parametrize("form", FORMATS)
def test_a_field_that_does_not_exist_is_refused(form, tmp_path):
    """A typo is refused, and the error suggests the right name."""
    with pytest.raises(ValueError, match="Student has no field 'first_nam'; did you mean 'first_name'"):
        opened(form, tmp_path, fields=("first_nam",))
    assert list(tmp_path.iterdir()) == []


# The files.


@pytest.mark.parametrize("form", FORMATS)
def test_files_are_for_their_owner_alone_at_every_moment(form, tmp_path):
    """Whatever the umask, nobody else can open what is being written, nor what is done."""
    seen = set()
    before = os.umask(0)
    try:
        writer = opened(form, tmp_path)
        seen |= modes(tmp_path)
        writer.write(encode_lines([record(Student)]))
        seen |= modes(tmp_path)
        writer.close()
        seen |= modes(tmp_path)
    finally:
        os.umask(before)
    assert seen == {0o600}


def modes(folder):
    """Return the modes of the files of a folder."""
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.parametrize("form", FORMATS)
def test_a_writer_may_go_from_thread_to_thread(form, tmp_path):
    """An event loop gives each call to any thread of a pool; and a close leaves the file alone in the folder."""
    writer = opened(form, tmp_path)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(writer.write, encode_lines([record(Student)])).result(60)
    writer.close()
    assert len(read(form, Student, tmp_path / NAMES[form])) == 1
    assert [path.name for path in tmp_path.iterdir()] == [NAMES[form]]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_has_the_name_is_not_overwritten(form, tmp_path):
    """A link that somebody left in the folder leads nowhere."""
    (tmp_path / NAMES[form]).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        opened(form, tmp_path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("written", [0, 1])
@pytest.mark.parametrize("form", FORMATS)
def test_an_abort_leaves_nothing(form, written, tmp_path):
    """Not the file, not what it was being made from; and it may be said twice."""
    writer = opened(form, tmp_path)
    for _ in range(written):
        writer.write(encode_lines([record(Student)]))
    writer.abort()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", FORMATS)
def test_an_abort_after_the_close_does_nothing(form, tmp_path):
    """`finally: writer.abort()` is safe; and of a whole file nothing else is left in the folder."""
    write(form, Student, [record(Student)], tmp_path / NAMES[form])
    assert [path.name for path in tmp_path.iterdir()] == [NAMES[form]]
    assert len(read(form, Student, tmp_path / NAMES[form])) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_full_disk_is_an_os_error(form, tmp_path):
    """It is said as Python says it, and the unfinished file goes. (For SQLite see its own tests.)"""
    writer = opened(form, tmp_path)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, writer._fresh.file.fileno())
    os.close(full)
    with pytest.raises(OSError, match="No space left") as refused:
        write_and_close(writer, [record(Student)] * 5000)
    writer.abort()
    assert refused.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def write_and_close(writer, rows):
    """Fill a writer to its end."""
    writer.write(encode_lines(rows))
    writer.close()


# What is refused.


@pytest.mark.parametrize("form", ["parquet", "sqlite"])
def test_an_integer_beyond_64_bits_is_refused_without_being_quoted(form, tmp_path):
    """A value of a record is in no error, nor in what the error came from."""
    line = b'{"id":"%s","room":{"roomNumber":98765432109876543210}}\n' % ID.encode()
    writer = opened(form, tmp_path, Twelfth)
    with pytest.raises(MeitnerError) as refused:
        writer.write(line)
    writer.abort()
    assert "9876" not in said(refused.value)


@pytest.mark.parametrize(
    "line", [b'{"id":"4242"', b'{"id":4242}', b"\xff4242", b'{"id":"1","new":' + b"[" * 100_000 + b"4242"]
)
@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_line_is_refused_without_being_quoted(form, line, tmp_path):
    """Neither msgspec nor pyarrow is heard."""
    writer = opened(form, tmp_path)
    with pytest.raises(MeitnerError) as refused:
        writer.write(line)
    writer.abort()
    assert "4242" not in said(refused.value)
    assert list(tmp_path.iterdir()) == []


def said(error):
    """Return all that an error says, with all that it came from."""
    return f"{error} {error!r} {error.args} {error.__cause__!r} {error.__context__!r}"


def test_a_format_without_a_writer_is_refused(tmp_path):
    """Before anything is made."""
    with pytest.raises(ValueError, match="there is no writer of 'xlsx'; there is csv, parquet, sqlite"):
        open_writer("xlsx", Student, tmp_path / "x", table="rows", fields=None, replace=True)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def without_pyarrow(monkeypatch):
    """Make pyarrow uninstalled."""
    for name in ("pyarrow", "pyarrow.json", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("without_pyarrow")
def test_parquet_without_pyarrow_says_what_to_install(tmp_path):
    """Before anything is made; and whoever plans an export can ask earlier."""
    with pytest.raises(ConfigurationError, match=r'pip install "meitner-aio\[parquet\]"'):
        check_format("parquet")
    with pytest.raises(ConfigurationError, match="pyarrow"):
        opened("parquet", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_pyarrow")
@pytest.mark.parametrize("form", ["csv", "sqlite"])
def test_the_other_formats_need_nothing_that_is_not_there(form, tmp_path):
    """pyarrow is Parquet's business alone."""
    check_format(form)
    opened(form, tmp_path).abort()


def test_no_format_is_loaded_before_it_is_asked_for():
    """A client that exports nothing pays nothing."""
    code = "import sys, meitner_aio.export.formats.writers; print({'csv', 'sqlite3', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "set()\n"
