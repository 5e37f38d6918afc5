"""An exported folder as the directory: the same answers, no credentials, no network, and nothing written."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from meitner_aio import (
    APIConnectionError,
    BadRequestError,
    ConfigurationError,
    ConnectionReason,
    Gender,
    Meitner,
    MeitnerError,
    NotFoundError,
    StudentQuery,
    like,
    null,
    one_of,
)
from meitner_aio._operations.operations import operations
from meitner_aio._wire.messages import Request
from meitner_aio.export import export
from meitner_aio.offline import Snapshot, _folder
from meitner_aio.resources import RESOURCES

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Any]]]:
    """Give a snapshot of everything, and the records that went into it; the youngest is a moment old."""
    folder = tmp_path_factory.mktemp("exported") / "snapshot"

    async def make() -> dict[str, list[Any]]:
        async with Meitner.sandbox(students=120, schools=2) as meitner:
            await meitner.students.create(identity_number="20150315-1234", first_name="Bo", last_name="Ek")
            await export(meitner, to=folder)
            return {name: await getattr(meitner, name).list().all() for name in RESOURCES}

    return folder, asyncio.run(make())


@pytest.fixture
def snapshot(tmp_path: Path, exported: tuple[Path, Any]) -> Path:
    """Give a snapshot of students and schools that a test may spoil."""
    folder = tmp_path / "snapshot"
    folder.mkdir()
    manifest = json.loads((exported[0] / "manifest.json").read_bytes())
    manifest["resources"] = {name: manifest["resources"][name] for name in ("students", "schools")}
    for name in manifest["resources"]:
        (folder / f"{name}.ndjson").write_bytes((exported[0] / f"{name}.ndjson").read_bytes())
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def _manifest(folder: Path, change: Any) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def _rewrite(folder: Path, data: bytes) -> None:
    """Put other rows in the place of the students, as an export would have."""
    (folder / "students.ndjson").write_bytes(data)
    _manifest(folder, lambda m: m["resources"]["students"].update(sha256=hashlib.sha256(data).hexdigest()))


@pytest.mark.parametrize("attribute", RESOURCES)
async def test_every_resource_reads_as_it_did(attribute: str, exported: tuple[Path, dict[str, list[Any]]]) -> None:
    """Every row in order, certified as it is, and each by its id, without credentials."""
    folder, records = exported
    async with Meitner(offline=folder) as offline:
        resource = getattr(offline, attribute)
        for paging in ({}, {"strict": True}, {"exact": True}):
            listing = resource.list(limit=30).paged(**paging)
            assert await listing.all() == records[attribute]
            assert listing.report.level == "certified"
        for record in records[attribute][:3]:
            assert await resource.get(record.id) == record
        with pytest.raises(NotFoundError):
            await resource.get(NOBODY)


async def test_young_rows_need_no_witness(snapshot: Path) -> None:
    """A folder without audit events is certified, too: nothing can follow a row in it, however young it is."""
    async with Meitner(offline=snapshot) as offline:
        for paging in ({"strict": True}, {"exact": True}):
            listing = offline.students.list(limit=30).paged(**paging)
            assert len(await listing.all()) == 121
            assert (listing.report.level, listing.report.requests) == ("certified", 5)


async def test_searches_mean_what_they_mean_online(exported: tuple[Path, dict[str, list[Any]]]) -> None:
    """Filters, pages, counts and everything made of them are the sandbox's own."""
    folder, records = exported
    students = records["students"]
    async with Meitner(offline=folder) as offline:
        found = await offline.students.search(last_name=like("E%"), gender=one_of(Gender.FEMALE)).all()
        assert found == [s for s in students if s.last_name.startswith("E") and s.gender == Gender.FEMALE]
        bo = await offline.students.find(any_of=[StudentQuery(identity_number="20150315-1234")])
        assert bo is not None
        assert bo.first_name == "Bo"
        assert await offline.students.search(email_address2=~null).count() == 0
        some = [student.id for student in students[::7]]
        assert list(await offline.students.get_many(some)) == some
        page = await offline.students.list(limit=50)
        following = await page.get_next_page()
        assert (page.pagination.total, following.data) == (121, students[50:100])


async def test_there_is_no_network_and_no_quota(exported: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket is made, and a script may read more than a server would allow."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was made")

    monkeypatch.setattr(socket, "socket", refuse)
    async with Meitner(offline=str(exported[0])) as offline:
        for _ in range(1600 // 100):
            await offline.students.list(limit=1).all()
        assert offline.quota is None


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        (attribute, name)
        for attribute, resource in RESOURCES.items()
        for name in operations(resource)
        if name not in ("list", "search", "get")
    ],
)
async def test_every_write_is_refused(attribute: str, name: str, exported: tuple[Path, Any]) -> None:
    """Clearly, naming what was asked, and with nothing changed or read."""
    from samples import call

    snapshot = Snapshot(exported[0])
    with pytest.raises(APIConnectionError, match="would write; a snapshot is read-only") as caught:
        await call(RESOURCES[attribute], name, snapshot.send)
    assert (caught.value.reason, caught.value.sent) == (ConnectionReason.OFFLINE, False)
    assert caught.value.route == operations(RESOURCES[attribute])[name].route(RESOURCES[attribute])


async def test_a_client_reports_a_refused_write_as_it_is(exported: tuple[Path, dict[str, list[Any]]]) -> None:
    """Retries and the recovery of creates leave it alone; bulk writes and upserts come to the same."""
    student = exported[1]["students"][0]
    async with Meitner(offline=exported[0]) as offline:
        person = {"identity_number": "20150316-1234", "first_name": "Bo", "last_name": "Ek"}
        for write in (
            offline.students.create(**person),
            offline.students.modify(student, last_name="Berg"),
            offline.students.delete(student.id),
            offline.students.upsert("identity_number", **person),
        ):
            with pytest.raises(MeitnerError, match="read-only"):
                await write
        outcomes = [outcome async for outcome in offline.students.delete_many([student.id])]
        assert "read-only" in str(outcomes[0].error)
        assert await offline.students.get(student.id) == student


async def test_what_was_not_exported_is_no_empty_listing(snapshot: Path) -> None:
    """It is an answer that never came: at once, with what to do, and a default may stand in."""
    async with Meitner(offline=snapshot) as offline:
        for read in (
            offline.groups.list().all(),
            offline.groups.search(title="7A").count(),
            offline.groups.get(NOBODY),
        ):
            with pytest.raises(APIConnectionError, match="holds no groups; export them") as caught:
                await read
            assert (caught.value.sent, caught.value.attempts) == (False, 0)
        assert await offline.cached(default=None).groups.get(NOBODY) is None
        assert await offline.students.list().count() == 121


async def test_a_path_that_the_directory_does_not_have_is_in_no_snapshot(snapshot: Path) -> None:
    """It may exist on a server: that is no 404. A wrong page is refused as a server would."""
    transport = Snapshot(snapshot)
    with pytest.raises(APIConnectionError, match="/x is no resource of the directory"):
        await transport.send(Request("request", "GET", "/x", "/x"))
    headers = {"Client-ID": "a", "Client-Secret": "b"}
    for path, query, status in (("/student", "limit=0", 400), ("/student", "limit=1", 200)):
        response = await transport.send(Request("request", "GET", path, path, query, headers=headers))
        assert response.status == status
        assert not any(name.lower().startswith("ratelimit") for name in response.headers)
    async with Meitner(offline=snapshot) as offline:
        with pytest.raises(BadRequestError):
            await offline.students.search(any_of=[_deep(60)]).all()


def _deep(levels: int) -> StudentQuery:
    query = StudentQuery(last_name="Ek")
    for _ in range(levels):
        query = StudentQuery(any_of=[query])
    return query


async def test_files_are_read_when_they_are_asked_for(snapshot: Path) -> None:
    """A client costs a manifest; concurrent first reads read a file once, in a thread."""
    import threading

    reads: list[tuple[str, bool]] = []
    original = _folder.read_private

    def read_private(path: Path) -> bytes:
        reads.append((path.name, threading.current_thread() is threading.main_thread()))
        return original(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_folder, "read_private", read_private)
        async with Meitner(offline=snapshot) as offline:
            assert reads == [("manifest.json", True)]
            await offline.schools.list().count()  # until the first answer, one request is in flight anyway
            await asyncio.gather(*(offline.students.list().count() for _ in range(5)))
            await offline.students.list().count()
    assert reads == [("manifest.json", True), ("schools.ndjson", False), ("students.ndjson", False)]


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json cannot be read: No such file"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "not the manifest of an export"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"\xff"), "not the manifest of an export"),
        (lambda folder: _manifest(folder, lambda m: m.update(version=2)), "of version 2"),
        (lambda folder: (folder / "students.ndjson").unlink(), "students.ndjson is missing"),
        (
            lambda folder: _manifest(folder, lambda m: m["resources"]["students"].update(format="csv")),
            "is csv; export with the format ndjson",
        ),
        (
            lambda folder: _manifest(folder, lambda m: m["resources"]["students"].update(file="../students.ndjson")),
            "no export writes",
        ),
        (
            lambda folder: _manifest(folder, lambda m: m["resources"].update(pupils=m["resources"]["students"])),
            "no export writes",
        ),
    ],
)
def test_a_folder_that_is_no_snapshot_is_refused_at_once(snapshot: Path, spoil: Any, problem: str) -> None:
    """When the client is built, with the path."""
    spoil(snapshot)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        Meitner(offline=snapshot)
    assert str(snapshot) in caught.value.message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda path: path.write_bytes(path.read_bytes() + b"\n"), "SHA-256"),
        (lambda path: path.write_bytes(b""), "SHA-256"),
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: _rewrite(path.parent, b'{"id": 20150315}\n'), "another shape"),
        (lambda path: _rewrite(path.parent, b'{"firstName": "\xff"}\n'), "another shape"),
    ],
)
async def test_a_file_that_is_not_the_one_exported_is_refused(snapshot: Path, spoil: Any, problem: str) -> None:
    """When it is asked for, naming the file and quoting nothing; what else there is can still be read."""
    rewritten = problem == "another shape"  # with a manifest that fits
    if rewritten:
        spoil(snapshot / "students.ndjson")
    async with Meitner(offline=snapshot) as offline:
        if not rewritten:
            spoil(snapshot / "students.ndjson")
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=problem) as caught:
                await offline.students.list().all()
        assert "students.ndjson" in str(caught.value)
        assert "20150315" not in caught.value.message
        assert caught.value.__cause__ is None
        assert await offline.schools.list().count() == 2


async def test_an_export_that_may_lack_rows_says_so(snapshot: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The listing is whole as to the folder; the log tells that the folder may not be."""
    _manifest(snapshot, lambda m: m["resources"]["students"].update(complete=False))
    async with Meitner(offline=snapshot) as offline:
        with caplog.at_level(logging.WARNING, "meitner_aio"):
            await offline.schools.list().count()
            assert caplog.text == ""
            await offline.students.list().count()
    assert "students.ndjson may lack rows" in caplog.text


async def test_a_closed_client_refuses(snapshot: Path) -> None:
    """Offline as online; and it says what it is."""
    offline = Meitner(offline=snapshot)
    assert repr(offline) == f"<Meitner offline:{snapshot}>"
    assert repr(offline._core.transport) == f"<Snapshot {snapshot}: students, schools>"
    await offline.students.list().count()
    await offline.close()
    with pytest.raises(MeitnerError, match="closed"):
        await offline.students.list().count()


def test_credentials_do_not_matter_offline(snapshot: Path) -> None:
    """Given or not, in the environment or not."""
    assert repr(Meitner("an-id", "a-secret", offline=snapshot)) == repr(Meitner(offline=snapshot))
