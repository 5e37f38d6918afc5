"""What is older than it may be goes, overwritten; what is not ours, not old or not a file stays."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from numbered_directory import NumberedDirectory

from meitner_aio import ConfigurationError, MeitnerError, NotFoundError
from meitner_aio._runtime import file_systems
from meitner_aio.cli.rendering.typed import span
from meitner_aio.export import Progress, export, purge
from meitner_aio.export import _shred as shredding
from meitner_aio.export._files import Folder
from meitner_aio.export._log import LOG
from meitner_aio.export._shred import doubt, shred

Cli = Callable[..., tuple[int, str, str]]
DAYS_30, DAYS_7 = timedelta(days=30), timedelta(days=7)


@pytest.fixture
async def out(tmp_path: Path) -> Path:
    """Give a folder with an export of schools of today, and one of students that is 31 days old."""
    folder = tmp_path / "out"
    await export(NumberedDirectory(), ["schools", "students"], to=folder)
    age(folder, "students", 31)
    return folder


def age(folder: Path, resource: str, days: int) -> None:
    """Let the manifest say that an export is older."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    then = datetime.now(UTC) - timedelta(days=days)
    manifest["resources"][resource]["exported_at"] = then.isoformat().replace("+00:00", "Z")
    path.write_text(json.dumps(manifest))


def old(path: Path, days: int = 31) -> Path:
    """Let a file be older."""
    then = time.time() - days * 86_400
    os.utime(path, (then, then))
    return path


def names(folder: Path) -> list[str]:
    """Return what lies in a folder, at every depth, but its log."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != LOG)


def test_an_old_export_goes_and_a_new_one_stays(out: Path) -> None:
    """By what the manifest says, whatever the file's own time; and the manifest forgets what is gone."""
    size = (out / "students.ndjson").stat().st_size
    old(out / "schools.ndjson", 90)
    done = purge(out, DAYS_30)
    assert [(one.file, one.bytes, one.overwritten) for one in done.removed] == [("students.ndjson", size, True)]
    assert names(out) == ["manifest.json", "schools.ndjson"]
    assert list(json.loads((out / "manifest.json").read_bytes())["resources"]) == ["schools"]
    assert purge(out, DAYS_30).removed == ()


def test_a_manifest_of_nothing_goes_as_well(out: Path) -> None:
    """What stays is the log."""
    purge(out, timedelta(0))
    assert (names(out), (out / LOG).exists()) == ([], True)


async def test_a_database_is_as_old_as_its_newest_table(tmp_path: Path) -> None:
    """One file holds both; what SQLite left beside it goes with it."""
    await export(NumberedDirectory(), ["schools", "students"], to=tmp_path, format="sqlite")
    age(tmp_path, "students", 31)
    (tmp_path / "directory.sqlite-wal").write_bytes(b"rows")
    assert purge(tmp_path, DAYS_30).removed == ()
    age(tmp_path, "schools", 31)
    assert [one.file for one in purge(tmp_path, DAYS_30).removed] == ["directory.sqlite", "directory.sqlite-wal"]
    assert names(tmp_path) == []


async def _interrupted(folder: Path) -> None:
    def stop(news: Progress) -> None:
        if news.rows >= 10:
            raise NotFoundError("stop")

    with pytest.raises(NotFoundError):
        await export(NumberedDirectory(), ["students"], to=folder, page_size=10, concurrency=1, progress=stop)


async def test_what_an_interrupted_export_left_goes_together(tmp_path: Path) -> None:
    """Rows and notes: as old as the younger of them, for the one is worth nothing without the other."""
    await _interrupted(tmp_path)
    old(tmp_path / "students.part")
    assert purge(tmp_path, DAYS_30).removed == ()
    old(tmp_path / "students.journal")
    assert [one.file for one in purge(tmp_path, DAYS_30).removed] == ["students.journal", "students.part"]
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["students.part", "students.csv.part", "manifest.json.part", "directory.sqlite.students.part"]
)
def test_parts_of_a_folder_of_ours_go(out: Path, name: str) -> None:
    """A killed export leaves them, and no manifest names them."""
    (out / name).write_bytes(b"rows")
    assert name not in [one.file for one in purge(out, DAYS_30, dry_run=True).removed]
    old(out / name)
    assert name in [one.file for one in purge(out, DAYS_30).removed]
    assert not (out / name).exists()


def test_an_old_run_goes_as_a_whole(out: Path) -> None:
    """A run is as old as its newest file; what is not of this package keeps its folder."""
    for run in ("run=a", "run=b", "run=c"):
        (out / run).mkdir(mode=0o700)
        for name in ("students.ndjson", "manifest.json"):
            (out / run / name).write_bytes(b"rows")
            old(out / run / name)
    (out / "run=b" / "manifest.json").touch()
    old_note = out / "run=c" / "note.txt"
    old_note.write_bytes(b"mine")
    old(old_note)
    purge(out, DAYS_30)
    assert [name for name in names(out) if name.startswith("run=")] == [
        *("run=b", "run=b/manifest.json", "run=b/students.ndjson"),
        *("run=c", "run=c/note.txt"),
    ]


@pytest.mark.parametrize("name", ["notes.txt", "teachers.csv", "students.xlsx", "employees.csv", "groups.journal", LOG])
def test_files_of_others_stay(out: Path, name: str) -> None:
    """However old: the manifest does not name them, and a journal of another kind is none."""
    if name != LOG:
        (out / name).write_bytes(b"mine")
    old(out / name, 4000)
    purge(out, timedelta(0))
    assert (out / name).exists()


def test_a_folder_where_no_export_was_is_left_alone(tmp_path: Path) -> None:
    """A part is one by its name only where this package was before; and no log is begun."""
    for name in ("students.part", "students.ndjson"):
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / "run=1").mkdir(mode=0o700)
    (tmp_path / "run=1" / "students.csv").write_bytes(b"mine")
    before = names(tmp_path)
    assert purge(tmp_path, timedelta(0)).removed == ()
    assert (names(tmp_path), (tmp_path / LOG).exists()) == (before, False)


def test_links_are_not_followed(out: Path, tmp_path: Path) -> None:
    """What they lead to may be anybody's."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = elsewhere / "students.csv"
    target.write_bytes(b"mine")
    (out / "students.ndjson").unlink()
    (out / "students.ndjson").symlink_to(target)
    (out / "groups.part").symlink_to(target)
    (out / "run=1").symlink_to(elsewhere)
    purge(out, timedelta(0))
    assert target.read_bytes() == b"mine"
    assert {"students.ndjson", "groups.part", "run=1"} <= set(names(out))


def test_a_second_name_is_not_overwritten(out: Path, tmp_path: Path) -> None:
    """A hard link may be somebody's copy: this name goes, its content stays, and that is said."""
    copy = tmp_path / "copy"
    copy.hardlink_to(out / "students.ndjson")
    before = copy.read_bytes()
    (one,) = purge(out, DAYS_30).removed
    assert (one.overwritten, (out / "students.ndjson").exists(), copy.read_bytes() == before) == (False, False, True)
    assert not _last(out)["assured"]


def _last(folder: Path) -> dict[str, Any]:
    return json.loads((folder / LOG).read_bytes().splitlines()[-1])


def test_content_is_overwritten_on_the_disk_before_it_goes(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen through a handle that was open before: not a byte of the rows is where it was, and it was synced."""
    rows, number = (out / "students.ndjson").read_bytes(), (out / "students.ndjson").stat().st_ino
    seen: list[bytes] = []
    sync = os.fsync
    with (out / "students.ndjson").open("rb") as watching:

        def synced(handle: int) -> None:
            sync(handle)
            if os.fstat(handle).st_ino == number:
                watching.seek(0)
                seen.append(watching.read())

        monkeypatch.setattr(os, "fsync", synced)
        purge(out, DAYS_30)
    assert [len(data) for data in seen] == [len(rows)]
    assert b"identityNumber" not in seen[0]


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_files_of_any_size_are_overwritten_to_the_end(tmp_path: Path, size: int) -> None:
    """Neither longer nor shorter than they were."""
    path = tmp_path / "file"
    path.write_bytes(b"a" * size)
    with path.open("rb") as watching:
        assert shred(path)
        data = watching.read()
    assert len(data) == size
    assert b"a" * 64 not in data
    assert not path.exists()


def test_a_dry_run_removes_nothing(out: Path) -> None:
    """It reports the same, and writes no line."""
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    printed = purge(out, DAYS_30, dry_run=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    done = purge(out, DAYS_30)
    assert [(one.file, one.bytes) for one in printed.removed] == [(one.file, one.bytes) for one in done.removed]
    assert (printed.dry_run, done.dry_run) == (True, False)


def test_a_running_export_is_not_purged(out: Path) -> None:
    """It holds the folder."""
    before = names(out)
    with Folder(out), pytest.raises(MeitnerError, match="another export is writing"):
        purge(out, timedelta(0))
    assert names(out) == before


def test_a_run_that_is_being_written_is_not_purged(out: Path) -> None:
    """One that waits for the quota writes nothing for an hour; the other runs go all the same."""
    for run in ("run=a", "run=b", "run=c"):
        (out / run).mkdir(mode=0o700)
        (out / run / "students.part").write_bytes(b"rows")
        old(out / run / "students.part")
    with Folder(out / "run=b"):
        printed = purge(out, DAYS_30, dry_run=True)
        done = purge(out, DAYS_30)
    assert [one.file for one in printed.removed] == [one.file for one in done.removed]
    assert [name for name in names(out) if name.startswith("run=")] == ["run=b", "run=b/students.part"]
    purge(out, DAYS_30)
    assert not (out / "run=b").exists()


def test_a_folder_that_others_may_write_to_is_refused(out: Path) -> None:
    """What lies there may have been planted, to have other files removed."""
    out.chmod(0o777)
    with pytest.raises(ConfigurationError, match="others may write"):
        purge(out, timedelta(0))
    assert (out / "students.ndjson").exists()


def test_the_log_says_what_went(out: Path) -> None:
    """Names and sizes, by whom and when."""
    done = purge(out, DAYS_30)
    line = _last(out)
    assert (line["event"], line["outcome"], line["older_than"]) == ("purge", "complete", 30 * 86_400)
    assert line["removed"] == [{"file": "students.ndjson", "bytes": done.bytes}]
    assert (line["by"]["uid"], line["assured"]) == (os.getuid(), done.assured)


def test_a_purge_that_fails_says_how_far_it_came(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is gone is gone: from the manifest, and into the log."""
    age(out, "schools", 31)
    unlink = Path.unlink

    def refused(path: Path, **how: Any) -> None:
        if path.name == "students.ndjson":
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, **how)

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(PermissionError):
        purge(out, DAYS_30)
    line = _last(out)
    assert (line["outcome"], line["error"]) == ("failed", "PermissionError")
    assert [one["file"] for one in line["removed"]] == ["schools.ndjson"]
    assert list(json.loads((out / "manifest.json").read_bytes())["resources"]) == ["students"]


def test_no_age_is_negative_and_any_other_will_do(out: Path) -> None:
    """A thousand years are before the calendar: nothing is as old."""
    with pytest.raises(ValueError, match="at least 0"):
        purge(out, timedelta(days=-1))
    assert purge(out, timedelta(days=999_999)).removed == ()


# What overwriting is worth.


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return the reason for doubt about a folder on a file system and a disk."""
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"

    def doubted(kind: str, *, options: str = "rw", rotational: str | None = "1", disk: str = "sda") -> str:
        mounts, disks = tmp_path / "mountinfo", tmp_path / "disks"
        line = f"36 35 {number} / {tmp_path} rw,noatime master:1 - {kind} /dev/x {options}\n"
        mounts.write_text(f"35 1 0:999 / /x rw - btrfs y rw\n{line}")
        queue = disks / disk / "queue"
        queue.mkdir(parents=True, exist_ok=True)
        (disks / number).unlink(missing_ok=True)
        (disks / number).symlink_to(disks / disk)
        (queue / "rotational").unlink(missing_ok=True)
        if rotational is not None:
            (queue / "rotational").write_text(f"{rotational}\n")
        monkeypatch.setattr(file_systems, "MOUNTS", mounts)
        monkeypatch.setattr(shredding, "_DISKS", disks)
        monkeypatch.setattr(shredding.sys, "platform", "linux")
        return doubt(tmp_path)

    return doubted


def test_only_what_writes_in_place_is_trusted(machine: Callable[..., str]) -> None:
    """ext4 on a disk that rotates, and little else."""
    assert machine("ext4") == ""
    for kind in ("btrfs", "zfs", "xfs", "tmpfs", "overlay", "nfs4", "fuse.sshfs", "9p"):
        assert machine(kind).startswith(kind)


def test_what_is_below_is_looked_at_too(machine: Callable[..., str]) -> None:
    """A journal of data, flash, disks that are made by other software, and disks that say nothing."""
    assert "data=journal" in machine("ext4", options="rw,data=journal")
    assert "no rotating" in machine("ext4", rotational="0")
    assert "no rotating" in machine("ext4", rotational=None)
    assert "virtual" in machine("ext4", disk="vda1")


def test_where_the_system_says_nothing_nothing_is_assured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems, and a Linux without /proc."""
    monkeypatch.setattr(file_systems, "MOUNTS", tmp_path / "none")
    assert "unknown file system" in doubt(tmp_path)
    monkeypatch.setattr(shredding.sys, "platform", "darwin")
    assert doubt(tmp_path)


# From the shell.


def test_the_command_lists_what_went(cli: Cli, out: Path) -> None:
    """Names and sizes on stdout; what overwriting is worth, on stderr."""
    code, printed, _ = cli("purge", str(out), "--older-than", "30d", "--dry-run")
    assert (code, (out / "students.ndjson").exists()) == (0, True)
    assert re.search(r"students\.ndjson +[0-9.]+ kB\n1 file, [0-9.]+ kB: would be deleted\n", printed)
    code, done, said = cli("purge", str(out), "--older-than", "30d")
    assert (code, (out / "students.ndjson").exists()) == (0, False)
    assert "1 file" in done
    assert ": deleted" in done
    assert ("may be recoverable" in said) == bool(doubt(out))
    code, done, said = cli("purge", str(out), "--older-than", "30d")
    assert (code, done, "no export in" in said) == (0, "", True)


def test_the_command_writes_json_for_programs(cli: Cli, out: Path) -> None:
    """The same facts."""
    code, printed, _ = cli("purge", str(out), "--older-than", "4w", "--json")
    found = json.loads(printed)
    assert (code, [one["file"] for one in found["removed"]]) == (0, ["students.ndjson"])
    assert found.keys() == {"removed", "bytes", "dry_run", "assured", "why"}


def test_the_command_says_what_has_another_name(cli: Cli, out: Path, tmp_path: Path) -> None:
    """Somebody has to look for the copy."""
    (tmp_path / "copy").hardlink_to(out / "students.ndjson")
    assert (
        "another file name leads to the same data: students.ndjson" in cli("purge", str(out), "--older-than", "30d")[2]
    )


@pytest.mark.parametrize("wrong", ["30", "d", "-1d", "30 d", "30y", "2026-01-01"])
def test_a_time_that_is_none_is_wrong_usage(cli: Cli, out: Path, wrong: str) -> None:
    """Nothing goes by a guess."""
    code, _, said = cli("purge", str(out), f"--older-than={wrong}")
    assert (code, "must be a time such as 30d" in said, len(names(out))) == (2, True, 3)


def test_times_are_those_of_since() -> None:
    """Minutes, hours, days, weeks."""
    spans = [span(text) for text in ("5m", "12h", "7d", "2w")]
    assert spans == [timedelta(minutes=5), timedelta(hours=12), DAYS_7, timedelta(weeks=2)]


def test_other_failures_end_with_their_codes(cli: Cli, out: Path, tmp_path: Path) -> None:
    """No folder, a file, a folder of everybody: wrong usage. An export that runs: an error."""
    (tmp_path / "file").write_bytes(b"")
    assert cli("purge", str(tmp_path / "none"), "--older-than", "1d")[0] == 2
    assert cli("purge", str(tmp_path / "file"), "--older-than", "1d")[0] == 2
    assert cli("purge", str(out))[0] == 2
    with Folder(out):
        assert cli("purge", str(out), "--older-than", "1d")[0] == 1
    out.chmod(0o777)
    code, _, said = cli("purge", str(out), "--older-than", "1d")
    assert (code, "others may write" in said) == (2, True)


async def test_a_file_in_another_format_is_told_of_when_it_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No later export replaces it, so that its rows would stay unseen: said once, of each file that is there."""
    folder = tmp_path / "out"
    await export(NumberedDirectory(), ["schools", "students"], to=folder)
    await export(NumberedDirectory(), ["schools", "students"], to=folder)
    assert caplog.messages == []
    (folder / "schools.ndjson").unlink()
    await export(NumberedDirectory(), ["schools", "students"], to=folder, format="csv")
    (said,) = caplog.messages
    assert f"{folder / 'students.ndjson'} still holds students of " in said
    assert "manifest.json names students.csv instead" in said
    await export(NumberedDirectory(), ["students"], to=folder, format="csv")
    assert caplog.messages == [said]
    assert purge(folder, DAYS_7).removed == ()
    gone = ["schools.csv", "students.csv", "students.ndjson"]
    assert [one.file for one in purge(folder, timedelta(0)).removed] == gone
    assert names(folder) == []


async def test_what_was_written_over_an_older_file_is_not_ours(tmp_path: Path) -> None:
    """A file that has the name of one of an earlier export, but other content, is somebody else's; so is what no log names."""
    folder = tmp_path / "out"
    for format_ in ("ndjson", "csv", "sqlite"):
        await export(NumberedDirectory(), ["schools"], to=folder, format=format_)
    (folder / "schools.ndjson").write_text("mine")
    (folder / "schools.parquet").write_text("mine")
    with (folder / LOG).open("ab") as log:
        log.write(b'{"event":"export"}\n\xff\n')
    removed = [one.file for one in purge(folder, timedelta(0)).removed]
    assert sorted(removed) == ["directory.sqlite", "schools.csv"]
    assert names(folder) == ["schools.ndjson", "schools.parquet"]


async def test_a_database_that_an_export_left_goes_whole(tmp_path: Path) -> None:
    """With what SQLite keeps beside it."""
    folder = tmp_path / "out"
    await export(NumberedDirectory(), ["schools"], to=folder, format="sqlite")
    await export(NumberedDirectory(), ["schools"], to=folder)
    (folder / "directory.sqlite-journal").write_bytes(b"")
    assert "directory.sqlite" in [one.file for one in purge(folder, timedelta(0)).removed]
    assert names(folder) == []
