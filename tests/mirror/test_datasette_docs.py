"""The recipe about datasette keeps its word: the real one, with the words of the page, shows no more than they say."""

from __future__ import annotations

import asyncio
import re
import shlex
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from datasette.app import Datasette
from datasette.utils import parse_metadata
from pages import block, page

from meitner_aio.mirror import Mirror

pytestmark = pytest.mark.meitner(students=20)

FILE = "directory.sqlite"
METADATA = block("recipes.md", "metadata.yaml")
(COMMAND,) = re.findall(r"^```sh\n(datasette .*?)^```$", page("recipes.md"), re.MULTILINE | re.DOTALL)
WORDS = shlex.split(COMMAND.replace("\\\n", ""))
SETTINGS = {
    WORDS[place + 1]: {"off": False, "0": 0}[WORDS[place + 2]]
    for place, word in enumerate(WORDS)
    if word == "--setting"
}
PERSONAL = ("identity_number", "first_name", "last_name", "address_postal_address", "email_address1", "id")


@pytest.fixture
async def mirror(meitner, tmp_path: Path) -> Path:
    """Give a folder with a mirror and the file of the page."""
    with Mirror(tmp_path / FILE) as kept:
        await kept.sync(meitner)
    (tmp_path / "metadata.yaml").write_text(METADATA, encoding="utf-8")
    return tmp_path


def _opened(files: list[Path], *, settings: dict[str, Any] = SETTINGS, **how: Any) -> Datasette:
    return Datasette(list(map(str, files)), metadata=parse_metadata(METADATA), settings=settings, **how)


def _close(datasette: Datasette) -> None:
    datasette.executor.shutdown()
    for database in datasette.databases.values():
        database.close()


@pytest.fixture
async def shown(mirror: Path) -> AsyncIterator[Datasette]:
    """Give datasette on a mirror, as the page starts it."""
    datasette = _opened([mirror / FILE])
    yield datasette
    _close(datasette)


async def _counts(datasette: Datasette) -> dict[tuple[str, str | None], int]:
    answer = await datasette.client.get("/directory/students_of_schools.json?_shape=array")
    assert answer.status_code == 200
    return {(row["title"], row["school_year"]): row["students"] for row in answer.json()}


def _active(row: Any) -> bool:
    today = datetime.now().astimezone().date()
    return bool(row.start_date <= today and (row.end_date is None or row.end_date >= today))


def _counted(sandbox: Any) -> Counter[tuple[str, str | None]]:
    titles = {school.id: school.title for school in sandbox.records("schools")}
    rows = {
        (titles[row.school_id], row.school_year and str(row.school_year), row.student_id)
        for row in sandbox.records("student_placements")
        if _active(row)
    }
    return Counter((title, year) for title, year, _ in rows)


async def test_queries_of_the_page_work(shown: Datasette, meitner_sandbox) -> None:
    """Their numbers are those of the directory, and the first page leads to them."""
    assert await _counts(shown) == _counted(meitner_sandbox)
    first = await shown.client.get("/")
    for path in re.findall(r'href="(/directory/\w+)"', first.text):
        assert (await shown.client.get(path)).status_code == 200, path
    assert "/directory/students_of_schools" in first.text


async def test_all_tables_but_the_one_named_are_hidden(shown: Datasette, mirror: Path) -> None:
    """As pages, JSON and CSV, row by row, and those of the mirror's own as well."""
    with closing(sqlite3.connect(mirror / FILE)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        (student,) = database.execute("SELECT id FROM students LIMIT 1").fetchone()
    hidden = tables - {"schools"}
    assert hidden > {"students", "guardians", "employees", "student_placements", "changes", "tombstones", "meitner_aio"}
    for name in hidden:
        for ending in ("", ".json", ".csv"):
            assert (await shown.client.get(f"/directory/{name}{ending}")).status_code == 403, name
    assert (await shown.client.get(f"/directory/students/{student}.json")).status_code == 403


async def test_nobody_goes_round_what_is_hidden(shown: Datasette) -> None:
    """SQL of one's own would read every table; the file as it is has them all."""
    for path in (
        "/directory?sql=SELECT+*+FROM+students",
        "/directory.json?sql=SELECT+*+FROM+students",
        "/directory/schools.json?_where=id+IN+(SELECT+id+FROM+students)",
        "/directory",
        "/directory.db",
        "/_internal",
    ):
        assert (await shown.client.get(path)).status_code == 403, path


async def test_nobody_is_in_what_is_shown(shown: Datasette, mirror: Path) -> None:
    """No number, name, address or id of a person."""
    with closing(sqlite3.connect(mirror / FILE)) as database:
        rows = [
            row
            for who in ("students", "guardians")
            for row in database.execute(f"SELECT {', '.join(PERSONAL)} FROM {who}")
        ]
    people = {cell for row in rows for cell in row if cell and len(cell) > 9}
    assert len(people) > len(rows)
    for path in ("/", "/directory/schools.json", "/directory/students_of_schools.json?sql=SELECT+*+FROM+students"):
        text = (await shown.client.get(path)).text
        assert [one for one in people if one in text] == [], path


async def test_nothing_can_be_written(shown: Datasette, mirror: Path) -> None:
    """By no page, and by no statement either: the file is open for reading."""
    before = (mirror / FILE).read_bytes()
    for path in ("/directory/schools", "/directory/students_of_schools", "/directory?sql=DELETE+FROM+schools"):
        assert (await shown.client.post(path, data={"title": "x"})).status_code >= 400, path
    for statement in ("DELETE FROM schools", "DROP TABLE students", "CREATE TABLE mine (a)"):
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await shown.databases["directory"].execute(statement)
    assert (mirror / FILE).read_bytes() == before


async def test_a_run_is_seen_when_it_is_whole_and_not_hindered(
    shown: Datasette, mirror: Path, meitner, meitner_sandbox, caplog
) -> None:
    """Also what is deleted goes from the file meanwhile. Called immutable, it is old or malformed afterwards."""
    one_connection = SETTINGS | {"num_sql_threads": 1}
    still = _opened([], immutables=[str(mirror / FILE)], settings=one_connection)
    before = await _counts(shown)
    assert await _counts(still) == before
    (placement, *_) = (row for row in meitner_sandbox.records("student_placements") if _active(row))
    await meitner.student_placements.delete(placement.id)
    with Mirror(mirror / FILE) as kept:
        report = await kept.sync(meitner)
    assert report.deleted == 1
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    assert await _counts(shown) == _counted(meitner_sandbox) != before
    answer = await still.client.get("/directory/students_of_schools.json?_shape=array")
    assert answer.status_code == 400 or await _counts(still) == before  # "database disk image is malformed"
    _close(still)


async def test_the_command_of_the_page_runs(mirror: Path, meitner_sandbox) -> None:
    """In a process of its own, on the loopback address, with a file that may change."""
    assert WORDS[:2] == ["datasette", FILE]
    assert WORDS[WORDS.index("--host") + 1] == "127.0.0.1"
    assert not {"-i", "--immutable", "--cors", "--root"} & set(WORDS)
    words = [sys.executable, "-m", *WORDS, "--get", "/directory/groups_of_schools.json?_shape=array"]
    done = await asyncio.to_thread(
        subprocess.run, words, cwd=mirror, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"members"') == len(meitner_sandbox.records("groups"))
