"""Every row once, from a directory that changes while it is read: seeded histories against the real sandbox."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from meitner_aio import IncompleteListing, like
from meitner_aio._wire.messages import RawResponse, Request
from meitner_aio.resources import GradeElementaries, Groups, Resource, Schools, Students
from meitner_aio.sandbox import Sandbox

ROWS, PAGE = 60, 7
KEY = {"Client-ID": "a", "Client-Secret": "b"}
ORDERS = ("created", "-created", "updated")


class Clock:
    """Seconds since 1970 that stand still unless told otherwise."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.4

    def __call__(self) -> float:
        return self.now


class History:
    """A directory of groups in which something happens before every answer of a listing, by seed."""

    def __init__(
        self, seed: int, order: Any, *, busy: float = 0.6, kinds: str = "cdu", apart: tuple[float, ...] = (0, 0, 1, 30)
    ) -> None:
        self.clock = Clock()
        self.clock.now -= 7200
        self.random = random.Random(f"{seed} {order}")
        self.sandbox = Sandbox(
            students=0, schools=1, order=order, clock=self.clock, limiter="none", resolution="microsecond"
        )
        self.busy, self.kinds, self.apart = busy, kinds, apart
        self.active = False
        self.titles = 0
        self.strip_traceback = Groups(self._direct)
        """The groups, by a door that changes nothing."""
        self.there: dict[str, Any] | None = None
        """The rows that the first answer counted."""

    async def _direct(self, request: Request) -> RawResponse:
        return await self.sandbox.send(msgspec.structs.replace(request, headers=KEY))

    async def begin(self) -> None:
        """Fill the directory, and let the rows grow old."""
        self.school = (await Schools(self._direct).list().first()).id  # type: ignore[union-attr]
        for group in self.sandbox.records("groups"):
            await self.strip_traceback.delete(group.id)
        for _ in range(ROWS):
            await self._create()
            self.clock.now += self.random.choice(self.apart)
        self.clock.now = Clock().now
        self.active = True

    async def _create(self) -> None:
        self.titles += 1
        await self.strip_traceback.create(title=f"g{self.titles}", school_id=self.school, category="Other")  # type: ignore[arg-type]

    async def _happen(self) -> None:
        rows = self.sandbox.records("groups")
        kind = self.random.choice(self.kinds)
        if kind == "c" or not rows:
            await self._create()
        elif kind == "d":
            await self.strip_traceback.delete(self.random.choice(rows).id)
        else:
            row = self.random.choice(rows)
            await self.strip_traceback.update(row.id, title=f"{row.title}'")

    async def send(self, request: Request) -> RawResponse:
        """Answer, after whatever happens just then."""
        if self.active and "group" in request.path:
            while self.random.random() < self.busy:
                await self._happen()
            self.clock.now += self.random.choice((0, 0, 0, 0.3))
            if self.there is None:
                self.there = self.now()
        return await self._direct(request)

    def now(self) -> dict[str, Any]:
        """Return the rows that are there at this moment."""
        return {group.id: group for group in self.sandbox.records("groups")}

    def missing(self, got: set[str]) -> set[str]:
        """Rows that were there at the first answer and still are, and were not delivered."""
        assert self.there is not None
        return (self.there.keys() & self.now().keys()) - got


async def _naive(resource: Resource[Any]) -> set[str]:
    """Read by offsets until the total is reached, as everybody does."""
    got: set[str] = set()
    offset, total = 0, 1
    while offset < total:
        page = await resource.list(limit=PAGE, offset=offset)  # type: ignore[attr-defined]
        got |= {row.id for row in page}
        offset, total = offset + PAGE, page.pagination.total
    return got


async def _histories(count: int, read: Callable[[History], Any], order: str, **how: Any) -> list[Any]:
    found = []
    for seed in range(count):
        history = History(seed, order, **how)
        await history.begin()
        found.append(await read(history))
    return found


@pytest.mark.parametrize("order", ORDERS)
async def test_an_exact_read_lacks_no_row_that_was_there_throughout(order: str) -> None:
    """50 histories for each order of the server: nothing missing, nothing twice, and the level says why."""

    async def read(history: History) -> str:
        listing = Groups(history.send).list(limit=PAGE, concurrency=4).paged(exact=True)
        got = [group.id async for group in listing]
        assert len(got) == len(set(got)) == listing.report.rows
        assert not history.missing(set(got))
        assert listing.report.complete
        return listing.report.level

    levels = await _histories(50, read, order)
    assert levels.count("repaired") > len(levels) / 2


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kinds", ["cdu", "cd", "d", "u", "c"])
async def test_an_incomplete_read_is_never_called_complete(order: str, kinds: str) -> None:
    """A plain read that lost rows does not report `complete`."""

    async def read(history: History) -> tuple[bool, bool]:
        listing = Groups(history.send).list(limit=PAGE, concurrency=4)
        got = {group.id async for group in listing}
        return listing.report.complete, bool(history.missing(got))

    found = await _histories(25, read, order, busy=0.15, kinds=kinds)
    assert (True, True) not in found
    assert any(complete for complete, _ in found)


@pytest.mark.parametrize("order", ORDERS)
async def test_a_strict_read_is_complete_or_raises(order: str) -> None:
    """`strict=True` raises when rows may be missing."""

    async def read(history: History) -> bool:
        got: set[str] = set()
        try:
            async for group in Groups(history.send).list(limit=PAGE).paged(strict=True):
                got.add(group.id)
        except IncompleteListing:
            return False
        assert not history.missing(got)
        return True

    found = await _histories(40, read, order, busy=0.1)
    assert set(found) == {True, False}


@pytest.mark.parametrize("order", ORDERS)
async def test_a_naive_reader_loses_rows_in_the_same_histories(order: str) -> None:
    """Control: a plain reader by offsets loses rows in the same histories."""

    async def read(history: History) -> bool:
        return bool(history.missing(await _naive(Groups(history.send))))

    found = await _histories(30, read, order)
    assert sum(found) > len(found) / 2


@pytest.mark.parametrize("order", ORDERS)
async def test_an_exact_search_lacks_no_row_that_matched_throughout(order: str) -> None:
    """Updates move rows in and out of a search without an event; an exact search still has every row."""

    async def read(history: History) -> str:
        listing = Groups(history.send).search(title=~like("%''%")).paged(limit=PAGE, exact=True)
        got = [group.id async for group in listing]
        assert len(got) == len(set(got))
        assert history.there is not None
        matched = {id_ for id_, group in history.there.items() if "''" not in group.title}
        still = {id_ for id_, group in history.now().items() if "''" not in group.title}
        assert not (matched & still) - set(got)  # a title only ever gains a mark, so that it matched all the time
        assert listing.report.complete
        return listing.report.level

    levels = await _histories(30, read, order)
    assert levels.count("repaired") > len(levels) / 2


async def test_an_undisturbed_exact_read_costs_nothing_more() -> None:
    """Old rows that do not move are proven by the read itself."""
    history = History(1, "created", busy=0.0)
    await history.begin()
    listing = Groups(history.send).list(limit=PAGE).paged(exact=True)
    assert len(await listing.all()) == ROWS
    assert listing.report.requests == -(-ROWS // PAGE)
    assert listing.report.level == "certified"


@pytest.mark.parametrize("order", ORDERS)
async def test_rows_created_while_the_clock_stands_are_read_whole(order: str) -> None:
    """A bulk import: stamps a microsecond apart, and deletions and updates before nearly every answer."""
    for seed in range(5):
        history = History(seed, order, busy=0.9, kinds="du", apart=(0,))
        await history.begin()
        listing = Groups(history.send).list(limit=2).paged(exact=True)
        got = {group.id async for group in listing}
        assert not history.missing(got)
        assert listing.report.complete


async def test_three_deletions_in_two_thousand_rows_cost_a_few_requests() -> None:
    """Only the windows that lost a row are read again: 50 requests and no more for a read of 20."""
    sandbox = Sandbox(students=2000, clock=Clock(), limiter="none")
    rows = {student.id: student for student in sandbox.records("students")}
    calls = 0

    async def send(request: Request) -> RawResponse:
        nonlocal calls
        calls += 1
        if calls in (5, 9, 14):
            victim = sandbox.records("students")[calls * 40].id
            await sandbox.send(Request("delete", "DELETE", "/x", f"/student/{victim}", headers=KEY))
        return await sandbox.send(msgspec.structs.replace(request, headers=KEY))

    listing = Students(send).list(limit=100, concurrency=1).paged(exact=True)
    got = {student.id async for student in listing}
    assert {student.id for student in sandbox.records("students")} <= got <= rows.keys()
    assert (listing.report.level, listing.report.requests) == ("repaired", calls)
    assert calls <= 50


async def test_grades_are_read_until_two_passes_agree() -> None:
    """Grades have no search and no events: the listing is read again until a pass finds nothing new."""
    clock = Clock()
    sandbox = Sandbox(students=30, schools=1, seed=4, clock=clock, limiter="none")
    calls = 0

    async def send(request: Request) -> RawResponse:
        nonlocal calls
        calls += 1
        rows = sandbox.records("grade_elementaries")
        if request.operation == "list" and 1 < calls <= 4:
            path = f"/grade-elementary/{rows[calls].id}"
            await sandbox.send(Request("delete", "DELETE", "/x", path, headers=KEY))
        return await sandbox.send(msgspec.structs.replace(request, headers=KEY))

    listing = GradeElementaries(send).list(limit=9).paged(exact=True)
    got = [grade.id async for grade in listing]
    assert {grade.id for grade in sandbox.records("grade_elementaries")} <= set(got)
    assert len(got) == len(set(got))
    assert (listing.report.level, listing.report.complete) == ("stable", True)
