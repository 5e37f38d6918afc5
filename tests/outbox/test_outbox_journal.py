"""An outbox with a journal: on the disk before it is sent, bound to one directory, locked, and gone when all is sent."""

from __future__ import annotations

import asyncio
import errno
import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from fault_server import run
from samples import every

from meitner_aio import (
    AmbiguousWriteError,
    ConfigurationError,
    InternalServerError,
    Meitner,
    MeitnerError,
)
from meitner_aio._operations.operations import operations
from meitner_aio._pipeline import identity, journals
from meitner_aio._wire.validation import built, checked, encode
from meitner_aio.outbox import _aside, _kept
from meitner_aio.portal import Portal
from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox import Sandbox

BO = {"identity_number": "20150101-9876", "first_name": "Bo", "last_name": "Ek"}
NOBODY = "00000000-0000-4000-8000-000000000000"
BODIES = [
    pytest.param(operation.body, id=f"{name}-{called}")
    for name, resource in RESOURCES.items()
    for called, operation in operations(resource).items()
    if called in ("create", "update")
]


@pytest.fixture(autouse=True)
def _quick_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_ROUNDS", 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the name of a journal."""
    return tmp_path / "outbox.journal"


@pytest.fixture
def sandbox() -> Sandbox:
    """Give a directory."""
    return Sandbox(students=3, schools=1, seed=4)


def _offline(sandbox: Sandbox, **given: Any) -> Meitner:
    """Return an offline client of a directory in this process, which has no address of its own."""
    client = Meitner(offline=True, client_credentials=sandbox.credentials[0], base_url="https://example.test", **given)
    client._core.meant = identity.reader_at(sandbox.name, Meitner.sandbox(sandbox)._core.auth)
    return client


@pytest.mark.parametrize("body", BODIES)
def test_every_write_is_read_back_as_it_was_put(body: Any) -> None:
    """Of every field of every write: lists, dates, enums, ids of other systems, and what is cleared."""
    for given in (every(body), {**every(body), **dict.fromkeys(_nullable(body))}):
        write = checked(built(body, dict(given)))
        again = checked(built(body, _kept._given(body, encode(write))))
        assert again == write


def _nullable(body: Any) -> list[str]:
    from meitner_aio.records import fields

    return [field.name for field in fields(body) if field.nullable]


async def test_what_is_kept_offline_is_sent_once_online(path, sandbox) -> None:
    """In the order of put; the journal is the owner's alone, and goes; no request is made for it but the writes."""
    first, second, third = sandbox.records("students")
    offline = _offline(sandbox)
    async with offline.outbox(journal=path) as outbox:
        await outbox.put(offline.students.create(**BO))
        outbox.put(offline.students.update(first.id, **{**BO, "identity_number": first.identity_number}))
        outbox.put(offline.students.delete(second.id))
    assert (outbox.kept, len(outbox), outbox.failures) == (3, 0, [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    async with Meitner.sandbox(sandbox) as meitner:
        async with meitner.outbox(journal=path) as outbox:
            outbox.put(meitner.students.delete(third.id))
        assert (outbox.sent, outbox.kept, outbox.failures) == (4, 0, [])
        async with meitner.outbox(journal=path) as outbox:
            assert len(outbox) == 0
    assert list(path.parent.iterdir()) == []
    assert sorted(one.operation for one in sandbox.requests) == [
        *("students.create", "students.delete", "students.delete", "students.update")
    ]
    assert {(one.first_name, one.identity_number) for one in sandbox.records("students")} == {
        ("Bo", first.identity_number),
        ("Bo", BO["identity_number"]),
    }


async def test_a_request_leaves_only_when_the_disk_has_its_intent(
    path, sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut after the request must not lose that it may have happened; those that wait together are one sync."""
    synced, syncs = b"", 0
    sync, send = journals.JournalFile.sync, sandbox.app.send

    def noted(journal: Any) -> None:
        nonlocal synced, syncs
        data = path.read_bytes()
        sync(journal)
        synced, syncs = data, syncs + 1

    async def sent(request: Any) -> Any:
        entry = next(json.loads(line) for line in synced.splitlines() if json.dumps(number(request)).encode() in line)
        assert f'"type":"begun","name":"{entry["name"]}"'.encode() in synced
        return await send(request)

    def number(request: Any) -> str:
        return str(json.loads(request.body)["identityNumber"])

    monkeypatch.setattr(journals.JournalFile, "sync", noted)
    monkeypatch.setattr(sandbox.app, "send", sent)
    async with Meitner.sandbox(sandbox) as meitner, meitner.outbox(journal=path, concurrency=4) as outbox:
        for index in range(12):
            outbox.put(meitner.students.create(**{**BO, "identity_number": f"20150101-{index:02}76"}))
    assert (outbox.sent, outbox.failures) == (12, [])
    assert syncs < 12


async def test_what_is_refused_for_good_is_kept_aside_and_blocks_nothing(
    path, sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """With why, in a file of its own, and said; the journal goes. It is added once, however often that is tried."""
    taken = sandbox.records("students")[0].identity_number
    async with Meitner.sandbox(sandbox) as client:
        meitner = client.with_options(max_retries=0)
        async with meitner.outbox(journal=path) as outbox:
            outbox.put(meitner.students.create(**{**BO, "identity_number": taken}))
            outbox.put(meitner.students.delete(NOBODY))
            outbox.put(meitner.students.create(**BO))
        assert (outbox.sent, sorted(failure.index for failure in outbox.failures)) == (1, [0, 1])
        assert not path.exists()
        assert stat.S_IMODE(outbox.refused.stat().st_mode) == 0o600
        said = [json.loads(line) for line in outbox.refused.read_text().splitlines()]
        first, second = sorted(said, key=lambda one: one["operation"])
        assert (first["status"], first["body"]["identityNumber"], first["may_have_happened"]) == (409, taken, False)
        assert (second["status"], second["operation"], second["id"]) == (404, "delete", NOBODY)
        assert taken not in caplog.text
        assert "students.create of an outbox was refused (ConflictError)" in caplog.text
        caplog.clear()
        async with meitner.outbox(journal=path):
            pass
        assert "holds 2 writes that were refused" in caplog.text


async def test_many_refusals_at_once_are_all_kept_aside(path, sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the file is read before it is added to: so one thread at a time does."""
    names, running, most = _aside._names, 0, 0

    def slowly(said: bytes) -> set[str]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        threading.Event().wait(0.002)
        running -= 1
        return names(said)

    monkeypatch.setattr(_aside, "_names", slowly)
    taken = sandbox.records("students")[0].identity_number
    async with Meitner.sandbox(sandbox) as client:
        meitner = client.with_options(max_retries=0)
        async with meitner.outbox(journal=path) as outbox:
            for _ in range(20):
                outbox.put(meitner.students.create(**{**BO, "identity_number": taken}))
    assert len(outbox.failures) == len(outbox.refused.read_text().splitlines()) == outbox._aside.count() == 20
    assert most == 1


def test_what_fails_for_want_of_a_server_stays_in_order(path, sandbox) -> None:
    """A later write of the same record waits for the earlier one, else it would be undone by it."""

    async def main() -> None:
        student = sandbox.records("students")[0]
        fixed = {"identity_number": student.identity_number, "last_name": "Ek"}
        sandbox.fail("503", operations=["students.update"], times=1)
        async with Meitner.sandbox(sandbox) as meitner:
            once = meitner.with_options(max_retries=0)
            async with once.outbox(journal=path) as outbox:
                outbox.put(once.students.update(student.id, first_name="A", **fixed))
                outbox.put(once.students.update(student.id, first_name="B", **fixed))
                outbox.put(once.students.create(**BO))
            assert (outbox.sent, outbox.kept) == (1, 2)
            assert isinstance(outbox.failures[0].error, InternalServerError)
            assert len(sandbox.requested("students.update")) == 1
            async with meitner.outbox(journal=path) as outbox:
                pass
            assert (outbox.sent, outbox.kept) == (2, 0)
            assert (await meitner.students.get(student.id)).first_name == "B"

    run(main())


def test_a_create_whose_answer_was_lost_is_looked_up_by_the_next(path, sandbox) -> None:
    """One that was certainly not carried out is sent without a look; nothing is made twice."""

    async def main() -> None:
        async with Meitner.sandbox(sandbox) as meitner:
            once = meitner.with_options(max_retries=0)
            sandbox.fail("lost_answer", operations=["students.create"], times=1)
            sandbox.fail("503", operations=["students.search"])
            async with once.outbox(journal=path) as outbox:
                outbox.put(once.students.create(**BO))
            assert isinstance(outbox.failures[0].error, AmbiguousWriteError)
            assert outbox.kept == 1
            sandbox.heal()
            sandbox.requests.clear()
            async with once.outbox(journal=path) as outbox:
                pass
            assert outbox.sent == 1
            assert [one.operation for one in sandbox.requests] == ["students.search"]
            other = {**BO, "identity_number": "20150102-9876"}
            sandbox.fail("429", operations=["students.create"], times=1)
            async with once.outbox(journal=path) as outbox:
                outbox.put(once.students.create(**other))
            sandbox.requests.clear()
            async with once.outbox(journal=path) as outbox:
                pass
            assert [one.operation for one in sandbox.requests] == ["students.create"]
            assert len(sandbox.records("students")) == 5

    run(main())


def test_a_create_that_nothing_identifies_is_not_sent_twice(path, sandbox) -> None:
    """Whether it happened cannot be told: it is kept aside, as one that may have."""

    async def main() -> None:
        async with Meitner.sandbox(sandbox) as meitner:
            sandbox.fail("lost_answer", operations=["units.create"], times=1)
            async with meitner.outbox(journal=path) as outbox:
                outbox.put(meitner.units.create(title="Norr"))
            assert isinstance(outbox.failures[0].error, AmbiguousWriteError)
            (line,) = outbox.refused.read_text().splitlines()
            assert (json.loads(line)["may_have_happened"], json.loads(line)["body"]["title"]) == (True, "Norr")
            assert not path.exists()
            assert len(sandbox.requested("units.create")) == 1

    run(main())


async def test_a_write_that_cannot_be_kept_is_refused_before_anything(path, sandbox) -> None:
    """What reads first, is somebody's own coroutine, or another client's; nothing is left running or written."""

    async def own() -> None:
        raise AssertionError

    async with Meitner.sandbox(sandbox) as meitner, Meitner.sandbox(sandbox) as other:
        async with meitner.outbox(journal=path) as outbox:
            for write in (own(), meitner.students.upsert("identity_number", **BO), meitner.request("POST", "/student")):
                with pytest.raises(TypeError, match="takes one create, update, delete, archive or restore"):
                    outbox.put(write)
            for client in (other, meitner.with_options(timeout=5)):
                with pytest.raises(MeitnerError, match="another client's, or that of a copy"):
                    outbox.put(client.students.create(**BO))
            with pytest.raises(TypeError, match="put takes a coroutine"):
                outbox.put(meitner.students)  # type: ignore[arg-type]
        with pytest.raises(MeitnerError, match="is closed"):
            outbox.put(meitner.students.create(**BO))
        with pytest.raises(MeitnerError, match="entered before"):
            await outbox.__aenter__()
    assert list(sandbox.requests) == []


async def test_two_outboxes_do_not_share_a_journal(path, sandbox) -> None:
    """The second is told at once; the first goes on."""
    async with Meitner.sandbox(sandbox) as meitner, meitner.outbox(journal=path) as outbox:
        with pytest.raises(MeitnerError, match="another outbox uses"):
            await meitner.outbox(journal=path).__aenter__()
        outbox.put(meitner.students.create(**BO))
    assert outbox.sent == 1


async def test_a_journal_is_of_one_directory(path, sandbox) -> None:
    """Of another server, or with other credentials, it is refused, and stays as it is."""
    offline = _offline(sandbox)
    async with offline.outbox(journal=path) as outbox:
        outbox.put(offline.students.create(**BO))
    said = path.read_bytes()
    for other in (
        Meitner("another", "secret", base_url="https://example.test"),
        Meitner.sandbox(Sandbox(students=2, seed=9)),
    ):
        async with other:
            with pytest.raises(MeitnerError, match="use another journal"):
                await other.outbox(journal=path).__aenter__()
    assert path.read_bytes() == said


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (lambda data: data[:-20], None, ""),
        (lambda data: data[:10], None, ""),
        (lambda data: data.replace(b'"type":"put"', b'"type:"put"', 1), ConfigurationError, "is damaged in line 2"),
        (lambda data: b"hello\n" + data, ConfigurationError, "is no journal of an outbox"),
        (lambda data: data.replace(b'"version":1', b'"version":9'), ConfigurationError, "another version"),
        (
            lambda data: data.replace(b'"type":"outbox"', b'"type":"head"'),
            ConfigurationError,
            "is no journal of an outbox",
        ),
    ],
    ids=["torn", "torn head", "damaged", "foreign", "newer", "of a registry"],
)
async def test_only_a_torn_end_is_passed_over(path, sandbox, spoil: Any, error: Any, said: str) -> None:
    """Anything else is said, and nothing is sent."""
    offline = _offline(sandbox)
    async with offline.outbox(journal=path) as outbox:
        for index in range(3):
            outbox.put(offline.students.create(**{**BO, "identity_number": f"20150101-{index}876"}))
    path.write_bytes(spoil(path.read_bytes()))
    async with Meitner.sandbox(sandbox) as meitner:
        if error is None:
            async with meitner.outbox(journal=path) as outbox:
                pass
            assert outbox.sent in (0, 2)
            return
        with pytest.raises(error, match=said):
            await meitner.outbox(journal=path).__aenter__()
    assert list(sandbox.requests) == []


async def test_a_full_disk_is_told_by_put_and_nothing_is_sent(path, sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line is cut off again, so that what follows can be read."""
    offline = _offline(sandbox)
    async with offline.outbox(journal=path) as outbox:
        write = journals.RawFile.write

        def full(file: Any, data: bytes) -> int:
            write(file, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(journals.RawFile, "write", full)
            with pytest.raises(OSError, match="No space left"):
                outbox.put(offline.students.create(**BO))
        outbox.put(offline.students.create(**{**BO, "identity_number": "20150102-9876"}))
    async with Meitner.sandbox(sandbox) as meitner, meitner.outbox(journal=path) as outbox:
        pass
    assert (outbox.sent, outbox.failures) == (1, [])


async def test_a_sync_that_fails_stops_the_outbox(path, sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may have dropped the data, and would call the next sync a success: nothing is sent any more."""

    def failing(_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async with Meitner.sandbox(sandbox) as meitner:
        outbox = await meitner.outbox(journal=path).__aenter__()
        with monkeypatch.context() as patched:
            patched.setattr(journals.RawFile, "sync", failing)
            outbox.put(meitner.students.delete(sandbox.records("students")[0].id))
            with pytest.raises(OSError, match="Input/output"):
                await outbox.flush()
        for attempt in (lambda: outbox.put(meitner.students.create(**BO)), outbox._journal.sync):
            with pytest.raises(MeitnerError, match="could not be written before"):
                attempt()
        with pytest.raises(MeitnerError, match="could not be written before"):
            await outbox.__aexit__(None, None, None)
        assert list(sandbox.requests) == []
        async with meitner.outbox(journal=path) as outbox:
            pass
        assert outbox.sent == 1


async def test_a_cancelled_outbox_leaves_its_writes_in_the_journal(path, sandbox) -> None:
    """And lets others use it: the next one sends them."""
    async with Meitner.sandbox(sandbox) as meitner:
        outbox = await meitner.outbox(journal=path, concurrency=1).__aenter__()
        for index in range(3):
            outbox.put(meitner.students.create(**{**BO, "identity_number": f"20150101-{index}876"}))
        await outbox.__aexit__(KeyboardInterrupt, None, None)
        assert {type(failure.error) for failure in outbox.failures} == {asyncio.CancelledError}
        async with meitner.outbox(journal=path) as outbox:
            pass
        assert (outbox.sent, outbox.failures) == (3, [])


async def test_the_journal_of_a_long_life_does_not_grow_for_ever(
    path, sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is over is forgotten whenever nothing is left to send."""
    from meitner_aio.outbox import _journal

    monkeypatch.setattr(_journal, "_LARGEST", 2000)
    async with Meitner.sandbox(sandbox) as meitner, meitner.outbox(journal=path) as outbox:
        for index in range(30):
            outbox.put(meitner.students.create(**{**BO, "identity_number": f"20150101-{index:02}76"}))
            await outbox.flush()
        assert path.stat().st_size < 2500
    assert outbox.sent == 30


def test_a_missing_folder_and_a_journal_for_nobody_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything else."""
    for name in ("MEITNER_CLIENT_CREDENTIALS", "MEITNER_CLIENT_ID", "MEITNER_CLIENT_SECRET", "MEITNER_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="a journal is for one directory, and nothing says which"):
        Meitner(offline=True).outbox(journal=tmp_path / "a")
    with pytest.raises(TypeError, match="expected str, bytes"):
        Meitner.sandbox().outbox(journal=7)  # type: ignore[call-overload]

    async def main() -> None:
        async with Meitner.sandbox() as meitner:
            with pytest.raises(ConfigurationError, match="make the folder of the journal"):
                await meitner.outbox(journal=tmp_path / "none" / "a").__aenter__()

    asyncio.run(main())


def test_nothing_personal_is_shown(path, sandbox) -> None:
    """By what an outbox, a line of its journal or a deferred write says of itself."""
    from meitner_aio._operations.deferred import deferred
    from meitner_aio.outbox._journal import Entry

    async def main() -> None:
        async with Meitner.sandbox(sandbox) as meitner, meitner.outbox(journal=path) as outbox:
            write = meitner.students.create(**BO)
            known = deferred(write)
            outbox.put(write)
            assert outbox._journal is not None
            shown = f"{outbox!r}{known!r}{outbox._journal.left!r}{Entry('a', 'students', 'create')!r}"
            assert BO["identity_number"] not in shown
            assert "Deferred(Students.create)" in shown

    asyncio.run(main())


def test_a_portal_has_journals_too(path) -> None:
    """What one process put offline, the portal of the next sends; a busy journal is told when the block is entered."""
    sandbox = Sandbox(students=3, schools=1, seed=4)
    with Portal(_offline(sandbox)) as offline:
        with offline.outbox(journal=path) as outbox:
            outbox.put(offline.meitner.students.create(**BO))
        assert (outbox.sent, outbox.failures) == (0, [])
    with Portal(Meitner.sandbox(sandbox)) as portal:
        with portal.outbox(journal=path) as outbox:
            with pytest.raises(MeitnerError, match="another outbox uses"):
                portal.outbox(journal=path).__enter__()
            outbox.put(portal.meitner.students.delete(sandbox.records("students")[0].id))
        assert (outbox.sent, outbox.failures, path.exists()) == (2, [], False)
