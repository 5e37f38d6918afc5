"""Exports into an object store: runs that are whole, a manifest that names one of them, readers who see no mixture."""

from __future__ import annotations

import asyncio
import hashlib
import json
import stat
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from numbered_directory import NumberedDirectory, refusing
from object_stores import BUCKET, KEY, SECRET, azurite, store_environment

from meitner_aio import DestinationError, DestinationReason, Meitner, MeitnerError, NotFoundError
from meitner_aio.export import export, is_kept, local_folder, purge
from meitner_aio.export.destinations import _object_store, _spooled
from meitner_aio.export.destinations._address import Address

TO = f"s3://{BUCKET}/kommun/directory"
BELOW = "kommun/directory/"
NAMES = ["students", "schools"]


def _manifest(s3: Any) -> dict[str, Any]:
    return json.loads(s3.get(f"{BELOW}manifest.json"))


def _runs(s3: Any) -> set[str]:
    return {key.removeprefix(BELOW).split("/")[0] for key in s3.objects() if "/run=" in key}


async def _exported(directory: Any, **how: Any) -> Any:
    return await export(directory, how.pop("resources", NAMES), to=TO, **how)


async def test_a_run_is_whole_and_named_by_the_manifest(s3: Any) -> None:
    """Files below `run=<id>/`, their digests in the manifest, another copy of it in the run; nothing else."""
    report = await _exported(NumberedDirectory())
    known = _manifest(s3)
    folder = f"run={known['run']}"
    assert [one.file for one in report.resources] == [f"{folder}/students.ndjson", f"{folder}/schools.ndjson"]
    names = ["manifest.json", *(f"{folder}/{name}" for name in ("manifest.json", "schools.ndjson", "students.ndjson"))]
    assert s3.objects() == [BELOW + name for name in names]
    for name in NAMES:
        data = s3.get(BELOW + known["resources"][name]["file"])
        assert hashlib.sha256(data).hexdigest() == known["resources"][name]["sha256"]
        assert len(data.splitlines()) == known["resources"][name]["rows"]
    assert s3.get(f"{BELOW}{folder}/manifest.json") == s3.get(f"{BELOW}manifest.json")


@pytest.mark.parametrize("kind", ["csv", "parquet", "sqlite"])
async def test_every_format_goes_there(s3: Any, kind: Any) -> None:
    """The file that the manifest names has the digest that it says, whichever format it is of."""
    for limit in (None, 3):  # a part is a database of its own, too
        report = await _exported(NumberedDirectory(), format=kind, limit=limit, replace=limit is not None)
        assert report.complete
        assert [one.rows for one in report.resources] == ([25, 7] if limit is None else [3, 3])
        for one in _manifest(s3)["resources"].values():
            assert hashlib.sha256(s3.get(BELOW + one["file"])).hexdigest() == one["sha256"]


@pytest.mark.parametrize(
    "how",
    [{"limit": 3}, {"since": datetime(2026, 1, 1, tzinfo=UTC)}, {"where": {"title": "Ek"}}, {"fields": ["title"]}],
    ids=lambda how: next(iter(how)),
)
async def test_no_part_replaces_a_whole_run(s3: Any, how: dict[str, Any]) -> None:
    """However it is narrowed, it is refused without a request to the directory; `replace` allows it."""
    directory = NumberedDirectory()
    await _exported(directory, resources=["schools"])
    before = _manifest(s3)
    directory.requests.clear()
    with pytest.raises(MeitnerError, match=r"is a part of schools: .*replace=True"):
        await _exported(directory, resources=["schools"], **how)
    assert (_manifest(s3), directory.requests) == (before, [])
    report = await _exported(directory, resources=["schools"], limit=3, replace=True)
    assert (report.rows, report.complete, report.level) == (3, True, "limited")


async def test_resume_lets_no_part_in_that_was_not_part_of_what_began(s3: Any) -> None:
    """What an interrupted whole export was allowed is not what another one, of other resources, is."""
    directory = NumberedDirectory()
    await _exported(directory)
    before = _manifest(s3)
    directory.before = refusing("students", 10)
    with pytest.raises(NotFoundError):
        await _exported(directory, concurrency=1)
    directory.before = lambda *_: None
    directory.requests.clear()
    with pytest.raises(MeitnerError, match="would be replaced by a run that lacks students"):
        await _exported(directory, resources=["schools"], limit=3, resume=True)
    assert (_manifest(s3), directory.requests) == (before, [])
    assert (await _exported(directory, resume=True)).complete


async def test_the_manifest_says_which_dialect_a_csv_has(s3: Any) -> None:
    """Programs that follow it know whether to take apostrophes away."""
    await _exported(NumberedDirectory(), excel=True)
    assert {one["dialect"] for one in _manifest(s3)["resources"].values()} == {"excel"}
    await _exported(NumberedDirectory(), format="csv")
    assert {one["dialect"] for one in _manifest(s3)["resources"].values()} == {"plain"}


async def test_nothing_stays_on_this_machine_but_the_log(s3: Any, tmp_path: Path) -> None:
    """The spool is private and empty afterwards; `exports.log` there says where the rows went."""
    await _exported(NumberedDirectory(), spool=tmp_path / "spool")
    (folder,) = (tmp_path / "spool").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["exports.log"]
    line = json.loads((folder / "exports.log").read_bytes())
    assert (line["to"], line["outcome"]) == (TO, "complete")
    assert {one["file"] for one in line["resources"]} == {one["file"] for one in _manifest(s3)["resources"].values()}


async def test_the_usual_spool_is_where_programs_keep_their_state(s3: Any, tmp_path: Path) -> None:
    """Two addresses have two folders, below the home of whoever exports."""
    await _exported(NumberedDirectory())
    assert local_folder(TO).is_relative_to(tmp_path / ".local" / "state" / "meitner-aio")
    assert local_folder(TO).is_dir()
    assert local_folder(TO) != local_folder(f"{TO}2")


async def test_a_run_that_fails_leaves_the_one_before(s3: Any) -> None:
    """The manifest and all that it names are as they were, and the log says that nothing was published."""
    await _exported(NumberedDirectory())
    before = {key: s3.get(key) for key in s3.objects()}
    directory = NumberedDirectory({"students": 30, "schools": 2})
    directory.before = refusing("students", 20)
    with pytest.raises(MeitnerError, match="gone"):
        await _exported(directory)
    assert {key: s3.get(key) for key in s3.objects()} == before
    lines = (local_folder(TO).parent / "exports.log").read_bytes().splitlines()
    assert [one["file"] for one in json.loads(lines[-1])["resources"]] == [None, None]


async def test_an_interrupted_export_is_resumed(s3: Any) -> None:
    """What was read is not asked for again, and the run that is published then is the one that was begun."""
    directory = NumberedDirectory({"students": 300, "schools": 2}, page_cap=3)
    directory.before = refusing("students", 270)
    with pytest.raises(MeitnerError):
        await _exported(directory)
    begun = local_folder(TO).name
    assert is_kept(local_folder(TO), NAMES)
    directory.requests.clear()
    directory.before = lambda *_: None
    report = await _exported(directory, resume=True)
    assert min(offset for name, _, offset in directory.requests if name == "students") > 150
    assert [name for name, *_ in directory.requests if name == "schools"] == []
    assert (f"run={_manifest(s3)['run']}", report.complete) == (begun, True)


async def test_beginning_afresh_gives_up_what_was_uploaded(s3: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Rows of a run that nobody can publish stay neither here nor in the store."""
    directory = NumberedDirectory()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_object_store.ObjectStore, "swap", _unreachable)
        with pytest.raises(DestinationError):
            await _exported(directory)
    (abandoned,) = _runs(s3)
    assert local_folder(TO).name == abandoned
    await _exported(directory)
    assert _runs(s3) == {f"run={_manifest(s3)['run']}"} != {abandoned}
    assert [path.name for path in local_folder(TO).iterdir()] == ["exports.log"]


async def _unreachable(*_: Any) -> Any:
    raise DestinationError("away", reason=DestinationReason.UNAVAILABLE)


async def test_resuming_what_is_published_reads_and_uploads_nothing(s3: Any) -> None:
    """A process that ends between the manifest and its own clean-up: the next one finds that all is done."""
    directory = NumberedDirectory()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_spooled, "OURS", ())  # killed before it could remove anything
        patch.setattr("meitner_aio.export._folder_run.forget", lambda *_: None)
        await _exported(directory)
    before = s3.get(f"{BELOW}manifest.json")
    directory.requests.clear()
    report = await _exported(directory, resume=True)
    assert (directory.requests, s3.get(f"{BELOW}manifest.json"), report.rows) == ([], before, 32)
    assert [path.name for path in local_folder(TO).iterdir()] == ["exports.log"]


async def test_two_runs_at_once_do_not_mix(s3: Any, tmp_path: Path) -> None:
    """From two machines: the one that ends last is told so, leaves nothing, and another try of it succeeds."""
    slow, fast = NumberedDirectory({"students": 25}), NumberedDirectory({"students": 5})
    both, on = asyncio.Event(), asyncio.Event()

    async def slowly() -> Any:
        publish = _object_store.ObjectStore.upload

        async def held(*given: Any) -> None:
            both.set()
            await on.wait()
            await publish(*given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_object_store.ObjectStore, "upload", held)
            return await _exported(slow, resources=["students"], spool=tmp_path / "other")

    task = asyncio.create_task(slowly())
    await both.wait()
    patched, _object_store.ObjectStore.upload = _object_store.ObjectStore.upload, _UPLOAD
    await _exported(fast, resources=["students"])
    _object_store.ObjectStore.upload = patched
    won = _manifest(s3)
    on.set()
    with pytest.raises(DestinationError, match=r"another run was published") as refused:
        await task
    assert refused.value.reason is DestinationReason.OVERTAKEN
    assert (_manifest(s3), _runs(s3)) == (won, {f"run={won['run']}"})
    assert not list(local_folder(TO, tmp_path / "other").glob("run=*"))
    report = await _exported(slow, resources=["students"], spool=tmp_path / "other", resume=True)
    assert (_manifest(s3)["resources"]["students"]["rows"], report.complete) == (25, True)


_UPLOAD = _object_store.ObjectStore.upload


async def test_what_was_begun_before_another_run_is_not_published_after_it(s3: Any, tmp_path: Path) -> None:
    """Older rows do not take the place of newer ones because somebody resumes; a scheduler's next try begins afresh."""
    directory = NumberedDirectory()
    directory.before = refusing("students", 20)
    with pytest.raises(MeitnerError):
        await _exported(directory)
    await _exported(NumberedDirectory(), spool=tmp_path / "other")
    with pytest.raises(DestinationError, match=r"another run was published.*given up, run it again"):
        await _exported(directory, resume=True)
    directory.before = lambda *_: None
    assert (await _exported(directory, resume=True)).complete


async def test_two_exports_of_this_machine_to_one_address_do_not_run_at_once(s3: Any) -> None:
    """The second is refused before it asks for anything."""
    directory, second = NumberedDirectory(), NumberedDirectory()
    reached, on = asyncio.Event(), asyncio.Event()

    async def held(*_: Any) -> None:
        reached.set()
        await on.wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_object_store.ObjectStore, "upload", held)
        task = asyncio.create_task(_exported(directory))
        await reached.wait()
        with pytest.raises(MeitnerError, match="another export is writing to"):
            await _exported(second)
        patch.undo()
    task.cancel()
    on.set()
    with suppress(asyncio.CancelledError):
        await task
    assert second.requests == []


async def test_two_directories_never_mix(s3: Any, tmp_path: Path) -> None:
    """Another server or other credentials are refused, whichever machine they come from, before any row is asked for."""
    async with Meitner.sandbox(students=5, seed=1) as one, Meitner.sandbox(students=6, seed=2) as other:
        await _exported(one)
        before = s3.objects()
        for replace in (False, True):
            with pytest.raises(MeitnerError, match=r"is of another directory.*export to another prefix"):
                await _exported(other, spool=tmp_path / "elsewhere", replace=replace)
        with pytest.raises(MeitnerError, match="does not say which directory it is of"):
            await _exported(NumberedDirectory())
        assert s3.objects() == before
        await _exported(one)


async def test_pseudonyms_and_names_do_not_mix(s3: Any, tmp_path: Path) -> None:
    """A run under pseudonyms does not follow one with names, nor the other way round."""
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    async with Meitner.sandbox(students=5) as one:
        await _exported(one)
        with pytest.raises(MeitnerError, match=r"do not mix|two directories"):
            await _exported(one, pseudonymise=key)


async def test_less_takes_the_place_of_more_only_when_told_to(s3: Any) -> None:
    """Neither a run without a resource nor a part of one: refused before a request, unless `replace` is true."""
    directory = NumberedDirectory()
    await _exported(directory)
    directory.requests.clear()
    for how, why in (({"resources": ["students"]}, "lacks schools"), ({"limit": 3}, "is a part of schools, students")):
        with pytest.raises(MeitnerError, match=rf"{why}.*replace"):
            await _exported(directory, **how)
        assert directory.requests == []
        await _exported(directory, replace=True, **how)
        await _exported(directory)
        directory.requests.clear()


async def test_a_manifest_of_somebody_else_is_not_replaced(s3: Any) -> None:
    """Nothing is written beside it, and no row asked for."""
    directory = NumberedDirectory()
    for theirs in (
        b"{}",
        b'{"version": 2}',
        b"not json",
        b'{"version":1,"generator":"x","resources":{},"run":"../up"}',
    ):
        s3.client.put_object(Bucket=BUCKET, Key=f"{BELOW}manifest.json", Body=theirs)
        with pytest.raises(MeitnerError, match="is not a manifest of this version"):
            await _exported(directory)
        assert (directory.requests, s3.objects()) == ([], [f"{BELOW}manifest.json"])


async def test_older_runs_go_when_so_many_are_kept(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Afterwards, and only what this package made: a run of others that is on its way stays, and so do their objects."""
    from moto.s3 import models

    for _ in range(3):
        await _exported(NumberedDirectory())
    before = _runs(s3)
    strangers = [f"{BELOW}notes.txt", f"{BELOW}run=mine/x", f"{BELOW}run=20990101T000000Z-00000000/students.ndjson"]
    for key in strangers:
        s3.client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    later = models.utcnow() + models.datetime.timedelta(hours=1)
    monkeypatch.setattr(models, "utcnow", lambda: later)
    await _exported(NumberedDirectory(), keep_runs=2)
    ours = f"run={_manifest(s3)['run']}"
    kept = _runs(s3) - {"run=mine", "run=20990101T000000Z-00000000"}
    assert len(kept) == 2
    assert kept - {ours} < before
    assert set(strangers) < set(s3.objects())


async def test_a_store_that_keeps_old_runs_does_not_fail_the_export(
    s3: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Credentials that may write and not delete: the new run stands, and a warning says what stays."""

    async def forbidden(*_: Any) -> None:
        raise DestinationError("S3 does not let", reason=DestinationReason.FORBIDDEN)

    await _exported(NumberedDirectory())
    monkeypatch.setattr(_object_store.ObjectStore, "folders", forbidden)
    report = await _exported(NumberedDirectory(), keep_runs=1)
    assert report.complete
    assert "stay in s3://" in caplog.text


async def test_readers_never_see_a_mixture(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who follows the manifest, while runs are published, fail and are cancelled: files of one run, and whole."""
    monkeypatch.setattr(_object_store, "PART", 512)
    await _exported(NumberedDirectory({"students": 1, "schools": 1}))
    over, seen = asyncio.Event(), []

    def read() -> tuple[int, ...]:
        known = _manifest(s3)["resources"]
        files = {name: s3.get(BELOW + known[name]["file"]) for name in NAMES}
        assert all(hashlib.sha256(files[name]).hexdigest() == known[name]["sha256"] for name in NAMES)
        return tuple(len(files[name].splitlines()) for name in NAMES)

    async def reading() -> None:
        while not over.is_set():
            seen.append(await asyncio.to_thread(read))

    reader = asyncio.create_task(reading())
    for rows in range(2, 14):
        directory = NumberedDirectory({"students": rows, "schools": rows})
        task = asyncio.create_task(_exported(directory, keep_runs=3))
        if rows % 3 == 0:
            await asyncio.sleep(0)
            while not directory.requests:
                await asyncio.sleep(0)
            task.cancel()
        elif rows % 3 == 1:
            directory.before = refusing("schools", 0)
        with suppress(asyncio.CancelledError, MeitnerError):
            await task
    over.set()
    await reader
    assert len({students for students, _ in seen}) > 2
    assert all(students == schools for students, schools in seen)


# What is refused before anything is done.


@pytest.mark.parametrize(
    "to",
    [
        "s3://",
        "s3://b",
        "s3:/bucket/x",
        "s3://key:secret@bucket/x",
        "s3://bucket/x?versionId=secret",
        "gs://bucket/a//b",
        "az://box/../up",
        "s3://bucket/a b",
        "s3://bucket/a#secret",
    ],
)
async def test_an_address_is_a_bucket_and_a_prefix(to: str) -> None:
    """Anything else is refused, and not repeated: a secret may be in it."""
    with pytest.raises(ValueError, match=r"an address is|the prefix after") as refused:
        await export(NumberedDirectory(), ["students"], to=to)  # type: ignore[arg-type]
    assert "secret" not in str(refused.value)


async def test_options_of_stores_are_of_stores(tmp_path: Path) -> None:
    """A folder has neither runs nor a spool of another place; no run is kept for 0; a Path is no address."""
    for how in ({"keep_runs": 2}, {"spool": tmp_path}):
        with pytest.raises(ValueError, match="leave them out"):
            await export(NumberedDirectory(), ["students"], to=tmp_path / "out", **how)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="keep_runs"):
        await export(NumberedDirectory(), ["students"], to=TO, keep_runs=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="as a str"):
        await export(NumberedDirectory(), ["students"], to=Path(TO))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a purge is of a folder of this machine"):
        purge(TO, timedelta(0))


def test_a_purge_of_the_spool_takes_what_was_left(s3: Any, tmp_path: Path) -> None:
    """An interrupted export to a store is as much in reach of a purge as one to a folder."""
    directory = NumberedDirectory()
    directory.before = refusing("students", 20)
    with pytest.raises(MeitnerError):
        asyncio.run(_exported(directory))
    run, folder = local_folder(TO), local_folder(TO).parent
    assert {"students.journal", "students.part"} < {path.name for path in run.iterdir()}
    removed = purge(folder, timedelta(0)).removed
    assert {f"{run.name}/students.journal", f"{run.name}/students.part"} <= {one.file for one in removed}
    assert [path.name for path in folder.iterdir()] == ["exports.log"]


# Another store.


async def test_azure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same in a container of Azure: publish, replace, refuse what came between, remove what is old."""
    import obstore
    from obstore.store import AzureStore

    with azurite(tmp_path / "azurite") as variables:
        store_environment(monkeypatch, tmp_path)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        address = "az://exports/kommun"
        with pytest.raises(DestinationError) as refused:
            await export(NumberedDirectory(), NAMES, to=address)  # type: ignore[arg-type]
        assert refused.value.reason is DestinationReason.NO_BUCKET
        await _make_container(variables)
        monkeypatch.setattr(_object_store, "PART", 512)
        for rows in (25, 30):
            report = await export(NumberedDirectory({"students": rows}), NAMES, to=address, keep_runs=1)  # type: ignore[arg-type]
            assert (report.rows, report.complete) == (rows, True)
        store = _object_store.ObjectStore(Address.of(address))
        found = await store.read("manifest.json")
        assert found is not None
        (known,) = [one for one in json.loads(found.data)["resources"].values() if one["rows"] == 30]
        raw = AzureStore("exports", prefix="kommun", client_options={"allow_http": True})
        data = bytes(await (await obstore.get_async(raw, known["file"])).bytes_async())
        assert hashlib.sha256(data).hexdigest() == known["sha256"]
        assert not await store.swap("manifest.json", b"{}", None)
        assert not await store.swap("manifest.json", b"{}", {"e_tag": '"0x0"'})
        assert await store.swap("manifest.json", b"{}", found.version)
        for folder in await store.folders():
            paths = [one.path for one in await store.objects(folder)]
            assert len(paths) == 3
            await store.remove([*paths, f"{folder}/gone-already"])
        assert await store.folders() == []


async def _make_container(variables: dict[str, str]) -> None:
    """Make the container `exports`, by a request that is signed for the emulator's account."""
    import base64
    import hmac
    from email.utils import formatdate

    import aiohttp

    account, endpoint = variables["AZURE_STORAGE_ACCOUNT_NAME"], variables["AZURE_STORAGE_ENDPOINT"]
    date = formatdate(usegmt=True)
    heads = f"x-ms-date:{date}\nx-ms-version:2021-08-06\n"
    text = "PUT" + "\n" * 12 + f"{heads}/{account}/{account}/exports\nrestype:container"
    key = base64.b64decode(variables["AZURE_STORAGE_ACCOUNT_KEY"])
    signature = base64.b64encode(hmac.digest(key, text.encode(), "sha256")).decode()
    headers = {"x-ms-date": date, "x-ms-version": "2021-08-06", "Authorization": f"SharedKey {account}:{signature}"}
    url = f"{endpoint}/exports?restype=container"
    async with (
        aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as session,
        session.put(url, headers=headers) as answer,
    ):
        assert answer.status == 201, await answer.text()


def test_no_secret_is_in_the_repr_of_a_store(s3: Any) -> None:
    """Whoever prints one sees where it is."""
    shown = repr(_object_store.ObjectStore(Address.of(TO)))
    assert TO in shown
    assert KEY not in shown
    assert SECRET not in shown
