"""Export: files that are whole or absent, and a manifest that says what they are."""

import asyncio
import hashlib
import json
import os
import stat
import threading
from datetime import datetime

import pytest
from numbered_directory import NumberedDirectory, refusing, row

from meitner_aio import MeitnerError, NotFoundError
from meitner_aio.export import Progress, export, resource_names
from meitner_aio.resources import RESOURCES


@pytest.fixture
def directory():
    """Return a directory of seven schools and twenty-five students."""
    return NumberedDirectory()


def _lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "exports.log")


async def test_one_file_a_resource_with_one_record_a_line(directory, tmp_path):
    """Every row is there once, in the server's order."""
    await export(directory, ["students", "schools"], to=tmp_path / "out")
    assert [line["id"] for line in _lines(tmp_path / "out" / "students.ndjson")] == [
        row("students", number)["id"] for number in range(25)
    ]
    assert len(_lines(tmp_path / "out" / "schools.ndjson")) == 7
    assert _names(tmp_path / "out") == ["manifest.json", "schools.ndjson", "students.ndjson"]


async def test_records_are_spelled_as_the_api_does(directory, tmp_path):
    """Wire names and plain UTF-8: what any other tool of the API reads."""
    await export(directory, ["students"], to=tmp_path)
    first = (tmp_path / "students.ndjson").read_bytes().splitlines()[0]
    assert "Åsa".encode() in first
    assert json.loads(first)["identityNumber"] == "20100101-0000"


async def test_all_resources_when_none_is_named(directory, tmp_path):
    """All eleven, in the order of RESOURCES; a resource without rows is an empty file."""
    report = await export(directory, to=tmp_path)
    assert [one.resource for one in report.resources] == list(RESOURCES)
    assert (tmp_path / "audit_events.ndjson").read_bytes() == b""


async def test_the_report_has_the_facts(directory, tmp_path):
    """What was read, in how many pages, and the file that holds it."""
    report = await export(directory, ["students"], to=tmp_path)
    (one,) = report.resources
    data = (tmp_path / "students.ndjson").read_bytes()
    assert (one.resource, one.file, one.format) == ("students", "students.ndjson", "ndjson")
    assert (one.rows, one.total, one.requests, one.complete) == (25, 25, 3, True)
    assert (one.bytes, one.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert 0 <= one.seconds <= report.seconds
    assert (report.complete, report.rows) == (True, 25)


async def test_a_listing_that_never_rests_is_not_complete(tmp_path):
    """A grade that goes during every pass, and is back for the next: no file claims to be whole that may not be."""
    directory = NumberedDirectory({"grade_elementaries": 25})

    def flicker(_, offset):
        directory.rows["grade_elementaries"] = 24 if offset else 25

    directory.before = flicker
    report = await export(directory, ["grade_elementaries"], to=tmp_path, concurrency=1)
    (one,) = report.resources
    assert (one.complete, one.level, report.complete) == (False, "unverified", False)
    assert not json.loads((tmp_path / "manifest.json").read_bytes())["resources"]["grade_elementaries"]["complete"]


async def test_progress_is_emitted_after_every_page_and_at_the_end(directory, tmp_path):
    """What a progress bar needs: rows so far, rows in all, and when the file is in place."""
    steps = []

    def progress(step):
        steps.append(step)
        assert not step.finished or (tmp_path / "students.ndjson").exists()

    await export(directory, ["students"], to=tmp_path, progress=progress)
    assert steps == [
        *(Progress("students", rows, 25, requests=asked) for asked, rows in enumerate((10, 20, 25), 1)),
        Progress("students", 25, 25, finished=True, requests=3),
    ]


async def test_page_size_and_concurrency_reach_the_listing(directory, tmp_path):
    """The quota is counted in requests: the caller decides how large they are."""
    directory.page_cap = 1000
    await export(directory, ["students"], to=tmp_path, page_size=5, concurrency=2)
    assert [(limit, offset) for _, limit, offset in directory.requests] == [(5, at) for at in range(0, 25, 5)]


@pytest.mark.parametrize(
    ("names", "hint"), [(["studens"], "did you mean 'students'"), (["schools", "xyz"], "no resource 'xyz'")]
)
async def test_an_unknown_resource_is_refused_before_any_io(directory, tmp_path, names, hint):
    """A typing error costs no request and leaves nothing behind."""
    with pytest.raises(ValueError, match=hint):
        await export(directory, names, to=tmp_path / "out")
    assert not directory.requests
    assert not (tmp_path / "out").exists()


async def test_an_unknown_format_is_refused_before_any_io(directory, tmp_path):
    """As an unknown resource is."""
    with pytest.raises(ValueError, match="no format 'xml'"):
        await export(directory, ["students"], to=tmp_path / "out", format="xml")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ((), tuple(RESOURCES)),
        (["students"], ("students",)),
        ("students", ("students",)),
        (["student-placements", "groups", "student_placements"], ("student_placements", "groups")),
    ],
)
def test_resource_names_as_people_write_them(given, meant):
    """Hyphens, repetitions and a single name are understood."""
    assert resource_names(given) == meant


async def test_files_are_for_their_owner_alone(directory, tmp_path):
    """The data is about children: 0600 in a 0700 folder, whatever the umask."""
    before = os.umask(0)
    try:
        await export(directory, ["students"], to=tmp_path / "out")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()} == {0o600}


async def test_a_folder_that_exists_keeps_its_mode(directory, tmp_path):
    """The folder of somebody else is not ours to close."""
    tmp_path.chmod(0o755)
    await export(directory, ["students"], to=tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


async def test_a_failure_leaves_earlier_exports_as_they_were(directory, tmp_path):
    """An export of yesterday is worth more than half of one of today."""
    await export(directory, ["schools", "students"], to=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "exports.log"}
    directory.rows["students"] = 30
    directory.before = refusing("students", 20)
    with pytest.raises(NotFoundError):
        await export(directory, ["students"], to=tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


async def test_what_was_finished_before_a_failure_stays(directory, tmp_path):
    """A resource that is done is done, in its file and in the manifest."""

    def before(name, _):
        if name == "students" and (tmp_path / "manifest.json").exists():
            raise NotFoundError("gone")

    directory.before = before
    directory.rows["students"] = 50_000
    with pytest.raises(NotFoundError):
        await export(directory, ["schools", "students"], to=tmp_path)
    assert {"manifest.json", "schools.ndjson"} <= set(_names(tmp_path))
    assert list(json.loads((tmp_path / "manifest.json").read_bytes())["resources"]) == ["schools"]


async def test_the_first_failure_ends_the_other_resources(directory, tmp_path):
    """Nobody waits for what cannot become whole any more."""
    directory.rows["students"] = 50_000
    directory.before = refusing("schools", 0)
    with pytest.raises(NotFoundError):
        await export(directory, ["schools", "students"], to=tmp_path)
    assert len(directory.requests) < 1000
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_cancelling_leaves_whole_files_and_no_task(directory, tmp_path):
    """Whenever it is cancelled: what has a name is whole, what can be continued has a journal, nothing still runs."""
    for step in range(1, 60):
        running = asyncio.create_task(export(directory, ["students"], to=tmp_path, page_size=5))
        for _ in range(step):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert (tmp_path / "students.part").exists() <= (tmp_path / "students.journal").exists()
        for path in tmp_path.glob("*.ndjson"):
            assert len(_lines(path)) == 25


async def test_rows_without_a_journal_are_removed(directory, tmp_path, monkeypatch):
    """A disk that fails at once is an error, not a short file."""
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(full))
    with pytest.raises(OSError, match="No space left"):
        await export(directory, ["students"], to=tmp_path)
    assert _names(tmp_path) == []


@pytest.mark.parametrize("name", ["students.part", "students.ndjson.part", "students.journal.part"])
async def test_what_is_in_the_way_is_replaced(directory, tmp_path, name):
    """A part file of before, readable by all or a link to elsewhere, is never written to."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / name).symlink_to(elsewhere)
    await export(directory, ["students"], to=out)
    assert elsewhere.read_text() == "mine"
    assert _names(out) == ["manifest.json", "students.ndjson"]
    assert stat.S_IMODE((out / "students.ndjson").lstat().st_mode) == 0o600


async def test_two_exports_do_not_share_a_folder(directory, tmp_path):
    """The second is refused at once, the first is unharmed."""
    second = []

    def progress(_):
        second.append(asyncio.ensure_future(export(NumberedDirectory(), ["students"], to=tmp_path)))

    report = await export(directory, ["schools"], to=tmp_path, progress=progress)
    first_refusal = (await asyncio.gather(*second, return_exceptions=True))[0]
    assert isinstance(first_refusal, MeitnerError)
    assert "another export" in str(first_refusal)
    assert report.complete


async def test_the_manifest_describes_every_file_of_the_folder(directory, tmp_path):
    """A later export of another resource adds to it."""
    await export(directory, ["schools"], to=tmp_path)
    await export(directory, ["students"], to=tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert manifest["version"] == 1
    assert list(manifest["resources"]) == ["schools", "students"]
    for one in manifest["resources"].values():
        data = (tmp_path / one["file"]).read_bytes()
        assert one["sha256"] == hashlib.sha256(data).hexdigest()
        assert one["bytes"] == len(data)
        assert one["rows"] == len(data.splitlines())
        assert datetime.fromisoformat(one["exported_at"]).tzinfo is not None


async def test_the_manifest_holds_no_personal_data(directory, tmp_path):
    """It may be sent to whoever asks how an export went."""
    await export(directory, ["students"], to=tmp_path)
    manifest = (tmp_path / "manifest.json").read_text()
    assert not [text for text in ("20100101", "Åsa", "Ek", "00000000-0000") if text in manifest]


@pytest.mark.parametrize("foreign", ['{"name": "a web app", "icons": []}', "not JSON", '{"version": 99}'])
async def test_a_manifest_of_another_kind_is_not_overwritten(directory, tmp_path, foreign):
    """`--to .` in the wrong folder costs nothing."""
    (tmp_path / "manifest.json").write_text(foreign)
    with pytest.raises(MeitnerError, match="another folder"):
        await export(directory, ["students"], to=tmp_path)
    assert (tmp_path / "manifest.json").read_text() == foreign
    assert not directory.requests


async def test_the_event_loop_never_writes(directory, tmp_path, monkeypatch):
    """A slow disk must not stop what else the program does."""
    threads = set()
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (threads.add(threading.current_thread()), fsync(handle)))
    await export(directory, ["students"], to=tmp_path)
    assert threads
    assert threading.main_thread() not in threads


async def test_memory_holds_pages_not_resources(directory, tmp_path):
    """While the disk is slow, no more pages wait than twice as many as may be in flight."""
    directory.rows["students"] = 1000
    asked_at = []
    await export(
        directory,
        ["students"],
        to=tmp_path,
        concurrency=4,
        progress=lambda step: asked_at.append(len(directory.requests) - step.rows // 10),
    )
    assert max(asked_at) <= 2 * 4
