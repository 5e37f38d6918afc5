"""SQLite: the tables, what a second export does to them, and that no crash does anything."""

import errno
import json
import signal
import sqlite3
import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import killed_tables
import pytest
from forked import forks
from read_back import encode_lines, read, write
from samples import ID, OTHER_ID, record, required

from meitner_aio import GradeElementary, Group, MeitnerError, School, Student
from meitner_aio.export.formats import sqlite as _sqlite
from meitner_aio.export.formats.writers import open_writer
from meitner_aio.resources import RESOURCES


@pytest.fixture
def path(tmp_path):
    """Return where the tables go."""
    return tmp_path / "directory.sqlite"


def schools(*titles, **fields):
    """Return a school for each title, with the same ids every time."""
    return [
        School(**required(School) | {"id": f"{number:08d}{ID[8:]}", "title": title} | fields)
        for number, title in enumerate(titles)
    ]


def put(path, rows, *, table="schools", **options):
    """Export rows of one kind."""
    write("sqlite", type(rows[0]), rows, path, table=table, **options)


def ask(path, query, *values):
    """Return the rows of a query."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query, values).fetchall()


# The tables.


def test_a_table_has_a_key_types_and_indexes(path):
    """The id is the key, text and numbers are held apart, references and identity numbers can be looked up."""
    put(path, [record(GradeElementary)], table="grade_elementaries")
    columns = {name: (kind, key) for _, name, kind, _, _, key in ask(path, "PRAGMA table_info(grade_elementaries)")}
    assert columns["id"] == ("TEXT", 1)
    assert columns["grade_date"] == columns["meta_created_at"] == columns["grade"] == ("TEXT", 0)
    assert columns["final_grade"] == ("INTEGER", 0)
    assert ask(path, "SELECT strict FROM pragma_table_list WHERE name = 'grade_elementaries'") == [(1,)]
    indexed = {name for (name,) in ask(path, "SELECT name FROM sqlite_master WHERE type = 'index' AND sql NOT NULL")}
    names = ("external_source_id", "student_id", "school_id", "teacher1_employee_id", "teacher2_employee_id")
    assert indexed == {f"grade_elementaries_{name}" for name in names}
    put(path, [record(Student)], table="students")
    (plan,) = ask(path, "EXPLAIN QUERY PLAN SELECT * FROM students WHERE identity_number = '1'")
    assert "students_identity_number" in plan[-1]


def test_lists_open_with_json_each(path):
    """Who is in which group is one join away."""
    group = Group(**required(Group) | {"id": ID, "member_ids": [OTHER_ID, ID]})
    put(path, [group], table="groups")
    query = "SELECT member.value FROM groups, json_each(groups.member_ids) AS member"
    assert [value for (value,) in ask(path, query)] == [OTHER_ID, ID]


def test_a_list_that_is_not_there_is_null(path):
    """Not the text `null`: `IS NULL` finds it."""
    writer = open_writer("sqlite", Group, path, table="groups", fields=("member_ids", "types"), replace=True)
    writer.write(b'{"id":"1","memberIDs":null,"types":[]}\n')
    writer.close()
    assert ask(path, "SELECT member_ids, types FROM groups") == [(None, "[]")]


def test_booleans_are_numbers(path):
    """`WHERE identity_temporary` works, and so does its negation."""
    put(path, [Student(**required(Student) | {"identity_temporary": True})], table="students")
    assert ask(path, "SELECT identity_temporary, typeof(identity_temporary) FROM students") == [(1, "integer")]


# A second export.


def test_a_complete_export_replaces_the_rows(path):
    """What is gone from the directory is gone from the table; nothing is there twice."""
    put(path, schools("Ek", "Ask", "Lind"))
    put(path, schools("Alm", "Ask"))
    assert [row.title for row in read("sqlite", School, path, table="schools")] == ["Alm", "Ask"]


def test_a_filtered_export_updates_by_id(path):
    """Rows that it did not see stay, those that it saw are new, and so are those that were not there."""
    put(path, schools("Ek", "Ask"))
    put(path, schools("Ek", "Alm", "Lind")[1:], replace=False)
    assert [row.title for row in read("sqlite", School, path, table="schools")] == ["Ek", "Alm", "Lind"]


def test_a_filtered_export_may_be_the_first(path):
    """There is nothing to update, and that is fine."""
    put(path, schools("Ek"), replace=False)
    assert read("sqlite", School, path, table="schools") == schools("Ek")


def test_a_filtered_export_of_some_fields_leaves_the_others_alone(path):
    """What was not asked for is not cleared."""
    put(path, schools("Ek", municipality_code="0180"))
    put(path, schools("Alm", "Ny", municipality_code=None), fields=("title",), replace=False)
    rows = ask(path, "SELECT title, municipality_code FROM schools")
    assert rows == [("Alm", "0180"), ("Ny", None)]


def test_a_filtered_export_of_the_ids_alone_adds_what_is_new(path):
    """There is nothing to update but the key."""
    put(path, schools("Ek"))
    put(path, schools("Alm", "Lind"), fields=(), replace=False)
    assert ask(path, "SELECT title FROM schools") == [("Ek",), (None,)]


def test_a_table_gains_the_columns_it_lacks(path):
    """A newer version, or more fields than last time."""
    put(path, schools("Ek"), fields=("title",))
    put(path, schools("Ek", municipality_code="0180"), replace=False)
    assert ask(path, "SELECT title, municipality_code FROM schools") == [("Ek", "0180")]


def test_a_complete_export_of_some_fields_has_only_those(path):
    """A column of the last export that this one did not read would be old."""
    put(path, schools("Ek"))
    put(path, schools("Ek"), fields=("title",))
    assert [name for _, name, *_ in ask(path, "PRAGMA table_info(schools)")] == ["id", "title"]


def test_the_last_of_two_records_with_one_id_stays(path):
    """A record that was read again is the newer one."""
    put(path, [*schools("Ek"), *schools("Alm")])
    assert [row.title for row in read("sqlite", School, path, table="schools")] == ["Alm"]


def test_other_tables_are_left_alone(path):
    """Exporting one resource is not forgetting the others."""
    put(path, schools("Ek"))
    put(path, [record(Student)], table="students")
    put(path, schools("Alm"))
    assert len(read("sqlite", Student, path, table="students")) == 1


def test_all_resources_are_written_at_the_same_time(path):
    """Eleven writers in eleven threads share the file."""

    def export(name, model):
        for _ in range(5):
            put(path, [record(model)], table=name)
        return len(read("sqlite", model, path, table=name))

    with ThreadPoolExecutor(len(RESOURCES)) as threads:
        counts = [threads.submit(export, name, kind.model) for name, kind in RESOURCES.items()]
        assert [count.result(60) for count in counts] == [1] * len(RESOURCES)
    assert {name for (name,) in ask(path, "SELECT name FROM sqlite_master WHERE type = 'table'")} == set(RESOURCES)
    assert [file.name for file in path.parent.iterdir()] == ["directory.sqlite"]


def test_only_one_writer_moves_its_records_at_a_time(path, monkeypatch):
    """The second waits for the first, rather than for SQLite to let it try again."""
    both = threading.Barrier(2)
    move = _sqlite.SqliteWriter._move

    def meeting(writer):
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        move(writer)

    monkeypatch.setattr(_sqlite.SqliteWriter, "_move", meeting)
    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(put, path, schools("Ek"), table=table) for table in ("schools", "others")]:
            done.result(60)
    assert both.broken


# What goes wrong.


def crowd(title):
    """Return more schools than fit the cache of a dying writer."""
    return schools(*[f"{title} {number} {'x' * 200}" for number in range(2000)])


@pytest.fixture(scope="module")
def exported():
    """Give `exported(path, moment)`, which exports in another process, and kills it at a moment of the move."""
    with forks(killed_tables.__file__) as export:
        yield export


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("moment", range(7))
def test_a_crash_at_any_moment_leaves_what_was_there(moment, path, exported):
    """Before, between and after the statements of the move; and the next export is as good as any."""
    put(path, crowd("old"))
    assert exported(path, moment) == (-signal.SIGKILL, None)
    left = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    journal = ["directory.sqlite-journal"] if moment else []
    assert left == dict.fromkeys(["directory.sqlite", "directory.sqlite.schools.part", *journal], 0o600)
    assert read("sqlite", School, path, table="schools") == crowd("old")
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]
    put(path, crowd("newer"))
    assert read("sqlite", School, path, table="schools") == crowd("newer")
    assert [file.name for file in path.parent.iterdir()] == ["directory.sqlite"]


def test_what_is_being_written_is_in_no_table(path):
    """Until the end a reader sees the last export."""
    put(path, schools("Ek"))
    writer = open_writer("sqlite", School, path, table="schools", fields=None, replace=True)
    writer.write(encode_lines(schools("Alm")))
    assert [row.title for row in read("sqlite", School, path, table="schools")] == ["Ek"]
    writer.abort()
    assert [row.title for row in read("sqlite", School, path, table="schools")] == ["Ek"]


@pytest.mark.parametrize("content", [b"my notes, not a database", b"SQLite format 3\0" + b"\1" * 500])
def test_a_file_that_is_no_database_is_refused_at_once(content, path):
    """`--to .` in the wrong folder costs nothing."""
    path.write_bytes(content)
    with pytest.raises(MeitnerError, match="export to another folder"):
        open_writer("sqlite", School, path, table="schools", fields=None, replace=True)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["directory.sqlite"]


def test_another_programs_database_is_refused_at_once(path):
    """A table of the same name may be somebody's work."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE schools (id TEXT PRIMARY KEY, notes TEXT)")
    with pytest.raises(MeitnerError, match="another program's database; export to another folder"):
        open_writer("sqlite", School, path, table="schools", fields=None, replace=True)
    assert ask(path, "SELECT count(*) FROM schools") == [(0,)]


def test_an_empty_file_is_nobodys(path):
    """What a crash left between making the file and filling it."""
    path.touch()
    put(path, schools("Ek"))
    assert read("sqlite", School, path, table="schools") == schools("Ek")


def test_a_file_in_use_is_said_to_be(path, monkeypatch):
    """Whoever holds it is waited for, not for ever; and then nothing has changed."""
    put(path, schools("Ek"))
    monkeypatch.setattr(_sqlite, "_PATIENCE", 0.0)
    writer = open_writer("sqlite", School, path, table="schools", fields=None, replace=True)
    writer.write(encode_lines(schools("Alm")))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MeitnerError, match=r"directory\.sqlite is in use by another program"):
            writer.close()
    writer.abort()
    assert read("sqlite", School, path, table="schools") == schools("Ek")
    assert [file.name for file in path.parent.iterdir()] == ["directory.sqlite"]


@pytest.mark.parametrize("there", [False, True], ids=["no file", "a file"])
def test_a_full_disk_is_an_os_error(there, path, monkeypatch):
    """As for every other format; what was there stays, and what was not does not come."""
    if there:
        put(path, schools("Ek"))
    connect = sqlite3.connect

    def small(name, *args, **options):
        database = connect(name, *args, **options)
        if name == path:
            database.execute("PRAGMA max_page_count = 12")
        return database

    monkeypatch.setattr(sqlite3, "connect", small)
    writer = open_writer("sqlite", School, path, table="schools", fields=None, replace=True)
    writer.write(encode_lines(crowd("new")))
    with pytest.raises(OSError, match="No space left") as refused:
        writer.close()
    writer.abort()
    assert refused.value.errno == errno.ENOSPC
    assert [file.name for file in path.parent.iterdir()] == (["directory.sqlite"] if there else [])
    assert not there or read("sqlite", School, path, table="schools") == schools("Ek")


def test_a_full_disk_is_noticed_while_writing(path):
    """Not only at the end."""
    writer = open_writer("sqlite", School, path, table="schools", fields=None, replace=True)
    writer._staging.execute("PRAGMA max_page_count = 2")
    with pytest.raises(OSError, match="No space left"):
        writer.write(encode_lines(crowd("new")))
    writer.abort()
    assert list(path.parent.iterdir()) == []


def test_a_table_that_is_not_ours_is_not_updated(path):
    """Without its key there is no telling which row is which."""
    put(path, schools("Ek"))
    with closing(sqlite3.connect(path)) as database:
        database.executescript("DROP TABLE schools; CREATE TABLE schools (id TEXT, title TEXT)")
    with pytest.raises(MeitnerError, match=r"directory\.sqlite cannot be written: ON CONFLICT"):
        put(path, schools("Alm"), replace=False)
    assert ask(path, "SELECT * FROM schools") == []
    assert json.dumps(ask(path, "SELECT name FROM pragma_table_info('schools')")) == '[["id"], ["title"]]'
