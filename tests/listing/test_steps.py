"""Long work of a listing is done in short steps, between which the event loop does other things, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from fake_directory import row_id

from meitner_aio._listing import seen_ids
from meitner_aio._listing.reader import Read
from meitner_aio._listing.reading import Reading
from meitner_aio._listing.source import Deletions, Forgetful, PageRequest
from meitner_aio._listing.steps import at_once, in_turns
from meitner_aio._wire.decoding import DecodedPage
from meitner_aio.records import Pagination

DAWN = datetime(2020, 1, 1, tzinfo=UTC)
SIZE = 100
BACK = [*range(30), 3, *range(30, 35)]
"""Pages as they come: one of those at the beginning comes again after thirty."""


class _Directory(Forgetful):
    """A list whose pages come as `BACK` says."""

    model, searchable, updates_matter = SimpleNamespace, False, False

    async def fetch(self, ask: PageRequest) -> DecodedPage[Any]:
        first = BACK[ask.offset // SIZE] * SIZE
        rows = [_row(number) for number in range(first, first + SIZE)]
        return DecodedPage(rows, Pagination(offset=ask.offset, limit=SIZE, total=len(BACK) * SIZE))

    async def fetch_raw(self, ask: PageRequest) -> Callable[[], DecodedPage[Any]]:
        page = await self.fetch(ask)
        return lambda: page

    async def created(self, *_: object) -> DecodedPage[Any]:
        raise NotImplementedError

    async def deleted(self, _since: datetime) -> Deletions:
        return Deletions(None)


def _row(number: int) -> SimpleNamespace:
    made = SimpleNamespace(created_at=DAWN + timedelta(seconds=number), updated_at=None)
    return SimpleNamespace(id=row_id(number), meta=made)


def _read() -> Read[Any]:
    return Read(_Directory(), Reading(limit=SIZE, concurrency=1))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have the notes moved a page at a time; the value counts the steps."""
    monkeypatch.setattr(seen_ids, "STEP", 1)
    taken: list[int] = []
    gather = seen_ids.Distinct._gathering

    def gathering(self: seen_ids.Distinct, rows: int) -> Iterator[None]:
        for _ in gather(self, rows):
            taken.append(rows)
            yield

    monkeypatch.setattr(seen_ids.Distinct, "_gathering", gathering)
    return taken


async def test_the_event_loop_has_a_turn_after_every_step(steps: list[int]) -> None:
    """While the notes of a long read are moved, others run: one turn a step."""
    read, turns, before = _read(), 0, 0

    async def beside() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(beside())
    while not steps:
        before = turns
        await read.next()
    other.cancel()
    assert len(steps) == 30
    assert turns - before >= 30
    await read.close()


async def test_a_reader_that_is_cancelled_while_a_page_is_checked_finds_the_page_again(steps: list[int]) -> None:
    """Cancelled at every turn of the check and called again, a read delivers every row once, and counts it once."""
    read, rows, cancelled = _read(), list[str](), 0
    while True:
        task = asyncio.create_task(read.next())
        while not task.done() and not steps:
            await asyncio.sleep(0)
        if steps and not task.done():
            steps.clear()
            cancelled += task.cancel()
            await asyncio.wait([task])
            continue
        page = await task
        steps.clear()
        if page is None:
            break
        rows += [row.id for row in page.data]
    assert cancelled > 20
    assert rows == [row_id(number) for number in range(35 * SIZE)]
    assert (read.tracker.rows, read.tracker.duplicates) == (35 * SIZE, SIZE)


async def test_steps_give_their_result_at_once_and_in_turns() -> None:
    """Whoever does the steps gets what they return."""

    def three() -> Any:
        yield
        yield
        return 3

    assert at_once(three()) == 3
    assert await in_turns(three()) == 3
