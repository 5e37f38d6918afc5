"""Who was deleted is gone: from the file of a whole export, from what is beside it, and from no temporary folder at all."""

import json
import logging
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest
from conftest import importing
from numbered_directory import NumberedDirectory
from read_back import write
from samples import ID, required

from meitner_aio import Meitner, Student
from meitner_aio.export import export

CANARY = "Canaria"
NUMBER = "20990101-"
"""How the identity numbers of those begin who will be deleted."""


def students(count, name=CANARY, number=NUMBER):
    """Return so many students, whom a name and a number give away."""
    base = required(Student)
    return [
        Student(**base | {"id": f"{i:08d}{ID[8:]}", "first_name": name, "identity_number": f"{number}{i:04d}"})
        for i in range(count)
    ]


@pytest.fixture(autouse=True)
def _careless(monkeypatch):
    """Let SQLite overwrite nothing unless asked to, as it is built by default; Debian builds it otherwise."""
    connect = sqlite3.connect

    def careless(*args, **options):
        database = connect(*args, **options)
        database.execute("PRAGMA secure_delete = OFF")
        return database

    monkeypatch.setattr(sqlite3, "connect", careless)


@pytest.fixture
def path(tmp_path):
    """Return a database of 700 students, 692 of whom somebody deleted, and of two hundred who will be."""
    path = tmp_path / "directory.sqlite"
    write("sqlite", Student, students(700), path, table="students")
    write("sqlite", Student, students(700), path, table="guardians")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("DELETE FROM students WHERE id >= ?", [f"{8:08d}"])
        database.execute("DROP TABLE guardians")
        assert database.execute("PRAGMA freelist_count").fetchone()[0] > 20
    assert _traces(tmp_path)
    return path


def _traces(folder):
    """Return the files of a folder that hold anything of those who were deleted."""
    return [
        file.name
        for file in folder.iterdir()
        if any(trace in file.read_bytes() for trace in (CANARY.encode(), NUMBER.encode()))
    ]


def _put(path, rows, *, replace=True):
    write("sqlite", Student, rows, path, table="students", replace=replace)


@pytest.mark.parametrize("rows", [1, 8, 300, 2000])
def test_a_whole_export_leaves_nothing_of_those_who_were_deleted(path, rows):
    """No row, no index, no free page: not of this export's deletions, and not of another program's."""
    _put(path, students(rows, "Eva", "20150101-"))
    assert _traces(path.parent) == []
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM students").fetchall() == [(rows,)]


def test_it_leaves_nothing_in_a_log_either(path):
    """Somebody turned the write-ahead log on, and has the file open all the time."""
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("PRAGMA journal_mode = WAL")
        reader.execute("UPDATE students SET last_name = first_name")
        assert "directory.sqlite-wal" in _traces(path.parent)
        _put(path, students(5, "Eva", "20150101-"))
        assert reader.execute("SELECT count(*) FROM students").fetchall() == [(5,)]
        assert _traces(path.parent) == []


def test_a_log_that_cannot_be_emptied_is_warned_of(path, caplog, monkeypatch):
    """A reader in the midst of an old state holds it: what stays is said."""
    monkeypatch.setattr("meitner_aio.export.formats.sqlite._PATIENCE", 0.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("PRAGMA journal_mode = WAL")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM students").fetchall()
        _put(path, students(5, "Eva", "20150101-"))
        assert "directory.sqlite-wal may hold deleted rows" in caplog.text


def test_overwriting_free_pages_does_not_make_the_file_grow(path):
    """Not at the first whole export after a large one, nor from one to the next."""
    before = path.stat().st_size
    sizes = set()
    for _ in range(5):
        _put(path, students(5, "Eva", "20150101-"))
        sizes.add(path.stat().st_size)
    assert sizes == {before}


@pytest.mark.parametrize("size", [512, 1024, 65536])
def test_pages_of_every_size_are_overwritten(tmp_path, size):
    """A database keeps the size that it was made with."""
    path = tmp_path / "directory.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f"PRAGMA page_size = {size}")
        database.execute("VACUUM")
    _put(path, students(3000))
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        assert database.execute("PRAGMA page_size").fetchone() == (size,)
        database.execute("DELETE FROM students WHERE id > '00000003'")
    before = path.stat().st_size
    _put(path, students(1, "Eva", "20150101-"))
    assert _traces(tmp_path) == []
    assert path.stat().st_size == before


def test_what_a_part_overwrites_is_overwritten(path):
    """An address that changed, for one who may not be found, is not in the file any more."""
    secret = students(8, "Gömd" * 40)
    _put(path, secret, replace=False)
    assert "Gömd".encode() in path.read_bytes()
    _put(path, students(8, "Eva"), replace=False)
    assert "Gömd".encode() not in path.read_bytes()


SORTING = """
import os, sys
from pathlib import Path
from test_export_erasure import students, write
from meitner_aio import Student
from meitner_aio.export.formats import sqlite as _sqlite

_sqlite._CACHE = 16  # KiB: more than that is sorted in pieces
folder, watched = map(Path, sys.argv[1:])
rows = students(30_000)
os.utime(watched, (1, 1))
write("sqlite", Student, rows, folder / "directory.sqlite", table="students")
print(watched.stat().st_mtime)
"""


def test_nothing_is_sorted_in_the_systems_temporary_folder(tmp_path):
    """SQLite deletes what it puts there at once, so the folder decides; identity numbers would stay on its disk."""
    watched = tmp_path / "watched"
    watched.mkdir()
    places = {"SQLITE_TMPDIR": str(watched), "TMPDIR": str(watched)}
    command = [sys.executable, "-c", SORTING, str(tmp_path), str(watched)]
    done = subprocess.run(command, env=importing() | places, capture_output=True, text=True, check=True)
    assert float(done.stdout) == 1.0


def test_this_sqlite_sorts_in_memory_when_asked_to():
    """One that was built to use files always (SQLITE_TEMP_STORE=0) would not."""
    with closing(sqlite3.connect(":memory:")) as database:
        options = set(chain.from_iterable(database.execute("PRAGMA compile_options")))
    assert "TEMP_STORE=0" not in options


# What exports that ended early left.

LEFT = [
    "students.part",
    "students.journal",
    "students.journal.part",
    "students.ndjson.part",
    "students.csv.part",
    "students.parquet.part",
    "directory.sqlite.students.part",
]


def _leave(folder, names, *, days):
    """Leave files that were last written to so many days ago."""
    then = time.time() - days * 86_400
    for name in names:
        (folder / name).write_text(CANARY)
        (folder / name).chmod(0o600)
        os.utime(folder / name, (then, then))


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("kind", ["ndjson", "csv", "sqlite"])
async def test_an_export_of_the_same_leaves_nothing_of_earlier_ones(tmp_path, kind, resume):
    """Whatever their format was."""
    _leave(tmp_path, [*LEFT, "studentsx.part", "students.backup.part"], days=0)
    await export(NumberedDirectory(), ["students"], to=tmp_path, format=kind, resume=resume)
    assert sorted(_traces(tmp_path)) == ["students.backup.part", "studentsx.part"]


async def test_what_is_gone_when_it_is_looked_at_is_gone(tmp_path, monkeypatch):
    """Resources are exported side by side, and their parts come and go."""
    scandir = os.scandir

    class Late:
        """A listing of the folder that is out of date when it is read."""

        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = list(entries)
            (tmp_path / "units.part").unlink(missing_ok=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    _leave(tmp_path, ["units.part", "students.part"], days=0)
    monkeypatch.setattr(os, "scandir", Late)
    report = await export(NumberedDirectory(), ["students"], to=tmp_path)
    assert report.complete
    assert _traces(tmp_path) == []


async def test_what_no_export_can_resume_is_warned_of(tmp_path, caplog):
    """Rows of another resource, older than a day; what is younger may still be gone on with, and others' files are theirs."""
    _leave(tmp_path, ["guardians.part", "guardians.journal", "directory.sqlite.groups.part", "mine.part"], days=2)
    _leave(tmp_path, ["units.part", "units.journal"], days=0.5)
    with caplog.at_level(logging.WARNING, "meitner_aio.export"):
        await export(NumberedDirectory(), ["students"], to=tmp_path)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    day = (datetime.now(UTC) - timedelta(days=2)).date()
    assert [f"holds rows of {name} that" in line for name, line in zip(("groups", "guardians"), warnings, strict=True)]
    assert all(str(day) in line for line in warnings)
    assert "remove guardians.journal, guardians.part, or export guardians again" in warnings[1]


def test_the_command_says_so_too(cli, tmp_path):
    """On stderr, beside what else there is to know."""
    _leave(tmp_path, ["guardians.part"], days=40)
    code, _, err = cli("export", "schools", "--sandbox", "--students", "3", "--to", str(tmp_path))
    assert code == 0
    assert "holds rows of guardians" in err
    assert "remove guardians.part" in err


async def test_a_table_that_keeps_who_was_deleted_says_so(tmp_path):
    """In the manifest, until a whole export."""

    def advised():
        one = json.loads((tmp_path / "manifest.json").read_bytes())["resources"]["students"]
        return one["complete"], one["deletions_applied"]

    async with Meitner.sandbox(students=30, schools=1) as meitner:
        await export(meitner, ["students"], to=tmp_path, format="sqlite")
        assert advised() == (True, True)
        gone = (await meitner.students.list(limit=1)).data[0]
        await meitner.students.delete(gone.id)
        await export(
            meitner, ["students"], to=tmp_path, format="sqlite", since=datetime.now(UTC) - timedelta(days=3000)
        )
        assert advised() == (False, False)
        assert gone.id.encode() in (tmp_path / "directory.sqlite").read_bytes()
        await export(meitner, ["students"], to=tmp_path, format="sqlite")
        assert advised() == (True, True)
        assert gone.id.encode() not in (tmp_path / "directory.sqlite").read_bytes()
