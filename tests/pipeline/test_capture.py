"""`meitner.capture()`: the answers of a block, nobody else's, whatever became of them."""

from __future__ import annotations

import asyncio
import contextvars

import pytest
from conftest import Scripted
from raw_server import STUDENT_ID, answer, failure

from meitner_aio import (
    AmbiguousWriteError,
    APIConnectionError,
    Event,
    Meitner,
    NotFoundError,
    OAuth2,
    RawResponse,
    ResponseValidationError,
    RetryPolicy,
    RetryScheduled,
)
from meitner_aio._pipeline import capture


def _client(students: int = 20) -> Meitner:
    return Meitner.sandbox(students=students, schools=1)


async def test_a_block_sees_the_answers_of_its_calls(scripted: Scripted) -> None:
    """With all that a raw answer knows; what was called before and after is not in it."""
    meitner, _ = await scripted(failure(503), answer(headers={"X-Request-ID": "r-1"}), answer())
    with meitner.capture() as seen:
        student = await meitner.students.get(STUDENT_ID)
    await meitner.students.get(STUDENT_ID)
    [got] = seen
    assert isinstance(got, RawResponse)
    assert (got.status, got.request_id, got.attempts) == (200, "r-1", 2)
    assert got.headers["Content-Type"] == "application/json"
    assert student.id.encode() in got.body
    assert got.elapsed > 0


async def test_an_answer_that_became_an_error_is_seen_too(scripted: Scripted) -> None:
    """It is what one looks for."""
    meitner, _ = await scripted(failure(503), failure(404, "NotFound"))
    with meitner.capture() as seen, pytest.raises(NotFoundError) as caught:
        await meitner.students.get(STUDENT_ID)
    [got] = seen
    assert (got.status, got.request_id, got.attempts) == (404, "req-1", caught.value.attempts)
    assert got.attempts == 2
    assert got.body == caught.value.body
    assert got.elapsed > 0


async def test_an_answer_that_could_not_be_read_is_seen(scripted: Scripted) -> None:
    """The error names the place only: here is the body."""
    meitner, _ = await scripted(answer(200, {"id": 7}))
    with meitner.capture() as seen, pytest.raises(ResponseValidationError):
        await meitner.students.get(STUDENT_ID)
    assert [(got.status, got.body, got.attempts) for got in seen] == [(200, b'{"id": 7}', 3)]


async def test_the_answer_of_an_ambiguous_write_is_seen(scripted: Scripted) -> None:
    """A gateway's 502 says more than the error may."""
    meitner, _ = await scripted(answer(502, body=b"<html>", headers={"Content-Type": "text/html"}))
    with meitner.capture() as seen, pytest.raises(AmbiguousWriteError):
        await meitner.units.create(title="Norr")
    assert [(got.status, got.body) for got in seen] == [(502, b"<html>")]


async def test_a_call_without_an_answer_leaves_nothing(scripted: Scripted) -> None:
    """Not even when an earlier attempt had one."""
    meitner, server = await scripted(failure(503), None)
    with meitner.capture() as seen, pytest.raises(APIConnectionError):
        await meitner.students.get(STUDENT_ID)
    assert len(server.seen) >= 3
    assert seen == []


async def test_every_page_of_a_listing_is_seen() -> None:
    """Pages are fetched by tasks that the block starts."""
    async with _client() as meitner:
        with meitner.capture() as seen:
            rows = await meitner.students.list(limit=3, concurrency=4).all()
        assert len(rows) == 20
        assert [got.status for got in seen] == [200] * 7


async def test_blocks_of_tasks_do_not_see_each_other() -> None:
    """Each task has its own; who has none is seen by none."""
    async with _client() as meitner:

        async def work(calls: int) -> int:
            with meitner.capture() as seen:
                for _ in range(calls):
                    await meitner.students.list().count()
                    await asyncio.sleep(0)
            return len(seen)

        async def alone() -> None:
            for _ in range(9):
                await meitner.students.list().count()

        counts = await asyncio.gather(work(1), work(5), alone(), work(3))
        assert [count for count in counts if count is not None] == [1, 5, 3]


async def test_blocks_nest() -> None:
    """The outer one sees what the inner one sees."""
    async with _client() as meitner:
        with meitner.capture() as outer:
            await meitner.students.list().count()
            with meitner.capture() as inner:
                await meitner.students.list().count()
            await meitner.students.list().count()
        assert (len(outer), len(inner)) == (3, 1)
        assert outer[1] is inner[0]


async def test_a_task_sees_by_when_its_calls_begin() -> None:
    """A call that began in the block counts when it ends later; one that begins after the block does not."""
    async with _client() as meitner:
        go = asyncio.Event()

        async def work() -> None:
            await meitner.students.list().count()
            await go.wait()
            await meitner.students.list().count()

        with meitner.capture() as seen:
            task = asyncio.create_task(work())
            await asyncio.sleep(0)
        go.set()
        await task
        assert len(seen) == 1


async def test_copies_count_and_other_clients_do_not() -> None:
    """A block belongs to a client and its copies."""
    async with _client() as meitner, _client() as other:
        with meitner.capture() as seen:
            await meitner.with_options(timeout=5).students.list().count()
            await other.students.list().count()
        assert len(seen) == 1
        with meitner.with_options(timeout=5).capture() as seen:
            await meitner.students.list().count()
        assert len(seen) == 1


async def test_a_block_may_be_left_in_another_context() -> None:
    """Fixtures and async generators enter and leave in different ones."""
    async with _client() as meitner:
        block = meitner.capture()
        seen = contextvars.copy_context().run(block.__enter__)
        assert block.__exit__(None, None, None) is not True
        await meitner.students.list().count()
        assert seen == []


async def test_what_a_block_raises_passes_and_ends_it() -> None:
    """The block has no say in it."""
    async with _client() as meitner:
        block = meitner.capture()
        with pytest.raises(KeyError, match="mine"), block as seen:
            raise KeyError("mine")
        await meitner.students.list().count()
        assert seen == []


async def test_a_cancelled_call_leaves_nothing(scripted: Scripted) -> None:
    """It has no answer, although an attempt of it had one."""

    async def silence(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    meitner, server = await scripted(failure(503), silence)
    with meitner.capture() as seen:
        call = asyncio.create_task(meitner.students.get(STUDENT_ID))
        while len(server.seen) < 2:
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    assert seen == []


async def test_a_call_that_is_given_up_between_two_attempts_leaves_nothing(scripted: Scripted) -> None:
    """Its last answer is not what it came to."""
    waits = asyncio.Event()

    def listen(event: Event) -> None:
        if isinstance(event, RetryScheduled):
            waits.set()

    meitner, _ = await scripted(failure(503), retry=RetryPolicy(initial=1000, maximum=1000), on_event=listen)
    with meitner.capture() as seen:
        call = asyncio.create_task(meitner.students.get(STUDENT_ID))
        await waits.wait()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    assert seen == []


async def test_a_block_leaves_nothing_behind() -> None:
    """A program that captures all day long does not slow down."""
    async with _client() as meitner:
        for _ in range(3):
            with meitner.capture():
                await meitner.students.list().count()
        assert capture._blocks.get() == ()


async def test_a_token_is_never_captured(scripted: Scripted) -> None:
    """It is no call of the block's, and a secret."""
    meitner, _ = await scripted(
        answer(200, {"access_token": "canary", "expires_in": 60}), answer(), auth=OAuth2("a", "b")
    )
    with meitner.capture() as seen:
        await meitner.students.get(STUDENT_ID)
    assert [b"canary" in got.body for got in seen] == [False]
