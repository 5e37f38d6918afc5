"""Exports that end early and are taken up again: the same file, the same proof, few requests."""

import asyncio
import hashlib
import io
import json
import os
import stat
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime

import killed_exports
import msgspec
import pytest
from conftest import importing
from numbered_directory import NumberedDirectory, refusing

from meitner_aio import Meitner, MeitnerError, NotFoundError, QuotaExhausted
from meitner_aio.export import _folder_run, _journal, _spool, export
from meitner_aio.export._manifest import Manifest
from meitner_aio.export.formats import writers as _writers
from meitner_aio.export.formats.ndjson import NdjsonWriter
from meitner_aio.resources.students import Student

PERSONAL = ("20100101", "Åsa", "00000000-0000")


@pytest.fixture
def directory():
    """Return a directory of seven schools and ninety-five students, ten on a page."""
    return NumberedDirectory({"schools": 7, "students": 95})


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    """Let there be a checkpoint every second page."""
    monkeypatch.setattr(_spool, "PAGES", 2)


async def _interrupted(directory, folder, at=60, names=("students",), **how):
    """Export until the students at an offset are refused."""
    directory.before = refusing("students", at)
    with pytest.raises(NotFoundError):
        await export(directory, names, to=folder, concurrency=1, **how)
    directory.before = lambda *_: None
    directory.requests.clear()


async def _undisturbed(directory, folder, *names, **how):
    other = NumberedDirectory(directory.rows, directory.page_cap)
    await export(other, names or ("students",), to=folder, **how)
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name not in ("manifest.json", "exports.log")
    }


def _files(folder):
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name not in ("manifest.json", "exports.log")
    }


def _offsets(directory):
    return [offset for name, _, offset in directory.requests if name == "students"]


async def test_a_failed_export_goes_on_where_it_stopped(directory, tmp_path):
    """What was read is not asked for again, and the file is the one of an undisturbed export."""
    await _interrupted(directory, tmp_path / "out")
    report = await export(directory, ["students"], to=tmp_path / "out", resume=True)
    assert _offsets(directory) == [60, 70, 80, 90]
    assert _files(tmp_path / "out") == await _undisturbed(directory, tmp_path / "whole")
    (one,) = report.resources
    data = (tmp_path / "out" / "students.ndjson").read_bytes()
    assert (one.rows, one.requests, one.complete, one.level) == (95, 10, True, "certified")
    assert (one.bytes, one.sha256) == (len(data), hashlib.sha256(data).hexdigest())


async def test_a_cancelled_export_loses_only_what_was_in_flight(directory, tmp_path):
    """Ctrl-C writes a last checkpoint, whenever it comes."""
    expected = await _undisturbed(directory, tmp_path / "whole")
    for turns in range(1, 120, 7):
        folder = tmp_path / str(turns)
        running = asyncio.create_task(export(directory, ["students"], to=folder, concurrency=1))
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        running.cancel()
        await asyncio.wait([running])
        before = Counter(_offsets(directory))
        directory.requests.clear()
        over = (folder / "students.ndjson").exists() and not (folder / "students.journal").exists()
        await export(directory, ["students"], to=folder, resume=True)
        assert _files(folder) == expected
        assert over or sum(before[offset] for offset in _offsets(directory)) <= 2
        directory.requests.clear()


async def test_without_resume_it_begins_again(directory, tmp_path):
    """A fresh export is fresh."""
    await _interrupted(directory, tmp_path)
    await export(directory, ["students"], to=tmp_path, concurrency=1)
    assert _offsets(directory) == list(range(0, 100, 10))
    assert sorted(_files(tmp_path)) == ["students.ndjson"]


async def test_a_fresh_export_gives_up_what_was_finished_before(directory, tmp_path):
    """Interrupted in its turn and resumed, it does not take a file of the export before for one of its own."""
    await _interrupted_after_the_schools(directory, tmp_path)
    directory.before = refusing("schools", 0)
    with pytest.raises(NotFoundError):
        await export(directory, ["schools", "students"], to=tmp_path)
    directory.before = lambda *_: None
    directory.requests.clear()
    await export(directory, ["schools"], to=tmp_path, resume=True)
    assert directory.requests == [("schools", 10, 0)]


async def test_resume_without_an_interrupted_export_begins_one(directory, tmp_path):
    """`--resume` can stand in a script from the first run on, and never mistakes a whole export for half of one."""
    for _ in range(2):
        await export(directory, ["students"], to=tmp_path, resume=True, concurrency=1)
    assert _offsets(directory) == 2 * list(range(0, 100, 10))


async def _interrupted_after_the_schools(directory, folder):
    """Export until the schools are finished, and the students are not."""

    def before(name, _):
        if name == "students" and (folder / "manifest.json").exists():
            raise NotFoundError("gone")

    directory.rows["students"] = 20_000
    directory.before = before
    with pytest.raises(NotFoundError):
        await export(directory, ["schools", "students"], to=folder)
    directory.before = lambda *_: None
    directory.requests.clear()


async def test_resources_that_were_finished_are_not_fetched_again(directory, tmp_path):
    """Their files are in place, and in the report."""
    await _interrupted_after_the_schools(directory, tmp_path)
    report = await export(directory, ["schools", "students"], to=tmp_path, resume=True)
    assert not [name for name, *_ in directory.requests if name == "schools"]
    assert [one.rows for one in report.resources] == [7, 20_000]
    assert sorted(_files(tmp_path)) == ["schools.ndjson", "students.ndjson"]


async def test_a_finished_file_that_was_taken_away_is_made_again(directory, tmp_path):
    """The notes are believed as far as they are true."""
    await _interrupted_after_the_schools(directory, tmp_path)
    (tmp_path / "schools.ndjson").unlink()
    await export(directory, ["schools"], to=tmp_path, resume=True)
    assert len((tmp_path / "schools.ndjson").read_bytes().splitlines()) == 7


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"page_size": 5}, "page_size"),
        ({"limit": 80}, "limit"),
        ({"format": "csv"}, "format"),
        ({"format": "csv", "excel": True}, "format"),
        ({"fields": ["first_name"]}, "fields"),
        ({"where": {"last_name": "Ek"}}, "where"),
    ],
)
async def test_another_export_is_not_taken_up(directory, tmp_path, changed, word):
    """A changed filter would make a file of two halves: it is refused by name, and nothing is lost or sent."""
    await _interrupted(directory, tmp_path)
    before = _files(tmp_path)
    with pytest.raises(MeitnerError, match=f"had another {word}; resume it as it was begun"):
        await export(directory, ["students"], to=tmp_path, resume=True, **changed)
    assert (_files(tmp_path), directory.requests) == (before, [])
    await export(directory, ["students"], to=tmp_path, resume=True, concurrency=1)
    assert _offsets(directory) == [60, 70, 80, 90]


@pytest.mark.parametrize("excel", [False, True])
async def test_a_csv_is_not_taken_up_in_the_other_dialect(directory, tmp_path, excel):
    """Its files would be of two kinds: refused in words that name the option."""
    await _interrupted(directory, tmp_path, format="csv", excel=excel)
    with pytest.raises(
        MeitnerError, match=r"another dialect of CSV \(excel=True, --excel\); resume it as it was begun"
    ):
        await export(directory, ["students"], to=tmp_path, resume=True, format="csv", excel=not excel)
    assert directory.requests == []
    (one,) = (await export(directory, ["students"], to=tmp_path, resume=True, format="csv", excel=excel)).resources
    assert one.dialect == ("excel" if excel else "plain")


async def test_conditions_are_compared_by_value(directory, tmp_path):
    """The same names with another value are another export; the journal does not hold the value."""
    await _interrupted(directory, tmp_path, where={"last_name": "Ek"})
    assert "Ek" not in (tmp_path / "students.journal").read_text()
    with pytest.raises(MeitnerError, match="another where"):
        await export(directory, ["students"], to=tmp_path, resume=True, where={"last_name": "Bo"})


async def test_an_export_of_yesterday_is_not_taken_up(directory, tmp_path, monkeypatch):
    """A file does not mix days, and deletions are remembered by the server for some time only."""
    await _interrupted(directory, tmp_path)
    now = _journal.time.time()
    monkeypatch.setattr(_journal.time, "time", lambda: now + 86_401)
    await export(directory, ["students"], to=tmp_path, resume=True, concurrency=1)
    assert _offsets(directory)[0] == 0


async def test_the_journal_holds_nothing_personal(directory, tmp_path):
    """Offsets, counts and checksums; for the owner alone."""
    await _interrupted(directory, tmp_path)
    journal = tmp_path / "students.journal"
    assert not [text for text in PERSONAL if text in journal.read_text()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def _cut(data):
    return data[:-3]


def _garbled(data):
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def _emptied(_):
    return b""


@pytest.mark.parametrize("name", ["students.part", "students.journal"])
@pytest.mark.parametrize("damage", [_cut, _garbled, _emptied])
async def test_what_a_power_cut_spoiled_is_not_believed(directory, tmp_path, name, damage):
    """A torn line, a wrong byte or nothing at all costs some pages, never a wrong file."""
    await _interrupted(directory, tmp_path / "out")
    spoiled = tmp_path / "out" / name
    spoiled.write_bytes(damage(spoiled.read_bytes()))
    report = await export(directory, ["students"], to=tmp_path / "out", resume=True)
    assert _files(tmp_path / "out") == await _undisturbed(directory, tmp_path / "whole")
    assert report.complete


@pytest.mark.parametrize("format", ["csv", "parquet", "sqlite"])
async def test_a_wrong_byte_costs_pages_whatever_the_format(directory, tmp_path, format):
    """A spool that is no file has a checksum all the same: what it proves is kept, and the rest is asked for again."""
    await _interrupted(directory, tmp_path, format=format)
    spool = tmp_path / "students.part"
    spool.write_bytes(_garbled(spool.read_bytes()))
    (one,) = (await export(directory, ["students"], to=tmp_path, format=format, resume=True)).resources
    assert 0 < len(_offsets(directory)) < 10
    assert 30 in _offsets(directory)
    data = (tmp_path / one.file).read_bytes()
    assert (one.rows, one.complete, one.sha256) == (95, True, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    ("how", "hashed"),
    [({}, True), ({"fields": ["first_name"]}, False), ({"format": "csv"}, False), ({"format": "sqlite"}, False)],
)
async def test_only_a_spool_that_becomes_the_file_is_hashed(directory, tmp_path, monkeypatch, how, hashed):
    """SHA-256 of what nobody will see costs as much as writing it; a journal that has one is taken up all the same."""
    summaries = []

    def failing(spool, summary, *_):
        summaries.append(summary)
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(_folder_run, "put_in_place", failing)
        with pytest.raises(OSError):
            await export(directory, ["students"], to=tmp_path, **how)
    spool = (tmp_path / "students.part").read_bytes()
    assert [one.sha256 for one in summaries] == [hashlib.sha256(spool).hexdigest() if hashed else None]
    journal = tmp_path / "students.journal"
    journal.write_bytes(journal.read_bytes().replace(b'"sha256":null', b'"sha256":"00"'))  # a version of before
    (one,) = (await export(directory, ["students"], to=tmp_path, resume=True, **how)).resources
    assert one.sha256 == hashlib.sha256((tmp_path / one.file).read_bytes()).hexdigest()
    assert (one.rows, one.file.endswith(how.get("format", "ndjson"))) == (95, True)


async def test_a_journal_without_its_rows_is_worth_nothing(directory, tmp_path):
    """It starts afresh."""
    await _interrupted(directory, tmp_path)
    (tmp_path / "students.part").unlink()
    await export(directory, ["students"], to=tmp_path, resume=True, concurrency=1)
    assert _offsets(directory)[0] == 0


async def test_a_torn_journal_never_cuts_a_file_that_is_in_place(directory, tmp_path):
    """The spool and the finished file may be one file under two names."""
    await _interrupted(directory, tmp_path)
    os.link(tmp_path / "students.part", tmp_path / "students.ndjson")
    before = (tmp_path / "students.ndjson").read_bytes()
    directory.before = refusing("students", 70)
    with pytest.raises(NotFoundError):
        await export(directory, ["students"], to=tmp_path, resume=True, concurrency=1)
    assert (tmp_path / "students.ndjson").read_bytes() == before


async def test_a_file_that_is_in_place_is_not_made_of_itself(directory, tmp_path, monkeypatch):
    """Killed between the name and the manifest: the next run needs no request, and leaves nothing else behind."""

    def unsaved(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Manifest, "save", unsaved)
    with pytest.raises(OSError, match="Input/output"):
        await export(directory, ["students"], to=tmp_path)
    monkeypatch.undo()
    directory.requests.clear()
    report = await export(directory, ["students"], to=tmp_path, resume=True)
    assert (directory.requests, report.rows, sorted(_files(tmp_path))) == ([], 95, ["students.ndjson"])


async def test_a_file_system_without_links_will_do(directory, tmp_path, monkeypatch):
    """A copy is as good; both are for the owner alone."""

    def link(*_, **__):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", link)
    await export(directory, ["students"], to=tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out" / "students.ndjson").stat().st_mode) == 0o600
    monkeypatch.undo()
    assert _files(tmp_path / "out") == await _undisturbed(directory, tmp_path / "whole")


@pytest.mark.parametrize("kind", ["ndjson", "csv", "stream"])
async def test_rows_deleted_during_the_read_are_left_out_of_a_file(tmp_path, kind):
    """A file holds no ghosts; a stream cannot take them back, and says how many there are."""
    stream = io.BytesIO()
    async with Meitner.sandbox(students=60, schools=2) as meitner:
        doomed = (await meitner.students.list(limit=30).all())[:3]
        deleting = []

        async def delete():
            for student in doomed:
                for placement in await meitner.student_placements.search(student_id=student.id).all():
                    await meitner.student_placements.delete(placement.id)
                await meitner.students.delete(student.id)

        def progress(step):
            if step.rows == 20 and not deleting:
                deleting.append(asyncio.ensure_future(delete()))

        how = {"to": stream} if kind == "stream" else {"to": tmp_path, "format": kind}
        report = await export(meitner, ["students"], page_size=10, concurrency=1, progress=progress, **how)
        await asyncio.gather(*deleting)
    (one,) = report.resources
    data = stream.getvalue().decode() if kind == "stream" else (tmp_path / f"students.{kind}").read_text()
    ghosts = sum(student.id in data for student in doomed)
    assert (one.gone, one.complete, one.level) == (3, True, "repaired")
    assert (one.rows, ghosts) == ((60, 3) if kind == "stream" else (57, 0))
    assert len(data.splitlines()) == one.rows + (kind == "csv")


async def test_giving_up_while_a_format_is_written_leaves_the_rows(tmp_path, monkeypatch):
    """Ctrl-C during the conversion of a long spool ends it between two chunks; nothing need be fetched again."""
    monkeypatch.setattr(_spool, "_CHUNK", 300)
    opened = _writers.open_writer
    begun = threading.Event()

    def slow(*given, **named):
        writer = opened(*given, **named)
        write = writer.write
        writer.write = lambda lines: (write(lines), begun.set(), time.sleep(0.002))
        return writer

    monkeypatch.setattr(_writers, "open_writer", slow)
    directory = NumberedDirectory({"students": 2000}, page_cap=1000)
    running = asyncio.create_task(export(directory, ["students"], to=tmp_path, format="csv"))
    await asyncio.to_thread(begun.wait, 10)
    running.cancel()
    await asyncio.wait([running])
    assert sorted(_files(tmp_path)) == ["students.journal", "students.part"]
    monkeypatch.undo()
    directory.requests.clear()
    report = await export(directory, ["students"], to=tmp_path, format="csv", resume=True)
    assert (directory.requests, report.rows, sorted(_files(tmp_path))) == ([], 2000, ["students.csv"])


@pytest.mark.parametrize(
    ("how", "replace"),
    [
        ({}, True),
        ({"where": {"last_name": "Ek"}}, False),
        ({"since": datetime(2020, 1, 1, tzinfo=UTC)}, False),
        ({"limit": 99}, False),
    ],
)
async def test_only_all_rows_replace_those_of_a_shared_file(directory, tmp_path, monkeypatch, how, replace):
    """A part of the rows says nothing about the others."""
    seen = {}

    class Writer(NdjsonWriter):
        def __init__(self, kind, model, path, **named):
            seen.update(named, kind=kind, model=model, path=path)
            super().__init__(path.with_suffix(".tmp"), None)

        def close(self):
            super().close()
            self._path.replace(seen["path"])

    monkeypatch.setattr(_writers, "open_writer", Writer)
    directory.rows["schools"] = 0
    report = await export(directory, ["students"], to=tmp_path, format="sqlite", **how)
    assert (seen["kind"], seen["table"], seen["replace"], seen["model"]) == ("sqlite", "students", replace, Student)
    assert seen["path"] == tmp_path / "directory.sqlite"
    assert report.resources[0].file == "directory.sqlite"


async def test_resources_that_share_a_file_share_its_checksum(directory, tmp_path, monkeypatch):
    """The manifest is true of the file as it is, whichever resource came last."""

    class Writer(NdjsonWriter):
        def __init__(self, kind, model, path, **_):
            super().__init__(path.with_suffix(".tmp"), None)
            self._shared = path

        def close(self):
            super().close()
            with self._shared.open("ab") as shared:
                shared.write(self._path.read_bytes())
            self._path.unlink()

    monkeypatch.setattr(_writers, "open_writer", Writer)
    report = await export(directory, ["students", "schools"], to=tmp_path, format="sqlite")
    data = (tmp_path / "directory.sqlite").read_bytes()
    expected = {(hashlib.sha256(data).hexdigest(), len(data))}
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())["resources"].values()
    assert {(one["sha256"], one["bytes"]) for one in manifest} == expected
    assert {(one.sha256, one.bytes) for one in report.resources} == expected


async def test_a_plan_for_the_rest_counts_the_rest(tmp_path):
    """What was fetched before the interruption does not stand against `max_wait`."""
    async with Meitner.sandbox(students=500, quota=170, limiter="window") as meitner:
        how = {"to": tmp_path, "page_size": 5}

        def stop(step):
            if step.rows == 400:
                raise NotFoundError("stop")

        with pytest.raises(NotFoundError):
            await export(meitner, ["students"], concurrency=1, progress=stop, **how)
        with pytest.raises(QuotaExhausted):
            await export(meitner, ["students"], max_wait=1, **how)
        report = await export(meitner, ["students"], max_wait=1, resume=True, **how)
    assert (report.rows, report.complete) == (500, True)


async def test_a_spool_reads_back_what_was_written():
    """What a replay decodes is what was read: every student of the sandbox, whatever its fields."""
    async with Meitner.sandbox(students=80) as meitner:
        students = await meitner.students.list().all()
    lines = _spool.encode_lines(students)
    assert msgspec.json.Decoder(Student).decode_lines(lines) == students


@pytest.mark.parametrize(("kills", "step"), [(4, 16), pytest.param(50, 4, marks=pytest.mark.slow)])
async def test_kills_at_random_moments_cost_a_few_pages(tmp_path, kills, step):
    """`kill -9` at random times, and before every so many steps on the disk: then `resume`.

    The files are byte for byte those of an undisturbed export, their checksums those of the manifest; what was asked
    for again is what there was since the checkpoint, in flight, or not taken yet.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        killed_exports.__file__,
        str(tmp_path),
        "ndjson",
        str(kills),
        str(step),
        stdout=asyncio.subprocess.PIPE,
        env=importing(),
    )
    out, _ = await asyncio.wait_for(process.communicate(), 120)
    trials = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0
    assert sum(trial["killed"] for trial in trials) >= kills  # the others were faster than their bullet
    for trial in trials:
        assert (trial["resumed"], trial["torn"], trial["left"]) == (0, [], [])
        assert trial["equal"]
        assert trial["digests"]
        assert trial["refetched"] <= killed_exports.REFETCHED_AT_MOST
