"""A twelfth resource: a file and a line in a copy of the package, and everything that knows resources knows it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import meitner_aio

ROOMS = '''
"""Rooms."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from .._operations.composed import Deletable, Find
from .._operations.operations import Create, Delete, Get, List, Search, Update
from ..query import Exact, Null, Ordered, ResourceQuery, Text
from ..records import DirectoryRecord, Id, Record

__all__ = ["Room", "RoomCreate", "RoomQuery", "RoomUpdate", "Rooms"]


class Room(DirectoryRecord):
    """A room of a school."""

    school_id: Id
    title: str
    seats: int | None = None


class RoomUpdate(Record):
    """What an update says of a room."""

    title: str
    seats: int | None | UnsetType = UNSET


class RoomCreate(RoomUpdate):
    """What a create says of a room."""

    school_id: Id


class RoomQuery(ResourceQuery):
    """Conditions on rooms."""

    school_id: Exact[Id] = UNSET
    title: Text = UNSET
    seats: Ordered[int] | Null = UNSET


class Rooms(Deletable[Room]):
    """Rooms of schools."""

    path = "/room"
    model = Room

    list = List()
    search = Search(RoomQuery)
    find = Find(RoomQuery)
    get = Get()
    create = Create(RoomCreate)
    update = Update(RoomUpdate)
    delete = Delete()
'''
IMPORT, LINE = "from .rooms import *\n", "    rooms = SearchableMember(Rooms, Rooms.search)\n"

USED = """
import asyncio, json, os, sqlite3, sys

import meitner_aio
from meitner_aio import Meitner, Portal, above
from meitner_aio.export import export
from meitner_aio.sandbox import Sandbox


async def at_the_shell(*words):
    shell = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "meitner_aio", *words, stdout=asyncio.subprocess.PIPE
    )
    return [json.loads(line) for line in (await shell.communicate())[0].splitlines()]


async def main():
    assert {"Room", "RoomCreate", "RoomQuery", "RoomUpdate"} <= set(meitner_aio.__all__)
    async with Sandbox(students=0, schools=1) as sandbox, Meitner(*sandbox.credentials, base_url=sandbox.url) as meitner:
        os.environ["MEITNER_CLIENT_CREDENTIALS"], os.environ["MEITNER_CLIENT_SECRET"] = sandbox.credentials
        os.environ["MEITNER_BASE_URL"] = sandbox.url
        school = await meitner.schools.list().first()
        room = await meitner.rooms.create(school_id=school.id, title="A101", seats=30)
        assert isinstance(room, meitner_aio.Room) and room == await meitner.rooms.get(room.id)
        assert await meitner.with_options(max_retries=0).rooms.search(seats=above(29)).all() == [room]
        assert await meitner.cached().rooms.find(title="A101") == room
        assert sandbox.records("rooms") == [room]
        assert [row["title"] for row in await at_the_shell("list", "rooms", "--json")] == ["A101"]
        for format in ("ndjson", "sqlite"):
            assert (await export(meitner, ["rooms"], to=format, format=format)).complete
        assert json.loads(open("ndjson/rooms.ndjson").read())["id"] == room.id
        assert sqlite3.connect("sqlite/directory.sqlite").execute("SELECT title, seats FROM rooms").fetchall() == [("A101", 30)]
        async with Meitner.sandbox(sandbox) as inside, Meitner(offline="ndjson") as offline:
            assert [await where.rooms.list().all() for where in (inside, offline)] == [[room], [room]]
    return room.id


room_id = asyncio.run(main())
with Portal(Meitner(offline="ndjson")) as portal:
    assert portal.run(portal.meitner.rooms.get(room_id)).seats == 30
"""

TYPED = """
from collections.abc import Coroutine
from typing import Any, assert_type

from meitner_aio import Listing, Meitner, Room


async def typed(meitner: Meitner) -> None:
    got: Coroutine[Any, Any, Room] = meitner.rooms.get("")
    assert_type(await got, Room)
    assert_type(meitner.rooms.search(title="A101"), Listing[Room])
    assert_type(await meitner.cached(default=None).rooms.get(""), Room | None)
    assert_type(meitner.cached().rooms.search(title="A101"), Listing[Room])
    meitner.rooms.search(colour="red")  # wrong
    meitner.cached().rooms.search(colour="red")  # wrong
    await meitner.rooms.create(title="A101")  # wrong
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """Give a folder with a copy of the package that has rooms."""
    folder = tmp_path_factory.mktemp("twelfth")
    package = folder / "meitner_aio"
    shutil.copytree(Path(meitner_aio.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "resources" / "rooms.py").write_text(ROOMS, encoding="utf-8")
    declared = package / "resources" / "__init__.py"
    text = declared.read_text(encoding="utf-8")
    for before, added in (("from .schools import *\n", IMPORT), ("    schools = ", LINE)):
        assert text.count(before) == 1
        text = text.replace(before, added + before)
    declared.write_text(text, encoding="utf-8")
    return folder


def _run(folder, *words):
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_it_is_everywhere(copied):
    """In clients, copies, caches, the shell, exports, sandboxes, snapshots and the package itself."""
    done = _run(copied, "-c", USED)
    assert (done.returncode, done.stderr) == (0, "")


def test_type_checkers_know_it(copied):
    """By its fields: right calls have their types, and wrong ones are refused."""
    (copied / "typed.py").write_text(TYPED, encoding="utf-8")
    done = _run(copied, "-m", "mypy", "--strict", "--output=json", "typed.py")
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    wrong = [number for number, line in enumerate(TYPED.splitlines(), 1) if line.endswith("# wrong")]
    assert [item["line"] for item in found if item["severity"] == "error"] == wrong, done.stdout + done.stderr
