"""A read that is continued: what it sees a second time, it sees as it was the first time."""

import asyncio
import tempfile
from contextlib import nullcontext

import pytest
from fake_directory import BEGIN, FakeDirectory, Row, row
from hypothesis import assume, given, settings
from hypothesis import strategies as some
from paged_server import Page, Server, refuses

from meitner_aio import NotFoundError
from meitner_aio._listing.reader import Read, Reading
from meitner_aio._listing.source import PageRequest
from meitner_aio.errors import APIConnectionError
from meitner_aio.export import _spool, export
from meitner_aio.export._files import Folder
from meitner_aio.export._journal import Choices, Journal
from meitner_aio.export._source import Answered, ExportSource
from meitner_aio.export._spool import Spool
from meitner_aio.records import Pagination

CHOICES = Choices("ndjson", None, "", None, None, 7)
HISTORIES = some.lists(
    some.tuples(
        some.integers(0, 12),
        some.sampled_from(["delete", "move", "insert", "repeat", "short", "empty"]),
        some.integers(0, 50),
    ),
    max_size=5,
)


def _moving(rows, history):
    """Return a directory in which something happens before some of its answers."""
    answers = iter(range(10**6))
    cuts = []

    def before(directory):
        at = next(answers)
        for when, what, far in history:
            if when == at and directory.rows:
                place = far % len(directory.rows)
                if what == "insert":
                    directory.rows.insert(place, row(1000 + at, BEGIN + at))
                elif what in ("short", "empty"):
                    cuts.append(2 if what == "short" else 0)
                elif what == "repeat":
                    directory.rows.append(directory.rows[place])
                else:
                    gone = directory.rows.pop(place)
                    directory.rows += [gone] if what == "move" else []

    def answer(fetched, _):
        return fetched._replace(rows=fetched.rows[: cuts.pop()]) if cuts else fetched

    return FakeDirectory([row(number) for number in range(rows)], before=before, answer=answer)


async def _read(source, folder, journal, limit=7):
    """Read through a spool as an export does; return the report, the pages that came from afar, and the rows."""
    spool = Spool(folder, journal)
    spool.open()
    read = Read(ExportSource(source, nullcontext(), None), Reading(limit, concurrency=3))
    for answer in spool.replay(Row):
        read.again(answer)
    afar = 0
    try:
        while (page := await read.next()) is not None:
            spool.append(page.data, page.pagination)
            afar += 1
        return read.tracker.report(), afar, b"".join(spool.chunks())
    finally:
        await read.close()
        spool.checkpoint()
        spool.close()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(rows=some.integers(0, 60), cap=some.sampled_from([3, 7]), history=HISTORIES)
def test_a_replay_is_the_read_that_was_recorded(rows, cap, history):
    """Duplicates, short pages, clamped limits, totals that move: the books of the replay are those of the read."""
    directory = _moving(rows, history)
    directory.cap = cap
    silent = FakeDirectory([])  # a page that was asked for in vain holds nothing a second time, either
    with tempfile.TemporaryDirectory() as path, Folder(path) as folder:
        first, _, written = asyncio.run(_read(directory, folder, Journal(folder, "rows", CHOICES)))
        assume("ends after 0 rows" not in str(first.problems))  # such an end is looked behind when there is a next time
        again, afar, kept = asyncio.run(_read(silent, folder, Journal.left(folder, "rows")))
    assert (again, kept, afar) == (first, written, 0)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(rows=some.integers(8, 60), history=HISTORIES, stop=some.integers(1, 6))
def test_an_interruption_changes_no_page_before_it(rows, history, stop):
    """What was read before the interruption stays what it was; the rest is the directory's as it then is."""
    directory = _moving(rows, history)
    directory.failures[7 * stop] = APIConnectionError("cut off")
    with tempfile.TemporaryDirectory() as path, Folder(path) as folder:
        try:
            asyncio.run(_read(directory, folder, Journal(folder, "rows", CHOICES)))
        except APIConnectionError:
            directory.failures.clear()
            journal = Journal.left(folder, "rows")
            pages, size = len(journal.marks), journal.marks[-1].end
            before = (folder.path / "rows.part").read_bytes()
            asked = len(directory.asks)
            _, afar, lines = asyncio.run(_read(directory, folder, journal))
            assert lines[:size] == before[:size]
            assert pages >= stop
            assert len(journal.marks) == pages + afar
            recorded = {mark.offset for mark in journal.marks[:pages] if mark.size}
            assert not recorded & {ask.offset for ask in directory.asks[asked:]}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(rows=some.integers(0, 60), sizes=some.lists(some.integers(1, 12), min_size=1, max_size=6), history=HISTORIES)
def test_a_replay_of_a_read_that_sought_the_largest_page(rows, sizes, history):
    """Pages that grew until the largest was known: the books of the replay are those of the read."""
    directory = _moving(rows, history)
    moving, growing = directory.answer, iter(sorted(sizes))

    def answer(fetched, ask):
        if not ask.open:
            return moving(fetched, ask)
        size = next(growing, max(sizes))
        reported = Pagination(offset=ask.offset, limit=size, total=fetched.pagination.total)
        fetched = fetched._replace(rows=fetched.rows[:size], pagination=reported, asked=size, larger=size < max(sizes))
        return moving(fetched, ask)

    directory.answer = answer
    silent = FakeDirectory([])
    with tempfile.TemporaryDirectory() as path, Folder(path) as folder:
        first, _, written = asyncio.run(_read(directory, folder, Journal(folder, "rows", CHOICES), None))
        assume("ends after 0 rows" not in str(first.problems))
        assume(first.rows)
        again, afar, kept = asyncio.run(_read(silent, folder, Journal.left(folder, "rows"), None))
    assert (again, kept, afar) == (first, written, 0)


@pytest.mark.parametrize("stop", [1, 3, 6, 9, 13])
async def test_a_read_that_sought_the_largest_page_goes_on_with_it(tmp_path, stop):
    """Interrupted on the way to it, the next run finds it, too: no row twice, and no small pages to the end."""

    def failing(limit):
        if len(server.asked) > stop:
            return Page(status=404)
        return refuses(500)(limit)

    server = Server(9_000, failing)
    async with server.client() as meitner:
        with pytest.raises(NotFoundError):
            await export(meitner, ["students"], to=tmp_path)
    server.rule = refuses(500)
    server.asked.clear()
    async with server.client() as meitner:
        report = await export(meitner, ["students"], to=tmp_path, resume=True)
    assert (report.rows, report.complete) == (9_000, True)
    assert len(server.asked) <= 18 + 6
    assert len(set((tmp_path / "students.ndjson").read_bytes().splitlines())) == 9_000


async def test_an_export_asks_patiently_and_not_beyond_a_limit():
    """Every page may wait for the quota, the first one too; pages fetched ahead stop where nobody reads."""
    directory = FakeDirectory([row(number) for number in range(100)])
    source = ExportSource(directory, nullcontext(), 14)
    await source.fetch(PageRequest(7, 0))
    (await source.fetch_raw(PageRequest(7, 7)))()
    for beyond in (await source.fetch(PageRequest(7, 14)), (await source.fetch_raw(PageRequest(7, 21)))()):
        assert (beyond.rows, beyond.pagination.total) == ([], 100)
    assert directory.asks == [PageRequest(7, 0, bulk=True), PageRequest(7, 7, bulk=True)]


@pytest.mark.parametrize(("pages", "seconds", "synced"), [(3, 1e9, [3, 6]), (1000, 0.0, list(range(1, 8)))])
def test_checkpoints_come_by_pages_and_by_time(tmp_path, monkeypatch, pages, seconds, synced):
    """So many pages, or so many seconds: whichever is first."""
    monkeypatch.setattr(_spool, "PAGES", pages)
    monkeypatch.setattr(_spool, "SECONDS", seconds)
    found = []
    with Folder(tmp_path) as folder:
        spool = Spool(folder, Journal(folder, "rows", CHOICES))
        spool.open()
        for number in range(1, 8):
            answer = Answered(offset=number, limit=1, total=9, size=1, date=None)
            spool.append([row(number)], answer)
            if len(spool.journal.marks) == number:
                found.append(number)
        spool.close()
    assert found == synced
