"""Many concurrent calls, at most so many at a time, each with its own outcome. Knows no resource."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Generic, TypeVar

from msgspec import Struct

from .._runtime.bulk_context import bulk_task
from .._runtime.cleanup import stopped
from .._wire.validation import check_whole

T = TypeVar("T")
Item = TypeVar("Item")


class Outcome(Struct, Generic[T], frozen=True):
    """The result of one item: its `index` in the input, and either its `record` or its `error`."""

    index: int
    record: T | None = None
    error: Exception | None = None


def outcomes(
    items: Iterable[Item] | AsyncIterable[Item], call: Callable[[Item], Awaitable[T]], concurrency: int
) -> AsyncGenerator[Outcome[T], None]:
    """Yield the outcome of every item when it is ready, with at most `concurrency` calls in flight.

    Items are read only as fast as outcomes are consumed, so memory is bounded for any number of items. An item that
    fails does not stop the others. An exception of the iterable itself is raised after the outcomes of the items before
    it. Raises `TypeError` or `ValueError` unless `concurrency` is an int of at least 1. Closing the generator cancels
    the calls in flight and closes the async generator that gave the items: consume it to the end to learn the outcome
    of every call.
    """
    check_whole("concurrency", concurrency, 1)
    return _outcomes(items, call, concurrency)


async def _outcomes(
    items: Iterable[Item] | AsyncIterable[Item], call: Callable[[Item], Awaitable[T]], concurrency: int
) -> AsyncGenerator[Outcome[T], None]:
    ready: asyncio.Queue[Outcome[T] | None] = asyncio.Queue()
    room, turn = asyncio.Semaphore(2 * concurrency), asyncio.Lock()

    async def work() -> None:
        while True:
            await room.acquire()
            async with turn:
                numbered = await anext(source, None)
            if numbered is None:
                return room.release()
            ready.put_nowait(await _outcome(*numbered, call))

    async def all_work() -> None:
        # When the iterable raises, one worker ends at once, the others when their current calls have ended.
        for problem in await asyncio.gather(*(work() for _ in range(concurrency)), return_exceptions=True):
            if problem is not None:
                raise problem

    async with aclosing(_numbered(items)) as source:
        working = bulk_task(all_work())
        working.add_done_callback(lambda _: ready.put_nowait(None))
        try:
            while (outcome := await ready.get()) is not None:
                room.release()
                yield outcome
            await working
        finally:
            await stopped(working)


async def chunks(
    items: Iterable[Item] | AsyncIterable[Item], size: int, *, patience: float = 0.1
) -> AsyncGenerator[list[tuple[int, Item]], None]:
    """Yield numbered items in chunks of at most `size`, each chunk after the one before was consumed.

    A chunk is shorter when the next item takes longer than `patience` seconds to arrive: that item may depend on the
    results of this chunk. An exception of the iterable is raised after the items before it.
    """
    waiting: asyncio.Future[tuple[int, Item] | None] | None = None
    async with aclosing(_numbered(items)) as source:
        try:
            chunk: list[tuple[int, Item]] = []
            while True:
                waiting = upcoming = waiting or asyncio.ensure_future(anext(source, None))
                await asyncio.wait([upcoming], timeout=patience if chunk else None)
                arrived = upcoming.done()
                item = upcoming.result() if arrived and upcoming.exception() is None else None
                if item is not None:
                    waiting = None
                    chunk.append(item)
                    if len(chunk) < size:
                        continue
                if chunk:
                    yield chunk
                    chunk = []
                if arrived and item is None:
                    upcoming.result()
                    return
        finally:
            if waiting is not None:
                await stopped(waiting)


async def _numbered(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[tuple[int, Item], None]:
    index = 0
    if not isinstance(items, AsyncIterable):
        for item in items:
            yield index, item
            index += 1
        return
    source = aiter(items)
    try:
        async for item in source:
            yield index, item
            index += 1
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _outcome(index: int, item: Item, call: Callable[[Item], Awaitable[T]]) -> Outcome[T]:
    try:
        calling = call(item)
    except Exception as error:  # noqa: BLE001 - any error of an item is its outcome
        return Outcome(index, None, error.with_traceback(None))  # its frames hold the item
    del item
    try:
        return Outcome(index, await calling)
    except Exception as error:  # noqa: BLE001 - as above
        return Outcome(index, None, error)
