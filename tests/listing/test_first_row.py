"""What a read holds at any moment, and what its first row waits for. Seconds are virtual; rows are counted as objects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from fake_directory import BEGIN, FakeDirectory, Row, row_id, stamp
from fault_server import FaultServer, Incoming, page, student_id
from fault_server import run as run_served
from virtual_time import run

from meitner_aio import Meitner, ResponseValidationError
from meitner_aio._listing.listing import Listing
from meitner_aio._listing.prefetch import ROWS, Idle
from meitner_aio._listing.source import PageRequest
from meitner_aio._wire.decoding import DecodedPage
from meitner_aio._wire.last_counts import LastCount
from meitner_aio.records import Meta, Pagination

TOTAL = 13_000
_MADE = Meta(created_at=stamp(BEGIN - 86_400.0))


@pytest.fixture(autouse=True, scope="module")
def _on_a_network() -> Iterator[None]:
    """Virtual seconds pass in no time, which looks like a busy processor: say that it is not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Idle, "busy", lambda _: False)
        yield


class _Held:
    """How many rows there are now, and the most there ever were."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def add(self, rows: int) -> None:
        self.now += rows
        self.most = max(self.most, self.now)


class _Answer:
    """The bytes of so many rows: held from the request on, until nothing refers to them."""

    def __init__(self, held: _Held, rows: int) -> None:
        self._held, self._rows = held, rows
        held.add(rows)

    def __del__(self) -> None:
        self._held.now -= self._rows


class _Counted:
    """A decoded row, which counts as long as it exists."""

    __slots__ = ("_held", "id", "meta")

    def __init__(self, held: _Held, number: int) -> None:
        self.id, self.meta, self._held = row_id(number), _MADE, held
        held.add(1)

    def __del__(self) -> None:
        self._held.now -= 1


class _Directory(FakeDirectory):
    """Makes rows when an answer is decoded, and counts both."""

    def __init__(self, **how: Any) -> None:
        super().__init__([], **how)
        self.held = _Held()
        self.decoded = 0

    async def fetch(self, ask: PageRequest) -> DecodedPage[Any]:
        return (await self.fetch_raw(ask))()

    async def fetch_raw(self, ask: PageRequest) -> Callable[[], DecodedPage[Any]]:
        numbers = range(ask.offset, min(ask.offset + ask.limit, TOTAL))
        answer = _Answer(self.held, len(numbers))
        self.asks.append(ask)
        await asyncio.sleep(self.latency(ask))

        def decode(_: _Answer = answer) -> DecodedPage[Any]:
            self.decoded += 1
            pagination = Pagination(offset=ask.offset, limit=ask.limit, total=TOTAL)
            return DecodedPage([_Counted(self.held, number) for number in numbers], pagination, (), self.now)

        return decode


@pytest.mark.parametrize(
    ("limit", "concurrency"), [(100, 1), (100, 8), (100, 32), (500, 8), (1000, 1), (1000, 8), (2500, 8), (4000, 8)]
)
@pytest.mark.parametrize("known", [False, True])
def test_rows_held_at_any_moment_are_bounded(limit: int, concurrency: int, known: bool) -> None:
    """In flight or waiting: 5,000, or two pages of larger ones. Then the page being delivered, and the reader's row."""
    directory = _Directory(latency=lambda _: 1.0, counted=LastCount(TOTAL, limit) if known else None)

    async def reading() -> int:
        number = 0
        async for _ in Listing[Row](directory, limit=limit, concurrency=concurrency):
            number += 1
            if number % (limit // 2) == 1:
                await asyncio.sleep(10.0)  # everything arrives that may
        return number

    assert run(reading(), debug=False) == TOTAL
    ahead = min(2 * concurrency * limit, max(ROWS, 2 * limit))
    assert ahead <= directory.held.most <= ahead + limit + 1
    assert directory.held.now == 0


@pytest.mark.parametrize("others", [1.0, 100.0])
@pytest.mark.parametrize("known", [False, True])
def test_the_first_row_waits_for_one_answer_and_one_decoding(known: bool, others: float) -> None:
    """Of pages that are under way at the same time, it neither awaits nor decodes another one."""
    directory = _Directory(
        latency=lambda ask: others if ask.offset else 1.0, counted=LastCount(TOTAL, 1000) if known else None
    )

    async def first() -> tuple[str, float, int]:
        async with aclosing(Listing[Row](directory, limit=1000).__aiter__()) as rows:
            one = await anext(rows)
            return one.id, asyncio.get_running_loop().time(), directory.decoded

    assert run(first()) == (row_id(0), pytest.approx(1.0), 1)


async def _last_is_broken(incoming: Incoming) -> bool:
    """Break row 999: a number where a name belongs."""
    good = f'"{student_id(999)}",'.encode()
    incoming.say(page(0, 1000, 1000).replace(good, good + b'"lastName":7,"ignored":0,'))
    return True


def test_no_row_is_delivered_before_its_page_is_known_to_be_valid() -> None:
    """The last row of a page of 1,000 is wrong: not even the first one arrives, unless such rows are to be skipped."""

    async def main() -> tuple[list[str], str | None, list[str]]:
        got: list[str] = []
        async with (
            FaultServer(1000, before=_last_is_broken) as server,
            Meitner("an-id", "a-secret", base_url=server.url, retry=None) as meitner,
        ):
            with pytest.raises(ResponseValidationError) as caught:
                async for student in meitner.students.list():
                    got.append(student.id)
            skipping = meitner.students.list().paged(on_invalid="skip")
            return got, caught.value.row, [student.id async for student in skipping]

    assert run_served(main()) == ([], student_id(999), [student_id(number) for number in range(999)])
