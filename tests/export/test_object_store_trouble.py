"""The worst honest object store: it fails, cuts, stalls, loses answers; and whoever exports there is cancelled or killed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from numbered_directory import NumberedDirectory
from object_stores import BUCKET, KEY, SECRET
from store_proxy import StoreProxy, Trouble

import meitner_aio
from meitner_aio import DestinationError, DestinationReason
from meitner_aio.export import export, local_folder
from meitner_aio.export.destinations import _object_store

TO = f"s3://{BUCKET}/kommun"
Request = Callable[[web.Request], bool]


def _is_part(request: web.Request) -> bool:
    return request.method == "PUT" and "partNumber" in request.query


def _is_start(request: web.Request) -> bool:
    return request.method == "POST" and "uploads" in request.query


def _is_complete(request: web.Request) -> bool:
    return request.method == "POST" and "uploadId" in request.query


def _is_manifest(request: web.Request) -> bool:
    return request.method == "PUT" and request.path == f"/{BUCKET}/kommun/manifest.json"


def _is_runs_own(request: web.Request) -> bool:
    return request.method == "PUT" and request.path.endswith("/manifest.json") and not _is_manifest(request)


def _is_first_read(request: web.Request) -> bool:
    return request.method == "GET" and request.path.endswith("/manifest.json")


def _once(chosen: Request, trouble: Trouble) -> Callable[[web.Request], Trouble | None]:
    left: Iterator[Trouble] = iter([trouble])
    return lambda request: next(left, None) if chosen(request) else None


def _always(chosen: Request, trouble: Trouble) -> Callable[[web.Request], Trouble | None]:
    return lambda request: trouble if chosen(request) else None


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_object_store, "PART", 1000)  # students.ndjson then has five


async def _exported(**how: Any) -> Any:
    return await export(NumberedDirectory(), ["students"], to=TO, **how)  # type: ignore[arg-type]


def _check_published(s3: Any, rows: int = 25) -> None:
    known = json.loads(s3.get("kommun/manifest.json"))["resources"]["students"]
    data = s3.get(f"kommun/{known['file']}")
    assert (len(data.splitlines()), hashlib.sha256(data).hexdigest()) == (rows, known["sha256"])


@pytest.mark.parametrize(
    "trouble", [Trouble(500), Trouble(503, code="SlowDown"), Trouble(cut=True), Trouble(lose=True)]
)
@pytest.mark.parametrize("chosen", [_is_first_read, _is_start, _is_part, _is_complete, _is_runs_own, _is_manifest])
async def test_trouble_that_passes_is_nobodys_business(
    s3: Any, proxy: StoreProxy, chosen: Request, trouble: Trouble
) -> None:
    """At every step, whether the store heard of it or not: the run is published, whole."""
    proxy.judge = _once(chosen, trouble)
    assert (await _exported()).complete
    _check_published(s3)


@pytest.mark.parametrize(
    "chosen", [_is_start, _is_part, _is_complete, _is_runs_own, _is_manifest], ids=lambda one: one.__name__
)
async def test_trouble_that_stays_is_worth_another_try(s3: Any, proxy: StoreProxy, chosen: Request) -> None:
    """The run before stays, nothing is left open, the error says so; resuming asks the directory for nothing."""
    await _exported()
    before = s3.get("kommun/manifest.json")
    proxy.judge = _always(chosen, Trouble(503))
    with pytest.raises(DestinationError, match=f"S3 could not be reached for {TO}, or failed there") as failed:
        await _exported()
    assert failed.value.reason is DestinationReason.UNAVAILABLE
    assert (s3.get("kommun/manifest.json"), s3.uploads()) == (before, [])
    proxy.judge = lambda _: None
    directory = NumberedDirectory()
    assert (await export(directory, ["students"], to=TO, resume=True)).complete  # type: ignore[arg-type]
    assert directory.requests == []
    assert s3.get("kommun/manifest.json") != before
    _check_published(s3)


async def test_what_is_there_is_not_uploaded_again(s3: Any, proxy: StoreProxy) -> None:
    """An upload that failed at its second file goes on with that one."""
    proxy.judge = _always(lambda request: _is_part(request) and "schools" in request.path, Trouble(503))
    directory = NumberedDirectory({"students": 25, "schools": 20})
    with pytest.raises(DestinationError):
        await export(directory, ["students", "schools"], to=TO)  # type: ignore[arg-type]
    proxy.judge = lambda _: None
    proxy.seen.clear()
    await export(directory, ["students", "schools"], to=TO, resume=True)  # type: ignore[arg-type]
    assert [one for one in proxy.seen if "students.ndjson" in one and not one.startswith("HEAD")] == []
    assert any("schools.ndjson" in one and one.startswith("PUT") for one in proxy.seen)
    _check_published(s3)


async def test_a_manifest_that_was_put_and_whose_answer_was_lost_for_good_is_found(s3: Any, proxy: StoreProxy) -> None:
    """No answer ever arrives: the manifest itself says that it is ours."""
    proxy.judge = _always(_is_manifest, Trouble(lose=True))
    assert (await _exported()).complete
    _check_published(s3)


async def test_a_store_that_keeps_less_than_was_sent_is_noticed(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest names no file whose size in the store is another."""
    writes = _object_store.ObjectStore._upload

    async def told_more(*given: Any) -> int:
        return await writes(*given) + 1

    monkeypatch.setattr(_object_store.ObjectStore, "_upload", told_more)
    with pytest.raises(DestinationError, match="with another size"):
        await _exported()
    assert "kommun/manifest.json" not in s3.objects()


# Cancelled, killed.


async def test_a_cancellation_leaves_no_upload_open(s3: Any, proxy: StoreProxy) -> None:
    """Cancelled while a part travels, and again and again while it is aborted: it ends, and nothing is left of it."""
    on, travelling = asyncio.Event(), asyncio.Event()

    def judge(request: web.Request) -> Trouble | None:
        if not _is_part(request):
            return None
        travelling.set()
        return Trouble(hold=on)

    proxy.judge = judge
    task = asyncio.create_task(_exported())
    await travelling.wait()
    assert s3.uploads() != []
    for turn in range(200):
        task.cancel()
        if turn == 100:
            on.set()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (s3.uploads(), s3.objects()) == ([], [])
    proxy.judge = lambda _: None
    directory = NumberedDirectory()
    await export(directory, ["students"], to=TO, resume=True)  # type: ignore[arg-type]
    assert directory.requests == []
    _check_published(s3)


@pytest.mark.parametrize("step", range(0, 40, 3))
async def test_cancelled_at_any_step_it_is_all_or_nothing(s3: Any, proxy: StoreProxy, step: int) -> None:
    """No upload stays open, no manifest names what is not there, and resuming publishes without a request."""
    task: asyncio.Task[Any] | None = None
    count = 0

    def judge(_: web.Request) -> None:
        nonlocal count
        count += 1
        if count == step + 2 and task is not None:
            task.cancel()

    proxy.judge = judge
    task = asyncio.create_task(_exported())
    await asyncio.wait([task])
    proxy.judge = lambda _: None
    assert s3.uploads() == []
    published = "kommun/manifest.json" in s3.objects()
    if published:
        _check_published(s3)
    elif task.cancelled():
        await _exported(resume=True)
        _check_published(s3)
    assert published or task.cancelled()


async def test_killed_in_the_middle_of_an_upload_it_is_resumed(s3: Any, proxy: StoreProxy, tmp_path: Path) -> None:
    """SIGKILL while a part travels: the run before stays; resumed, the same run is published without a request."""
    await _exported()
    before = s3.get("kommun/manifest.json")
    on, travelling = asyncio.Event(), asyncio.Event()

    def judge(request: web.Request) -> Trouble | None:
        if _is_part(request) and request.query["partNumber"] == "3":
            travelling.set()
            return Trouble(hold=on)
        return None

    proxy.judge = judge
    place = {
        "PYTHONPATH": os.pathsep.join(
            [str(Path(meitner_aio.__file__).parents[1]), str(Path(__file__).parents[1] / "support")]
        )
    }
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, env={**os.environ, **place})
    await asyncio.wait_for(travelling.wait(), 60)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    on.set()
    proxy.judge = lambda _: None
    begun = local_folder(TO).name
    assert s3.get("kommun/manifest.json") == before
    directory = NumberedDirectory()
    await export(directory, ["students"], to=TO, resume=True)  # type: ignore[arg-type]
    assert directory.requests == []
    assert f"run={json.loads(s3.get('kommun/manifest.json'))['run']}" == begun
    _check_published(s3)


# What a person is told.


@pytest.mark.parametrize(
    ("trouble", "reason", "words"),
    [
        (Trouble(403, code="AccessDenied"), DestinationReason.FORBIDDEN, "does not let these credentials"),
        (Trouble(403, code="InvalidAccessKeyId"), DestinationReason.CREDENTIALS, "AWS_ACCESS_KEY_ID"),
        (Trouble(403, code="SignatureDoesNotMatch"), DestinationReason.CREDENTIALS, "AWS_ACCESS_KEY_ID"),
        (Trouble(400, code="ExpiredToken"), DestinationReason.CREDENTIALS, "ExpiredToken"),
        (Trouble(404, code="NoSuchBucket"), DestinationReason.NO_BUCKET, "make it, or correct"),
        (Trouble(301, code="PermanentRedirect"), DestinationReason.REFUSED, "AWS_REGION"),
        (Trouble(400, code="AuthorizationHeaderMalformed"), DestinationReason.REFUSED, "AWS_REGION"),
        (Trouble(429, code="SlowDown"), DestinationReason.UNAVAILABLE, "try again later"),
        (Trouble(400, code="KMS_DisabledException"), DestinationReason.REFUSED, "KMS_DisabledException"),
        (Trouble(cut=True), DestinationReason.UNAVAILABLE, "try again later"),
    ],
)
@pytest.mark.parametrize("chosen", [_is_first_read, _is_part, _is_manifest])
async def test_an_error_says_where_and_what_to_do_and_no_secret(
    *, proxy: StoreProxy, chosen: Request, trouble: Trouble, reason: DestinationReason, words: str
) -> None:
    """Store, bucket and prefix are in it; the key, its secret and the store's own words nowhere, causes included."""
    proxy.judge = _always(chosen, trouble)
    with pytest.raises(DestinationError) as failed:
        await _exported()
    error = failed.value
    assert (error.reason, words in str(error), "S3" in str(error), TO in str(error)) == (reason, True, True, True)
    assert (error.__cause__, error.__context__) == (None, None)
    told = "".join(traceback.format_exception(error)) + repr(error)
    assert not [one for one in (KEY, SECRET, "<Message>", "Signature=") if one in told]


async def test_a_store_that_is_away(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there: worth another try, and nothing was read from the directory."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    directory = NumberedDirectory()
    with pytest.raises(DestinationError, match="could not be reached") as failed:
        await export(directory, ["students"], to=TO)  # type: ignore[arg-type]
    assert (failed.value.reason, directory.requests) == (DestinationReason.UNAVAILABLE, [])


@pytest.mark.parametrize(
    ("to", "names"), [("gs://bucket/x", "GOOGLE_APPLICATION_CREDENTIALS"), ("az://box/x", "AZURE_")]
)
async def test_other_stores_without_credentials(
    s3: Any, monkeypatch: pytest.MonkeyPatch, to: str, names: str, tmp_path: Path
) -> None:
    """Each names its own variables."""
    if to.startswith("gs"):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(DestinationError, match=names) as failed:
        await export(NumberedDirectory(), ["students"], to=to)  # type: ignore[arg-type]
    assert failed.value.reason is DestinationReason.CREDENTIALS


async def test_no_credentials_at_all(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable, no profile, no role of the machine: said at once."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(DestinationError, match="AWS_PROFILE") as failed:
        await _exported()
    assert failed.value.reason is DestinationReason.CREDENTIALS


async def test_without_tls_nothing_leaves_this_machine(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows travel in the clear to no store elsewhere, whatever its own variable allows."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example.com:9000")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    with pytest.raises(DestinationError, match="AWS_ENDPOINT_URL must be https"):
        await _exported()


if __name__ == "__main__":
    _object_store.PART = 1000
    asyncio.run(_exported())
