"""A twelfth resource takes one file and one line: everything that works with resources then works with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rooms
from sandbox_calls import NOBODY, call, made, placed_employee, school, search

import meitner_aio
from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox import Fault, Sandbox

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
        assert [row["title"] for row in await at_the_shell("list", "rooms", "--json", "-q")] == ["A101"]
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
    shutil.copyfile(rooms.__file__, package / "resources" / "rooms.py")
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
    """Clients, copies, caches, the shell, exports, sandboxes, snapshots and the package itself have it."""
    done = _run(copied, "-c", USED)
    assert (done.returncode, done.stderr) == (0, "")


def test_type_checkers_know_it(copied, pytestconfig):
    """Type checkers give right calls their types, and refuse wrong ones."""
    (copied / "typed.py").write_text(TYPED, encoding="utf-8")
    cache = getattr(pytestconfig, "cache", None)  # what mypy knows of other packages, from an earlier run
    kept = cache.mkdir("mypy") if cache is not None else copied / "mypy"
    done = _run(copied, "-m", "mypy", "--strict", "--output=json", f"--cache-dir={kept}", "typed.py")
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    wrong = [number for number, line in enumerate(TYPED.splitlines(), 1) if line.endswith("# wrong")]
    assert [item["line"] for item in found if item["severity"] == "error"] == wrong, done.stdout + done.stderr


@pytest.fixture
def sandbox(monkeypatch):
    """Give an empty directory with rooms."""
    monkeypatch.setitem(RESOURCES, "rooms", rooms.Rooms)
    return Sandbox(students=0, schools=0, unknown="refuse")


async def test_the_sandbox_has_its_operations(sandbox):
    """Each operation answers with the status of its kind; what is not declared is 404."""
    place = await school(sandbox)
    room = await made(sandbox, "/room", schoolID=place, title="A101", seats=30)
    path = f"/room/{room['id']}"
    updated = await call(sandbox, "PATCH", path, {"title": "A102", "seats": None})
    assert (updated.status, updated.data["title"], updated.data["seats"]) == (200, "A102", None)
    assert (await call(sandbox, "GET", path)).data == updated.data
    assert (await call(sandbox, "GET", "/room")).rows == [updated.data]
    assert (await search(sandbox, "/room", null={"seats": True}, like={"title": "A%"})).rows == [updated.data]
    assert (await search(sandbox, "/room", like={"seats": "3%"})).status == 400
    assert (await call(sandbox, "PATCH", f"{path}/archive")).status == 404
    assert (await call(sandbox, "DELETE", path)).status == 204
    assert sandbox.records("rooms") == []
    assert sandbox.records("audit_events") == []


async def test_the_rules_of_the_sandbox_hold_for_it(sandbox):
    """Types, required fields, fixed fields and references are checked; a deleted reference becomes null."""
    place = await school(sandbox)
    teacher = await placed_employee(sandbox, place)
    for body in ({"title": "A"}, {"schoolID": NOBODY, "title": "A"}, {"schoolID": place, "title": "A", "seats": "3"}):
        assert (await call(sandbox, "POST", "/room", body)).status == 422
    room = await made(sandbox, "/room", schoolID=place, title="A", employeeID=teacher)
    answer = await call(sandbox, "PATCH", f"/room/{room['id']}", {"title": "A", "schoolID": place})
    assert answer.message == "schoolID is fixed when the record is created"
    await call(sandbox, "DELETE", f"/employee/{teacher}")
    assert (await call(sandbox, "GET", f"/room/{room['id']}")).data["employeeID"] is None


async def test_it_is_in_the_openapi_document_of_the_sandbox(sandbox):
    """The document has its paths, its fields and its search conditions."""
    served = (await call(sandbox, "GET", "/openapi.json")).data
    assert served["paths"]["/room/{id}"].keys() == {"get", "patch", "delete"}
    schemas = served["components"]["schemas"]
    assert schemas["Room"]["properties"].keys() == {"id", "meta", "schoolID", "title", "seats", "employeeID"}
    assert "seats" in json.dumps(schemas["RoomFilter"]["properties"]["greaterThan"])


async def test_a_fault_of_the_sandbox_can_name_it(monkeypatch):
    """A fault is given to an operation of it by name."""
    monkeypatch.setitem(RESOURCES, "rooms", rooms.Rooms)
    sandbox = Sandbox(students=0, schools=0, faults=[Fault(500, operations=["rooms.list"])])
    assert (await call(sandbox, "GET", "/room")).status == 500
