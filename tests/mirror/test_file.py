"""The file of a mirror: what may become one, what a later version does with it, and who may open it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import mirrors
import pytest
from mirrors import held, there

from meitner_aio import ConfigurationError, Meitner, MeitnerError
from meitner_aio.export import export
from meitner_aio.mirror import Mirror, _state

path, sandbox, meitner, ask = mirrors.path, mirrors.sandbox, mirrors.meitner, mirrors.ask


async def test_an_export_is_no_mirror(meitner, tmp_path):
    """Its next run would replace the tables: it is refused, and stays as it is. Nor does an export write to a mirror."""
    await export(meitner, ["schools"], to=tmp_path / "out", format="sqlite")
    file = tmp_path / "out" / "directory.sqlite"
    before = file.read_bytes()
    with Mirror(file) as mirror, pytest.raises(ConfigurationError, match="is an export, and no mirror"):
        await mirror.sync(meitner)
    assert file.read_bytes() == before
    folder = tmp_path / "mirror"
    with Mirror(folder / "directory.sqlite") as mirror:
        await mirror.sync(meitner)
        with pytest.raises(MeitnerError, match="another program's database"):
            await export(meitner, ["schools"], to=folder, format="sqlite")
        assert held(folder / "directory.sqlite") == await there(meitner)


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["CREATE TABLE t (x)"], "another program's database"),
        (["CREATE TABLE t (x)", "PRAGMA application_id = 7"], "another program's database"),
        (["CREATE TABLE t (x)", "PRAGMA application_id = 1298491725", "PRAGMA user_version = 2"], "newer version"),
    ],
)
async def test_what_is_no_mirror_is_refused(statements, problem, meitner, path):
    """Before anything is written to it, and nothing is asked of the server."""
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
    path.chmod(0o600)
    before = path.read_bytes()
    with Mirror(path) as mirror, pytest.raises(ConfigurationError, match=problem):
        await mirror.sync(meitner)
    assert path.read_bytes() == before


async def test_files_that_others_may_write_are_refused(meitner, path, tmp_path):
    """A file, a folder, a link, and what SQLite would believe beside it."""
    with Mirror(path) as mirror:
        await mirror.sync(meitner, ["schools"])
    path.chmod(0o666)
    with Mirror(path) as mirror, pytest.raises(ConfigurationError, match="others may write"):
        await mirror.sync(meitner)
    with pytest.raises(ConfigurationError, match="others may write"):
        Meitner(offline=path)
    path.chmod(0o600)
    planted = path.with_name(f"{path.name}-wal")
    planted.symlink_to(tmp_path / "elsewhere")
    with Mirror(path) as mirror, pytest.raises(ConfigurationError, match="is a link"):
        await mirror.sync(meitner)
    planted.unlink()
    tmp_path.chmod(0o777)
    try:
        with Mirror(path) as mirror, pytest.raises(ConfigurationError, match="others may write"):
            await mirror.sync(meitner)
    finally:
        tmp_path.chmod(0o700)


async def test_a_folder_is_made_for_its_owner(meitner, tmp_path):
    """Where there is none."""
    with Mirror(tmp_path / "new" / "directory.sqlite") as mirror:
        await mirror.sync(meitner, ["schools"])
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


# Another version of the package.


def rewound(path: Any, resource: str, *, without: str = "", more: str = "", kind: str = "TEXT") -> None:
    """Make a file as a version wrote it that knew one column fewer, or more, or another type of one."""
    with closing(sqlite3.connect(path)) as database, database:
        query = "SELECT columns FROM meitner_aio_resources WHERE resource = ?"
        columns = json.loads(database.execute(query, [resource]).fetchone()[0])
        if without:
            database.execute(f"DROP INDEX IF EXISTS {resource}_{without}")
            database.execute(f"ALTER TABLE {resource} DROP COLUMN {without}")
            del columns[without]
        if more:
            if more not in columns:
                database.execute(f"ALTER TABLE {resource} ADD COLUMN {more} {kind}")
            columns[more] = kind
        database.execute(
            "UPDATE meitner_aio_resources SET columns = ? WHERE resource = ?", [json.dumps(columns), resource]
        )


async def test_a_new_column_is_added_and_its_resource_read_anew(meitner, path):
    """The others go on from their checkpoint; afterwards everything is as if it had always been there."""
    with Mirror(path) as mirror:
        await mirror.sync(meitner)
    rewound(path, "students", without="external_source_id")
    with Mirror(path) as mirror:
        report = await mirror.sync(meitner)
        assert report.read_anew == {"students"}
        assert report.complete
        assert held(path) == await there(meitner)
        assert (await mirror.sync(meitner)).read_anew == frozenset()


async def test_columns_of_another_version_are_not_read_offline(meitner, path):
    """They would be read as if nothing were in them; the rest is."""
    with Mirror(path) as mirror:
        await mirror.sync(meitner)
    rewound(path, "students", without="external_source_id")
    async with Meitner(offline=path) as offline:
        with pytest.raises(MeitnerError, match="another version of meitner_aio: sync it first"):
            await offline.students.list().all()
        assert await offline.schools.list().count() == 2


async def test_a_column_that_is_gone_is_dropped(meitner, path, ask):
    """With what was in it."""
    with Mirror(path) as mirror:
        await mirror.sync(meitner)
    rewound(path, "students", more="nickname")
    with Mirror(path) as mirror:
        assert (await mirror.sync(meitner)).read_anew == {"students"}
    assert "nickname" not in {row[1] for row in ask("PRAGMA table_info(students)")}


async def test_a_file_of_a_later_version_is_refused(meitner, path, monkeypatch):
    """It may have columns that would be left behind; what to do is said, and the file stays as it is."""
    with Mirror(path) as mirror, monkeypatch.context() as later:
        later.setattr(_state, "__version__", "99.0.0")
        await mirror.sync(meitner)
    rewound(path, "students", more="nickname")
    before = held(path)
    with Mirror(path) as mirror, pytest.raises(MeitnerError, match="newer version of meitner_aio"):
        await mirror.sync(meitner)
    assert held(path) == before


async def test_a_column_of_another_type_is_refused(meitner, path):
    """Nobody knows how to bring what is in it along."""
    with Mirror(path) as mirror:
        await mirror.sync(meitner)
    rewound(path, "students", more="first_name", kind="INTEGER")
    with Mirror(path) as mirror, pytest.raises(MeitnerError, match=r"another type \(first_name\)"):
        await mirror.sync(meitner)


async def test_a_resource_being_read_anew_is_no_whole_offline(meitner, path):
    """Until it was read, its listings are not certified."""
    with Mirror(path) as mirror:
        await mirror.sync(meitner)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE meitner_aio_resources SET checkpoint = NULL WHERE resource = 'students'")
    async with Meitner(offline=path) as offline:
        students, schools = offline.students.list(), offline.schools.list()
        await students.all()
        await schools.all()
        assert (students.report.complete, schools.report.complete) == (False, True)
