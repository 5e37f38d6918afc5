"""Many profiles in one command: a folder each, one report, one exit code."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from virtual_time import run as run_virtually

from meitner_aio import Meitner
from meitner_aio.cli import _syncing_many, _tenants, _told
from meitner_aio.cli._profile import config_path
from meitner_aio.cli._schedule import Schedule
from meitner_aio.cli._syncing_many import Mirrors, serve_many
from meitner_aio.cli.rendering.bars import Bars
from meitner_aio.cli.rendering.tenants import Tenants
from meitner_aio.events import QuotaWait
from meitner_aio.export import Progress
from meitner_aio.mirror import Mirror, SyncReport
from meitner_aio.sandbox import Fault, Sandbox
from meitner_aio.tenants._turns import Turns

SECRET = "secret-canary"
EACH = ("--profile", "kommun-*")


@pytest.fixture
def towns(cli, monkeypatch):
    """Return three profiles with a sandbox each, and one that is no municipality; `cli` has set their place."""
    sandboxes = {
        name: Sandbox(students=12 + seed, schools=2, seed=seed)
        for seed, name in enumerate(("kommun-a", "kommun-b", "kommun-c", "other"), 1)
    }
    settings(*(f'[{name}]\nclient_credentials = "{name}-id"\nclient_secret = "{SECRET}"' for name in sandboxes))
    monkeypatch.setattr(_tenants, "_client", lambda name, *_, **__: Meitner.sandbox(sandboxes[name]))
    return sandboxes


def settings(*tables: str) -> None:
    """Write the file of profiles."""
    path = config_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(tables))
    path.chmod(0o600)


def exported(folder: Path) -> dict[str, int]:
    """Return the rows of students in the folder of each profile."""
    return {path.parent.name: len(path.read_text().splitlines()) for path in folder.glob("*/students.ndjson")}


def test_a_pattern_means_a_folder_for_each(cli, towns, tmp_path):
    """Those that match, and no other; a table says what became of each."""
    code, out, err = cli("export", "students", "groups", *EACH, "--to", str(tmp_path / "out"))
    assert code == 0
    assert exported(tmp_path / "out") == {"kommun-a": 13, "kommun-b": 14, "kommun-c": 15}
    assert [line.split()[0] for line in out.splitlines()[:5]] == ["profile", "kommun-a", "kommun-b", "kommun-c", "all"]
    assert sorted(line.split(":")[0] for line in err.splitlines()) == ["kommun-a", "kommun-b", "kommun-c"]
    assert not towns["other"].requests


def test_all_profiles_are_all(cli, towns, tmp_path):
    """Also the one that no pattern was made for."""
    code, out, _ = cli("export", "students", "--all-profiles", "--tenants", "1", "--to", str(tmp_path), "--json")
    told = json.loads(out)
    assert (told["rows"], told["complete"], told["level"]) == (
        sum(one["rows"] for one in told["tenants"].values()),
        True,
        "certified",
    )
    assert (code, told["ok"]) == (0, True)
    assert {name: one["rows"] for name, one in told["tenants"].items()} == exported(tmp_path)
    assert told["requests"] == sum(one["requests"] for one in told["tenants"].values()) == 4


@pytest.mark.parametrize(
    ("statuses", "code"),
    [((401,), 3), ((401, 401, 401), 4), ((503, 503, 503), 5), ((401, 404, 401), 1), ((), 0)],
)
@pytest.mark.parametrize("command", ["export", "sync"])
def test_one_exit_code(cli, towns, tmp_path, *, statuses, code, command):
    """That which all share; 3 where some have data and others none; 1 where none has, for several reasons."""
    for name, status in zip(towns, statuses, strict=False):
        towns[name].fail(Fault(status, headers={"Retry-After": "0"}))
    ended, out, err = cli(command, "students", *EACH, "--to", str(tmp_path), "--json")
    told = json.loads(out)["tenants"]
    assert ended == code
    assert [name for name, one in told.items() if "error" in one] == list(towns)[: len(statuses)]
    assert all(f"meitner-aio: {name}: " in err for name in list(towns)[: len(statuses)])


@pytest.mark.parametrize("command", ["export", "sync"])
def test_a_table_says_how_many_failed(cli, towns, tmp_path, command):
    """Below the states, which a long table hides."""
    towns["kommun-b"].fail(Fault(401))
    _, out, _ = cli(command, "students", *EACH, "--to", str(tmp_path))
    assert out.splitlines()[-1] == f"in {tmp_path}, a folder for each profile; 1 of 3 profiles failed"


def test_a_purge_of_the_folder_of_all_is_refused(cli, towns, tmp_path):
    """It would remove nothing, every night, with exit code 0; each folder is purged by itself."""
    assert cli("export", "students", *EACH, "--to", str(tmp_path))[0] == 0
    code, out, err = cli("purge", str(tmp_path), "--older-than", "0d")
    assert (code, out) == (2, "")
    assert f"but 3 folders of exports, such as {tmp_path / 'kommun-a'}" in err
    assert cli("purge", str(tmp_path / "kommun-a"), "--older-than", "0d")[0] == 0
    assert exported(tmp_path) == {"kommun-b": 14, "kommun-c": 15}


def test_a_part_replaces_no_whole_of_any_profile(cli, towns, tmp_path):
    """Each folder is left as it is, and says what to do; --replace allows it."""
    assert cli("export", "students", *EACH, "--to", str(tmp_path))[0] == 0
    whole = exported(tmp_path)
    code, _, err = cli("export", "students", *EACH, "--to", str(tmp_path), "--limit", "3")
    assert (code, err.count("pass replace=True (--replace)"), exported(tmp_path)) == (1, 3, whole)
    assert cli("export", "students", *EACH, "--to", str(tmp_path), "--limit", "3", "--replace")[0] == 0
    assert set(exported(tmp_path).values()) == {3}


def test_what_is_wrong_with_one_profile_is_its_own(cli, towns, tmp_path, monkeypatch):
    """A profile without credentials, an address that must not get any: named, no secret shown, the others whole."""
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    settings(
        "[kommun-a]\npage_size = 7",
        f'[kommun-b]\nbase_url = "http://directory.example"\nclient_credentials = "b"\nclient_secret = "{SECRET}"',
    )
    code, out, err = cli("export", "students", "--all-profiles", "--to", str(tmp_path / "out"), "--json")
    assert code == 4
    assert "profile kommun-a has no credentials" in err
    told = json.loads(out)
    assert told["tenants"]["kommun-b"]["error"]["type"] == "ConfigurationError"
    assert (told["rows"], told["complete"], told["level"]) == (0, False, "unfinished")
    assert SECRET not in out + err


def test_each_profile_settles_what_was_not_typed(cli, towns, tmp_path):
    """Its format and its pages; what is typed is for all."""
    settings('[kommun-a]\nformat = "csv"', "[kommun-b]\npage_size = 5", "[kommun-c]")
    code, out, _ = cli("export", "students", *EACH, "--to", str(tmp_path), "--json")
    told = json.loads(out)["tenants"]
    assert code == 0
    assert [one["resources"][0]["format"] for one in told.values()] == ["csv", "ndjson", "ndjson"]
    assert told["kommun-b"]["requests"] == 3
    cli("export", "students", *EACH, "--to", str(tmp_path), "--format", "csv")
    assert (tmp_path / "kommun-c" / "students.csv").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--profile", "komun-*"), "there are: kommun-a, kommun-b, kommun-c, other"),
        (("--all-profiles", "--profile", "kommun-a"), "either --profile or --all-profiles"),
        (("--all-profiles", "--server", "staging"), "leave out --server"),
        (("--all-profiles", "--base-url", "https://x.example"), "leave out --server"),
        (("--all-profiles", "--sandbox"), "leave out"),
        (("--tenants", "3"), "--tenants only applies to many"),
    ],
)
@pytest.mark.parametrize("command", ["export", "sync"])
def test_what_cannot_be_meant_is_usage(cli, towns, tmp_path, *, words, reason, command):
    """Before any profile is asked."""
    code, _, err = cli(command, "students", *words, "--to", str(tmp_path / "out"))
    assert code == 2
    assert reason in err.replace("\n", " ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("export", *EACH), "--to FOLDER is missing"),
        (("export", *EACH, "--to", "-"), "many profiles need a folder"),
        (("export", *EACH, "--plan"), "--plan says"),
        (("export", *EACH, "--to", "out", "--format", "parquet", "--excel"), "excel is for"),
        (("sync", *EACH), "--to FOLDER is missing"),
        (("sync", *EACH, "--to", "x.sqlite"), "looks like a file"),
        (("sync", *EACH, "--to", "out", "--accept-deletions", "3"), "for a single profile"),
    ],
)
def test_so_are_options_of_one_directory(cli, towns, words, reason):
    """Each says what to do instead."""
    code, _, err = cli(*words)
    assert code == 2
    assert reason in err


@pytest.mark.parametrize("name", ["CLIENT_SECRET", "CLIENT_CREDENTIALS", "CLIENT_ID", "BASE_URL"])
def test_no_variable_is_for_every_profile(cli, towns, tmp_path, monkeypatch, name):
    """One secret would go to every server, or one directory to every folder."""
    monkeypatch.setenv(f"MEITNER_{name}", SECRET)
    code, out, err = cli("export", *EACH, "--to", str(tmp_path / "out"))
    assert (code, out) == (2, "")
    assert f"MEITNER_{name}" in err
    assert SECRET not in err


def test_names_that_share_a_folder_are_refused(cli, towns, tmp_path):
    """TOML tells Solna from solna, not every disk does."""
    settings("[Solna]", "[solna]")
    code, _, err = cli("export", "--all-profiles", "--to", str(tmp_path))
    assert code == 2
    assert "share a folder" in err


def test_an_interrupted_export_goes_on(cli, towns, tmp_path):
    """What was whole is read again, what was interrupted goes on."""
    towns["kommun-b"].fail(Fault(404, operations=["groups.list"]))
    assert cli("export", "students", "groups", *EACH, "--to", str(tmp_path))[0] == 3
    towns["kommun-b"].heal()
    code, out, _ = cli("export", "students", "groups", *EACH, "--to", str(tmp_path), "--resume", "--json")
    assert code == 0
    assert json.loads(out)["tenants"]["kommun-b"]["requests"] < 2


def test_mirrors_of_all(cli, towns, tmp_path):
    """A file each, metrics each, requests counted; the second run finds nothing new."""
    words = ("sync", "students", *EACH, "--to", str(tmp_path / "copies"), "--metrics", str(tmp_path / "sync.prom"))
    code, out, err = cli(*words)
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:4]] == [
        ["kommun-a", "13"],
        ["kommun-b", "14"],
        ["kommun-c", "15"],
    ]
    assert "kommun-a: 13 inserted" in err
    with closing(sqlite3.connect(tmp_path / "copies" / "kommun-b" / "directory.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM students").fetchone() == (14,)
    assert 'tenant="kommun-c"' in (tmp_path / "sync-kommun-c.prom").read_text()
    told = json.loads(cli(*words, "--json")[1])
    assert {one["inserted"] for one in told["tenants"].values()} == {0}
    assert all(one["requests"] > 0 for one in told["tenants"].values())


async def _emptied(sandbox: Sandbox) -> None:
    async with Meitner.sandbox(sandbox) as meitner:
        for one in sandbox.records("student_placements"):
            await meitner.student_placements.delete(one.id)


def test_held_deletions_say_what_to_type(cli, towns, tmp_path):
    """For the one profile that they are of; the others go on."""
    words = ("sync", "student_placements", *EACH, "--to", str(tmp_path))
    assert cli(*words)[0] == 0
    asyncio.run(_emptied(towns["kommun-b"]))
    code, _, err = cli(*words)
    assert code == 3
    file = tmp_path / "kommun-b" / "directory.sqlite"
    assert f"sync student_placements --to {file} --profile kommun-b --accept-deletions" in err


def test_a_unit_for_all(cli, towns):
    """The pattern stands in quotes, and the service may write to the folder."""
    code, out, _ = cli("sync", *EACH, "--to", "copies", "--print-systemd")
    assert code == 0
    assert 'sync --to /var/lib/meitner-aio/copies --every 15m --profile "kommun-*"' in out
    assert "StateDirectory=meitner-aio/copies\n" in out


def test_served_side_by_side(monkeypatch, tmp_path, capfd):
    """One that takes an hour holds no other, and misses its own times alone; a stop begins nothing more."""
    times: dict[str, list[float]] = {"slow": [], "quick": []}

    async def at_once(call: Any, *given: Any) -> Any:
        return call(*given)

    async def synced(mirror: Mirror, *_: object, **__: object) -> SyncReport:
        name, now = mirror._path.parent.name, asyncio.get_running_loop().time()
        times[name].append(round(now))
        if name == "slow":
            await asyncio.sleep(4000)
        elif len(times[name]) == 7:
            stops[0].request()
        return SyncReport({}, 0, complete=True)

    stops: list[_syncing_many.Stop] = []

    class Known(_syncing_many.Stop):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            stops.append(self)

    monkeypatch.setattr(_told, "threaded", at_once)
    monkeypatch.setattr(_syncing_many, "Stop", Known)
    monkeypatch.setattr(Mirror, "sync", synced)
    monkeypatch.setattr(_tenants, "_client", lambda *_, **__: Meitner.sandbox(students=0, schools=0))

    async def main() -> int:
        profiles = dict.fromkeys(times, _tenants.Profile())
        mirrors = Mirrors(tmp_path, profiles, resources=None, options={}, compared=None, metrics=None, json=False)
        return await serve_many(mirrors, Turns(2), {name: Schedule(900.0, lambda: 0.0) for name in times})

    assert run_virtually(main()) == 0
    assert times == {"slow": [0, 4500], "quick": [900 * number for number in range(7)]}
    lines = capfd.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines].count("quick") == 7


def test_a_bar_for_each_at_work():
    """Rows of all its resources; it goes when the tenant has ended, and below stands how many have."""
    shown = Tenants(3)
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with Bars(lambda: None, console, below=shown.below, leaving=True) as bars:
        shown.show = bars.show
        shown.progress("solna", Progress("students", 10, 40))
        shown.progress("solna", Progress("groups", 5, 10))
        shown.progress("lund", Progress("students", 1, 2))
        shown.ended("lund", "2 rows")
        console.print(bars._drawn())
    drawn = console.file.getvalue()
    assert "15 of 50" in drawn
    assert "1 of 3 tenants done" in drawn
    assert "lund" not in drawn.rpartition("solna")[2]


def test_a_log_says_who_waits(capsys):
    """Where there are no bars."""
    shown = Tenants(3)
    for name in ("solna", "lund", "solna"):
        shown.hear(name, QuotaWait("closed", 3600.0, 0, None))
    waits = "the hourly quota is spent: going on in"
    assert [line.partition(": ")[0] for line in capsys.readouterr().err.splitlines() if waits in line] == [
        "solna",
        "lund",
    ]
