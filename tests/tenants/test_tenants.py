"""Many directories at once: a folder each, in turn, within bounds, and none in the way of another."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fault_server import run
from many_tenants import RESOURCES, Towns

from meitner_aio import AuthenticationError, InternalServerError, Meitner, MeitnerError, RetryPolicy
from meitner_aio.events import QuotaWait, RequestSent, ResponseReceived
from meitner_aio.export import Progress, _spool, export
from meitner_aio.mirror import Mirror
from meitner_aio.sandbox import Fault, Sandbox
from meitner_aio.tenants import (
    ExportOptions,
    SyncOptions,
    TenantsReport,
    export_many,
    sync_many,
)
from meitner_aio.tenants._names import check_name, place_of
from meitner_aio.tenants._turns import Turns

SECRET = "canary-of-a-factory"


def rows(folder: Path) -> dict[str, int]:
    """Return how many rows the manifest in a folder speaks of, by resource."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return {name: one["rows"] for name, one in manifest["resources"].items()}


def whole(towns: Towns, name: str) -> dict[str, int]:
    """Return how many rows the directory of a town has."""
    return {resource: len(towns.all[name].sandbox.records(resource)) for resource in RESOURCES}


def exported(towns: Towns, to: Path, **options: Any) -> TenantsReport[Any]:
    """Export all towns, on virtual time."""

    async def main() -> TenantsReport[Any]:
        return await export_many(towns.all, RESOURCES, to=to, **options)

    return run(main())


def test_each_tenant_has_a_folder_of_its_own(tmp_path):
    """Named as the tenant, with all of its rows and no other; the clients that were made are closed."""
    towns = Towns()
    towns.add("solna", "åre", "Upplands Väsby")
    report = exported(towns, tmp_path)
    assert report.ok
    assert {path.name: rows(path) for path in tmp_path.iterdir()} == {name: whole(towns, name) for name in towns.all}
    assert list(report.tenants) == list(towns.all)
    assert report.requests == sum(town.requests for town in towns.all.values())
    assert towns.open == 0


def test_csv_for_excel_is_an_option_of_all(tmp_path):
    """Each folder has files in that dialect, and a manifest that says so."""
    towns = Towns()
    towns.add("solna", "åre", students=3)
    assert exported(towns, tmp_path, excel=True).ok
    for name in towns.all:
        assert (tmp_path / name / "students.csv").read_bytes().startswith(b'\xef\xbb\xbf"id";')
        known = json.loads((tmp_path / name / "manifest.json").read_bytes())["resources"]
        assert {one["dialect"] for one in known.values()} == {"excel"}


def test_since_of_all_resources_reads_grades_in_full(tmp_path):
    """As an export of one tenant: none is named, whatever the call makes of that."""
    towns = Towns()
    towns.add("solna", students=30)
    later = datetime.now(UTC) + timedelta(days=400)

    async def main():
        return await export_many(towns.all, to=tmp_path, since=later)

    report = run(main())
    found = {one.resource: (one.since, one.rows > 0) for one in report["solna"].report.resources}
    assert found["grade_elementaries"] == (None, True)
    assert found["students"] == (later, False)


def test_a_client_that_was_passed_in_stays_open(tmp_path):
    """It belongs to the caller; what a factory made, awaited or not, is closed."""
    towns = Towns()
    town = towns.add("solna")

    async def main() -> None:
        mine = town()
        heard = []
        watched = mine.with_options(on_event=heard.append)

        async def made() -> Meitner:
            return town()

        report = await export_many({"mine": watched, "made": made}, RESOURCES, to=tmp_path)
        assert report.ok
        assert [client._core.closed for client in town.clients] == [False, True]
        assert sum(isinstance(event, RequestSent) for event in heard) == report["mine"].requests > 0
        assert await mine.schools.list()
        await mine.close()

    run(main())


def test_clients_are_made_when_their_turn_comes(tmp_path):
    """No more are open than tenants work: 12 towns do not need 12 clients."""
    towns = Towns()
    towns.add(*(f"town {number}" for number in range(12)), latency=0.1)
    assert exported(towns, tmp_path, concurrency=3).ok
    assert towns.most_open == 3


@pytest.mark.parametrize(("concurrency", "connections"), [(4, 5), (8, 3)])
def test_requests_in_flight_are_bounded(tmp_path, concurrency, connections):
    """Over all tenants, whatever each client allows itself."""
    towns = Towns()
    towns.add(*(f"town-{number}" for number in range(9)), students=30, latency=0.1)
    assert exported(towns, tmp_path, concurrency=concurrency, connections=connections, page_size=7).ok
    assert towns.most_sending == connections


def test_a_tenant_that_fails_stops_no_other(tmp_path):
    """Wrong credentials, a server that never recovers, a factory that breaks: the others are whole."""
    towns = Towns()
    towns.add("solna", "lund")
    towns.add("stockholm").sandbox.fail(Fault(401))
    towns.add("malmö").sandbox.fail("503")

    def broken() -> Meitner:
        raise KeyError(SECRET)

    async def main() -> TenantsReport[Any]:
        everybody = {**towns.all, "broken": broken, "odd": lambda: SECRET}
        return await export_many(everybody, RESOURCES, to=tmp_path, concurrency=2)

    report = run(main())
    assert {name: type(one.error) for name, one in report.tenants.items() if one.error} == {
        "stockholm": AuthenticationError,
        "malmö": InternalServerError,
        "broken": KeyError,
        "odd": TypeError,
    }
    assert not report.ok
    assert report.failed == ("stockholm", "malmö", "broken", "odd")
    assert [name for name, one in report.tenants.items() if one.ok] == ["solna", "lund"]
    assert rows(tmp_path / "lund") == whole(towns, "lund")
    assert report["malmö"].requests > 1
    assert towns.open == 0
    assert report["stockholm"].error.__traceback__ is None
    assert "test_tenants.py" in report["broken"].error.__notes__[0]


def test_reports_hold_no_secret_and_no_other_tenant(tmp_path):
    """What a factory of somebody's raises may quote anything; a tenant's message names itself alone."""
    towns = Towns()
    towns.add("stockholm").sandbox.fail(Fault(403))
    towns.add("solna")

    def broken() -> Meitner:
        raise KeyError(SECRET)

    async def main() -> TenantsReport[Any]:
        return await export_many({**towns.all, "broken": broken}, RESOURCES, to=tmp_path)

    report = run(main())
    assert SECRET not in repr(report) + str(report) + "".join(one.why for one in report.tenants.values())
    assert report["broken"].why == "KeyError"
    for name, one in report.tenants.items():
        assert not [other for other in report.tenants if other != name and other in repr(one)]


def test_an_address_has_a_prefix_for_each():
    """Below the prefix that is given, with one slash."""
    assert place_of("s3://bucket/a/", "solna") == "s3://bucket/a/solna"
    assert place_of("out", "solna") == Path("out", "solna")


class Cancelling:
    """Cancels what reads a town at its first news."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, name: str, news: Progress) -> None:
        del news
        if name == self._name:
            asyncio.current_task().cancel()


def test_one_that_is_cancelled_is_one_that_failed(tmp_path):
    """The task of one tenant may be cancelled from within: the others go on, and so does the caller."""
    towns = Towns()
    towns.add("solna", "lund", "malmö")
    report = exported(towns, tmp_path, progress=Cancelling("lund"))
    assert report.failed == ("lund",)
    assert isinstance(report["lund"].error, MeitnerError)
    assert exported(towns, tmp_path, resume=True).ok
    assert rows(tmp_path / "lund") == whole(towns, "lund")


@pytest.mark.parametrize("times", [1, 4])
def test_cancelled_all_are_resumable(tmp_path, times, monkeypatch):
    """However often it is cancelled: clients closed, no task left, and what was read is not asked for again."""
    monkeypatch.setattr(_spool, "PAGES", 2)  # a checkpoint every second page
    towns = Towns()
    towns.add(*(f"town-{number}" for number in range(6)), students=80, latency=0.1)

    async def interrupted() -> None:
        task = asyncio.create_task(export_many(towns.all, ["students"], to=tmp_path, concurrency=4, page_size=5))
        await asyncio.sleep(0.25)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(interrupted())
    assert towns.open == 0
    read = {name: town.requests for name, town in towns.all.items()}
    assert [name for name, requests in read.items() if requests] == ["town-0", "town-1", "town-2", "town-3"]
    before = [(tmp_path / name / "students.journal").exists() for name in towns.all]
    assert before == [True] * 4 + [False] * 2

    async def again() -> None:
        report = await export_many(towns.all, ["students"], to=tmp_path, page_size=5, resume=True)
        assert report.ok
        anew = report["town-5"].requests
        assert max(report[name].requests for name in list(towns.all)[:4]) < anew

    run(again())
    assert {name: rows(tmp_path / name)["students"] for name in towns.all} == dict.fromkeys(towns.all, 80)


def test_who_waits_for_a_quota_holds_nobody(tmp_path):
    """Two that wait an hour leave their places: those behind them are done in seconds, not hours."""
    towns = Towns()
    towns.add("first", "second", students=40, limiter="window", quota=6)
    towns.add(*(f"town-{number}" for number in range(5)), latency=0.1)
    report = exported(towns, tmp_path, concurrency=2, page_size=10)
    assert report.ok
    assert min(report["first"].seconds, report["second"].seconds) > 600
    ended = {name: (tmp_path / name / "manifest.json").stat().st_mtime for name in towns.all}
    assert max(ended[name] for name in ended if "-" in name) <= min(ended["first"], ended["second"])


def test_who_waits_before_a_retry_holds_nobody(tmp_path):
    """So does one whose server asks to come back later."""
    towns = Towns()
    towns.add("slow").sandbox.fail(Fault(503, headers={"Retry-After": "50"}, times=1))
    towns.add(*(f"town-{number}" for number in range(5)), latency=0.1)
    order: list[str] = []

    def told(name: str, news: Progress) -> None:
        if news.finished and news.resource == RESOURCES[-1]:
            order.append(name)

    report = exported(towns, tmp_path, concurrency=1, progress=told)
    assert report.ok
    assert order[-1] == "slow"
    assert report["slow"].seconds > 40


def test_a_slow_tenant_holds_one_place(tmp_path):
    """The others go by: all of them are done before it."""
    towns = Towns()
    towns.add("slow", latency=20.0)
    towns.add(*(f"town-{number}" for number in range(9)), latency=0.1)
    report = exported(towns, tmp_path, concurrency=2)
    assert report.ok
    assert sum(one.seconds for name, one in report.tenants.items() if name != "slow") < report["slow"].seconds


def test_those_that_wait_are_bounded_too(tmp_path):
    """Four times as many as may work: each holds memory and a folder."""
    towns = Towns()
    towns.add(*(f"town-{number}" for number in range(12)), students=40, limiter="window", quota=6)
    report = exported(towns, tmp_path, concurrency=2, page_size=10)
    assert report.ok
    assert towns.most_open == 2 * 5


async def test_a_place_that_is_not_taken_is_free_again():
    """Whoever is cancelled in the queue, or just as the turn comes, leaves it to the next."""
    turns = Turns(1, 1)

    async def takes() -> None:
        async with turns.turn():
            pass

    async with turns.turn():
        queued, next_one, last = (asyncio.create_task(takes()) for _ in range(3))
        await asyncio.sleep(0)
        queued.cancel()
        await asyncio.sleep(0)
    next_one.cancel()  # the place is its own by now, and it does not know yet
    await asyncio.wait_for(last, 5)
    assert next_one.cancelled()
    assert not turns._begun


async def test_a_tenant_waits_while_nothing_of_it_is_under_way():
    """Not while another of its requests is, nor once one leaves again; a moment is no wait."""
    async with Turns(1, 2).turn() as turn:
        async with turn.gate():
            turn.hear(QuotaWait("closed", 60.0, 0, None))
            assert not turn.waiting
        assert turn.waiting
        async with turn.gate():
            assert not turn.waiting
    async with Turns(1, 2).turn() as turn:
        turn.hear(QuotaWait("paced", 0.9, 0, None))
        assert not turn.waiting


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        "../x",
        "a..b",
        ".hidden",
        "end.",
        " a",
        "a ",
        "CON",
        "nul.x",
        "a\0b",
        "a\nb",
        "%s",
        "å" * 101,
        "*",
    ],
)
def test_names_that_are_no_folders_are_refused(name, tmp_path):
    """Whatever might lead out of the folder, or not exist on some system."""
    with pytest.raises(ValueError, match="name of a tenant"):
        check_name(name)


@pytest.mark.parametrize(
    ("names", "options", "reason"),
    [
        (["Solna", "solna"], {}, "share a folder"),
        (["Åre", "A\u030are"], {}, "cannot be|share a folder"),
        ([], {}, "no tenant"),
        (["solna"], {"format": "xml"}, "no format"),
        (["solna"], {"resources": ["pupils"]}, "pupils"),
        (["solna"], {"where": {"pupil": 1}}, "pupil"),
        (["solna"], {"concurrency": 0}, "concurrency"),
        (["solna"], {"connections": 0}, "connections"),
    ],
)
async def test_what_cannot_be_meant_is_refused_at_once(names, options, reason, tmp_path):
    """Before any client is made."""
    towns = Towns()
    if names:
        towns.add(*names, clock=lambda: 0.0)
    with pytest.raises(ValueError, match=reason):
        await export_many(towns.all, **{"resources": ["students"], "to": tmp_path / "out", **options})
    assert not any(town.clients for town in towns.all.values())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max_deletions": 2}, "share"),
        ({"resources": ["audit_events"]}, "audit"),
        ({"lookback": -1}, "lookback"),
        ({"to": "s3://bucket/a"}, "a file of SQLite"),
    ],
)
async def test_so_are_options_of_mirrors(options, reason, tmp_path):
    """The same of `sync_many`."""
    with pytest.raises(ValueError, match=reason):
        await sync_many({"solna": Towns().add("solna", clock=lambda: 0.0)}, **{"to": tmp_path / "out", **options})
    assert not (tmp_path / "out").exists()


async def test_what_makes_no_client_is_refused(tmp_path):
    """What makes no client is no tenant, a number no name; one client is not two tenants."""
    with pytest.raises(TypeError, match="callable"):
        await export_many({"solna": 5}, to=tmp_path)  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="text"):
        await export_many({1: Meitner.sandbox}, to=tmp_path)  # type: ignore[dict-item]
    async with Meitner.sandbox(students=1, schools=1) as one:
        with pytest.raises(ValueError, match="same client"):
            await export_many({"solna": one, "lund": one}, to=tmp_path)


def test_two_runs_do_not_share_a_folder(tmp_path):
    """The second finds each folder taken, and says so tenant by tenant; the first is whole."""
    towns = Towns()
    towns.add("solna", "lund", students=60, latency=0.1)

    async def main() -> list[TenantsReport[Any]]:
        runs = (export_many(towns.all, RESOURCES, to=tmp_path, page_size=10) for _ in range(2))
        return list(await asyncio.gather(*runs))

    first, second = run(main())
    assert first.ok
    assert second.failed == ("solna", "lund")
    assert all(isinstance(one.error, MeitnerError) for one in second.tenants.values())


def test_logs_and_events_say_which_tenant(tmp_path, caplog):
    """Each line of a client begins with its tenant, which is an attribute of the record, too."""
    towns = Towns()
    towns.add("solna", "lund")
    heard: list[tuple[str, Any]] = []
    with caplog.at_level(logging.INFO, "meitner_aio"):
        report = exported(towns, tmp_path, on_event=lambda name, event: heard.append((name, event)))
    sent = [name for name, event in heard if isinstance(event, RequestSent)]
    assert {name: sent.count(name) for name in towns.all} == {
        name: one.requests for name, one in report.tenants.items()
    }
    ended = [record for record in caplog.records if "GET" in record.getMessage()]
    assert len(ended) >= report.requests
    assert all(record.getMessage().startswith(f"{record.tenant}: ") for record in ended)


async def test_mirrors_follow(tmp_path):
    """The second run of each reads what changed; one that fails leaves its file as it is, and stops no other."""
    towns = Towns()
    towns.add("solna", "lund", clock=time.time)
    first = await sync_many(towns.all, RESOURCES, to=tmp_path, concurrency=1)
    assert first.ok
    assert {name: first[name].report.inserted for name in towns.all} == {
        name: sum(whole(towns, name).values()) for name in towns.all
    }
    towns.all["solna"].sandbox.fail(Fault(403))
    second = await sync_many(towns.all, RESOURCES, to=tmp_path)
    assert second.failed == ("solna",)
    assert second["lund"].report.inserted == 0
    for name in towns.all:
        with closing(sqlite3.connect(tmp_path / name / "directory.sqlite")) as database:
            assert database.execute("SELECT count(*) FROM students").fetchone() == (12,)
    assert (tmp_path / "solna").stat().st_mode & 0o777 == 0o700


async def test_a_cancelled_mirror_is_as_its_last_run_left_it(tmp_path):
    """Each is one transaction."""
    towns = Towns()
    towns.add("solna", "lund", students=60, clock=time.time)

    def heard(name: str, event: object) -> None:
        if name == "lund" and isinstance(event, ResponseReceived):
            task.cancel()

    task = asyncio.create_task(sync_many(towns.all, RESOURCES, to=tmp_path, on_event=heard))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert towns.open == 0
    for name in towns.all:
        assert Mirror(tmp_path / name / "directory.sqlite").last_success is None


@pytest.mark.parametrize(
    ("options", "call", "own"),
    [
        (ExportOptions, export, {"meitner", "resources", "to", "progress", "concurrency"}),
        (SyncOptions, Mirror.sync, {"self", "meitner", "resources", "accept_deletions"}),
    ],
)
def test_options_are_those_of_one(options, call, own):
    """What a single export or mirror takes, many take, but for what each tenant has of its own."""
    assert options.__annotations__.keys() == set(inspect.signature(call).parameters) - own


async def test_connections_are_bounded_at_the_servers(tmp_path):
    """Over HTTP: no more sockets than the tenants at work may have requests in flight, and none left afterwards."""
    sandboxes = [Sandbox(students=40, schools=2, seed=number + 1, limiter="none", latency=0.002) for number in range(9)]
    most = 0

    def count() -> int:
        return sum(len(one._server._runner.server.connections) for one in sandboxes)

    def told(_: str, event: object) -> None:
        nonlocal most
        most = max(most, count())

    for one in sandboxes:
        await one.start()
    try:
        tenants = {
            f"town-{number}": lambda one=one: Meitner(
                *one.credentials, base_url=one.url, max_concurrency=4, retry=RetryPolicy(max_retries=0)
            )
            for number, one in enumerate(sandboxes)
        }
        report = await export_many(tenants, RESOURCES, to=tmp_path, concurrency=3, page_size=5, on_event=told)
        assert report.ok
        assert 3 <= most <= 3 * 4
        for _ in range(100):
            if not count():
                break
            await asyncio.sleep(0)
        assert count() == 0
    finally:
        for one in sandboxes:
            await one.close()
