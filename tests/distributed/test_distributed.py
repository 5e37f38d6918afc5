"""Many directories over a cluster of Dask: a task each, one report, and nothing that stops another."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dask.distributed import Client
from dask_clusters import LOOPBACK, local, towns
from object_stores import BUCKET

from meitner_aio import APIConnectionError, AuthenticationError, ConfigurationError, Meitner, MeitnerError
from meitner_aio.distributed import FromEnvironment, FromProfile, _attempt, _export, export_many
from meitner_aio.distributed._note import Note
from meitner_aio.sandbox import Fault, Sandbox
from meitner_aio.tenants import TenantReport

RESOURCES = ("schools", "students")


def sources(*names: str) -> dict[str, FromEnvironment]:
    """Return where the towns of these names are found."""
    return {name: FromEnvironment(name.upper()) for name in names}


async def test_each_tenant_is_a_task_with_a_folder_of_its_own(tmp_path, monkeypatch):
    """All rows of each, in the order in which they were named; nothing is left in the scheduler."""
    names = ("solna", "lund", "kiruna")
    async with towns(monkeypatch, *names) as directories, local() as (cluster, client):
        report = await export_many(sources(*names), RESOURCES, to=tmp_path, client=client, format="csv")
        ran = {entry[0] for entry in cluster.scheduler.transition_log}
        assert client.futures == {}
    assert report.ok
    assert tuple(report.tenants) == names
    assert {name: one.report.rows for name, one in report.tenants.items()} == dict.fromkeys(names, 14)
    assert all((tmp_path / name / "students.csv").exists() for name in names)
    assert report.requests == sum(len(one.requests) for one in directories.values()) == 6
    assert sorted(key.split("-")[2] for key in ran) == sorted(names)


async def test_names_alone_are_profiles_of_the_workers(tmp_path, monkeypatch):
    """Of the `config.toml` of the user that a worker runs as; one that is not there is this tenant's error."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    async with towns(monkeypatch, "solna") as directories, local(1) as (_, client):
        key, secret = directories["solna"].credentials
        settings = tmp_path / "meitner-aio" / "config.toml"
        settings.parent.mkdir()
        url = directories["solna"].url
        settings.write_text(f'[solna]\nbase_url = "{url}"\nclient_credentials = "{key}"\nclient_secret = "{secret}"\n')
        settings.chmod(0o600)
        report = await export_many(["solna", "lund"], ["schools"], to=tmp_path / "out", client=client)
    assert report["solna"].ok
    assert isinstance(report["lund"].error, ConfigurationError)
    assert "no profile" in report["lund"].why


async def test_a_tenant_that_fails_stops_no_other(tmp_path, monkeypatch):
    """Wrong credentials, or none on the worker: its error is in the report, with its facts and without a body."""
    async with towns(monkeypatch, "solna", "stockholm") as directories, local() as (_, client):
        directories["stockholm"].fail(Fault(401))
        names = ("nowhere", "stockholm", "solna")
        report = await export_many(sources(*names), RESOURCES, to=tmp_path, client=client)
    assert tuple(report.tenants) == names
    assert report.failed == ("nowhere", "stockholm")
    assert report["solna"].ok
    refused = report["stockholm"].error
    assert isinstance(refused, AuthenticationError)
    assert (refused.status_code, refused.body, dict(refused.headers)) == (401, b"", {})
    assert isinstance(report["nowhere"].error, ConfigurationError)
    assert report["nowhere"].error.missing_credentials
    assert not (tmp_path / "stockholm" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("error", "retries", "attempts"),
    [
        (APIConnectionError("down"), 3, 3),
        (OSError(28, "full"), 3, 3),
        (APIConnectionError("down"), 1, 2),
        (APIConnectionError("down"), 0, 1),
        (AuthenticationError("no"), 3, 1),
        (MeitnerError("no"), 3, 1),
    ],
)
async def test_what_may_pass_is_tried_again(error, retries, attempts, tmp_path, monkeypatch):
    """Up to `retries` times; wrong credentials are wrong on every machine. Requests of all attempts are counted."""
    asked: list[str] = []

    async def failing(order: Any) -> TenantReport[Any]:
        asked.append(order.run)
        return TenantReport(order.name, None, error if len(asked) < 3 else None, 5, 0.0)

    monkeypatch.setattr(_attempt, "exported", failing)
    monkeypatch.setattr(_export, "PAUSE", 0.0)
    async with local(1) as (_, client):
        report = await export_many(sources("solna"), to=tmp_path, client=client, retries=retries)
    assert len(asked) == attempts
    assert len(set(asked)) == 1
    assert report["solna"].requests == 5 * attempts
    assert (report["solna"].error is None) == (attempts == 3)


async def test_what_breaks_a_task_is_told_without_its_words(tmp_path, monkeypatch):
    """An error that Dask carries home may quote anything: its kind alone is told."""

    async def broken(order: Any) -> TenantReport[Any]:
        raise LookupError("quoted by a library")

    monkeypatch.setattr(_attempt, "exported", broken)
    async with local(1) as (_, client):
        report = await export_many(sources("solna"), to=tmp_path, client=client)
    assert "LookupError" in report["solna"].why
    assert "quoted" not in repr(report) + str(vars(report["solna"].error))


async def test_a_client_that_is_closed_meanwhile_takes_no_report_along(tmp_path, monkeypatch):
    """What ended before is in the report, and a tenant that did not has an error, as has one sent afterwards."""
    running, never = asyncio.Event(), asyncio.Event()

    async def exported(order: Any) -> TenantReport[Any]:
        if order.name == "lund":
            running.set()
            await never.wait()
        return TenantReport(order.name, None, None, 5, 0.0)

    monkeypatch.setattr(_attempt, "exported", exported)
    async with local() as (_, client):
        exporting = asyncio.create_task(export_many(sources("solna", "lund"), to=tmp_path, client=client))
        await running.wait()
        async with asyncio.timeout(60):
            while len(client.futures) > 1:
                await asyncio.sleep(0)
        await client.close()
        report = await exporting
        order = _attempt.Order("r", "solna", FromEnvironment("SOLNA"), ("schools",), str(tmp_path), {})
        late, _ = await _export._attempted(client, order, "late")
    assert (report["solna"].error, report["solna"].requests) == (None, 5)
    assert isinstance(report["lund"].error, MeitnerError)
    assert isinstance(late.error, MeitnerError)


async def test_another_version_on_a_worker_is_refused(tmp_path, monkeypatch):
    """It may mean something else by the same words."""
    order = _attempt.Order("r", "solna", FromEnvironment("SOLNA"), ("schools",), str(tmp_path), {}, version="0.0.1")
    report = await _attempt.exported(order)
    assert isinstance(report.error, ConfigurationError)
    assert "0.0.1" in report.why


async def _stuck(sandbox: Sandbox) -> None:
    """Let a directory stop answering in the middle of an export."""
    async with asyncio.timeout(60):
        while len(sandbox.requests) < 8:
            await asyncio.sleep(0)
    sandbox.fail("timeout")


async def _idle(cluster: Any) -> None:
    """Wait until no worker has a task."""
    async with asyncio.timeout(60):
        while any(worker.state.tasks for worker in cluster.workers.values()):
            await asyncio.sleep(0.01)


async def test_a_cancellation_ends_the_tasks(tmp_path, monkeypatch):
    """Workers stop waiting for what was under way, and nothing is published; `resume` goes on with it."""
    monkeypatch.setattr(_attempt, "LOOKING", 0.01)
    monkeypatch.setattr("meitner_aio.export._spool.PAGES", 1)
    how: dict[str, Any] = {"to": tmp_path, "page_size": 2}
    async with towns(monkeypatch, "solna", students=60, latency=0.02) as directories, local(1) as (cluster, client):
        task = asyncio.create_task(export_many(sources("solna"), ["students"], client=client, **how))
        await _stuck(directories["solna"])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _idle(cluster)
        assert not (tmp_path / "solna" / "manifest.json").exists()
        directories["solna"].heal()
        report = await export_many(sources("solna"), ["students"], client=client, resume=True, **how)
        assert report.ok
        assert report["solna"].report.rows == 60


async def test_the_end_of_the_caller_ends_the_tasks(tmp_path, monkeypatch):
    """A client that is gone wants nothing any more."""
    monkeypatch.setattr(_attempt, "LOOKING", 0.01)
    async with towns(monkeypatch, "solna", students=60, latency=0.02) as directories, local(1) as (cluster, _):
        async with Client(cluster.scheduler_address, asynchronous=True) as other:
            running = export_many(sources("solna"), ["students"], to=tmp_path, client=other, page_size=2)
            task = asyncio.create_task(running)
            await _stuck(directories["solna"])
        await _idle(cluster)
        report = await task
        assert report.failed == ("solna",)


async def test_a_tenant_goes_to_an_object_store(s3, tmp_path, monkeypatch):
    """A prefix each; what ended before it was published is begun anew where the folder of the first is not seen."""
    to = f"s3://{BUCKET}/all"
    async with towns(monkeypatch, "solna") as directories, local(1) as (_, client):
        order = _attempt.Order("r", "solna", FromEnvironment("SOLNA"), ("students",), f"{to}/solna", {"page_size": 2})
        for number in (1, 2):
            part = {**order.options, "spool": str(tmp_path / f"host-{number}")}
            read = len(directories["solna"].requests)
            again = _attempt.Order("r", "solna", order.source, order.resources, order.to, part)
            await _cut(again, lambda read=read: len(directories["solna"].requests) > read + 1)
            assert not [key for key in s3.objects() if key.endswith("manifest.json")]
        report = await export_many(sources("solna"), ["students"], to=to, client=client, spool=tmp_path / "host-3")
    assert report.ok
    assert report["solna"].requests == 1
    assert json.loads(s3.get("all/solna/manifest.json"))["resources"]["students"]["rows"] == 12


async def _cut(order: _attempt.Order, when: Callable[[], bool]) -> None:
    """End an attempt, as the end of its process would, when something is so."""
    task = asyncio.create_task(_attempt.exported(order))
    async with asyncio.timeout(60):
        while not when():
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_attempt_goes_on_where_one_of_its_call_ended(tmp_path, monkeypatch):
    """Of the same call; what another one left is given up, even if it asked for something else."""
    monkeypatch.setattr("meitner_aio.export._spool.PAGES", 1)

    def order(run: str, **options: Any) -> _attempt.Order:
        place = str(tmp_path / "solna")
        return _attempt.Order(run, "solna", FromEnvironment("SOLNA"), ("students",), place, {"page_size": 2, **options})

    def read(run: str) -> bool:
        place = tmp_path / "solna"
        return Note.of(place, run) is not None and len((place / "students.journal").read_bytes().splitlines()) > 4

    async with towns(monkeypatch, "solna", students=40, latency=0.005):
        await _cut(order("yesterday", format="csv"), lambda: read("yesterday"))
        await _cut(order("today"), lambda: read("today"))
        report = await _attempt.exported(order("today"))
        assert report.ok
        assert report.report.rows == 40
        assert 0 < report.requests < 20
        again = await _attempt.exported(order("today"))  # its worker died before it could tell
        assert again.report == report.report
        assert again.requests == 0
        anew = await _attempt.exported(order("tomorrow"))
        assert anew.requests == 20


async def test_what_cannot_be_meant_is_refused_before_anything_is_sent(tmp_path, monkeypatch):
    """Whatever holds a secret or a client among it, without repeating it."""
    secret = "secret-in-the-wrong-place-canary"

    def made() -> Meitner:
        return Meitner("an-id", secret)

    good = sources("solna")
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        (secret, {}, "names of profiles"),
        ({"solna": secret}, {}, "not str"),
        ({"solna": made}, {}, "not function"),
        ({"solna": made()}, {}, "not Meitner"),
        ({"solna": ("an-id", secret)}, {}, "not tuple"),
        ({"solna": FromEnvironment(secret)}, {}, "names of variables"),
        ({"solna": FromProfile(f"{secret}/")}, {}, "name of a profile"),
        ({"Solna": FromProfile("a"), "solna": FromProfile("b")}, {}, "case"),
        (["solna", "solna"], {}, "twice"),
        ([], {}, "no tenant"),
        ([made()], {}, "not Meitner"),
        (good, {"where": {"identity_number": "20150101-4242"}}, "where is not sent"),
        (good, {"progress": print}, "no option progress"),
        (good, {"fields": made}, "fields cannot be a function"),
        (good, {"format": "xml"}, "no format"),
        (good, {"page_size": 0}, "page_size"),
        (good, {"to": f"postgres://{secret}"}, "not supported"),
        (good, {"to": sys.stdout.buffer}, "to must be"),
        (good, {"resources": ["pupils"]}, "pupils"),
        (good, {"retries": -1}, "retries"),
        (good, {"retries": True}, "retries"),
        (good, {"client": None}, "client must be"),
    ]
    async with local(1) as (cluster, client):
        for tenants, options, reason in wrong:
            with pytest.raises((TypeError, ValueError), match=reason) as refused:
                await export_many(tenants, **{"to": tmp_path / "out", "client": client, **options})
            assert "canary" not in str(refused.value)
            assert "4242" not in str(refused.value)
        assert not cluster.scheduler.transition_log
    with pytest.raises(ValueError, match="closed"):
        await export_many(good, to=tmp_path / "out", client=client)
    assert not (tmp_path / "out").exists()


def test_a_synchronous_client_runs_it_on_its_own_loop(tmp_path):
    """`client.sync(export_many, ...)`; awaited elsewhere it is refused, with what to type."""
    with Client(processes=False, n_workers=1, dashboard_address=LOOPBACK, worker_dashboard_address=LOOPBACK) as client:
        report = client.sync(export_many, sources("nowhere"), to=tmp_path, client=client)
        assert report.failed == ("nowhere",)
        with pytest.raises(TypeError, match=r"client\.sync\(export_many"):
            asyncio.run(export_many(sources("nowhere"), to=tmp_path, client=client))


async def test_a_relative_folder_is_one_of_the_caller(tmp_path, monkeypatch):
    """That of a worker is anywhere."""
    heard: list[Any] = []

    async def noted(order: Any) -> TenantReport[Any]:
        heard.append(order)
        return TenantReport(order.name, None, None, 0, 0.0)

    monkeypatch.setattr(_attempt, "exported", noted)
    monkeypatch.chdir(tmp_path)
    async with local(1) as (_, client):
        await export_many(sources("solna"), to="out", client=client, pseudonymise=Path("key"))
    assert heard[0].to == str(tmp_path / "out" / "solna")
    assert heard[0].options == {"pseudonymise": str(tmp_path / "key")}


async def test_without_dask_it_is_said_what_to_install(tmp_path, monkeypatch):
    """With the command."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigurationError, match=r'pip install "meitner-aio\[dask\]"'):
        await export_many(["solna"], to=tmp_path, client=None)  # type: ignore[arg-type]
