"""Cancelled at the k-th turn of the loop, for every k: an export, a create, a close. Nothing is left, the rest works."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fault_server import NOON, FaultServer, Incoming, run, student_id
from test_chaos import LIMIT, client
from turns import EVERY_WAY, Turns, Ways, alone, in_every_way, no_file_left, turns

from meitner_aio import Meitner, OAuth2
from meitner_aio.export import export

FIELDS = {"identity_number": "20150101-0000", "first_name": "Bo", "last_name": "Ek"}


def _idle(meitner: Meitner) -> None:
    """Assert that a client holds nothing: no slot of the rate limiter, no connection in use."""
    slots = meitner._core.rate_limiter._semaphore
    assert (slots.held, slots.waiting(0), slots.waiting(1)) == (0, 0, 0)
    for session in meitner._core.transport._sessions.values():  # type: ignore[attr-defined]
        assert not session.connector._acquired


async def _every_turn(
    server: FaultServer,
    meitner: Meitner,
    doing: Callable[[], Coroutine[Any, Any, Any]],
    *,
    last: int = 2000,
    stride: int = 1,
    way: Ways = 1,
) -> int:
    """Cancel at every turn up to the last; return at how many something was left to cancel."""
    cancelled, turn = 0, 1
    while turn <= last:
        if not await turns().cancelled(turn, doing(), way):
            break
        cancelled += 1
        _idle(meitner)
        await alone()
        turn += stride
    assert await meitner.students.list().count() == server.total
    return cancelled


def _export(folder: Path, pages: int, seed: int, *, last: int = 2000, stride: int = 1, way: Ways = 1) -> int:
    """Cancel an export of some pages, a fifth of them answered wrongly, at its turns; return how often."""

    async def main() -> int:
        async with FaultServer(pages * LIMIT, share=0.2, seed=seed) as server:
            async with client(server) as meitner:

                def doing() -> Coroutine[Any, Any, Any]:
                    return export(meitner, ["students"], to=folder, page_size=LIMIT, concurrency=2)

                cancelled = await _every_turn(server, meitner, doing, last=last, stride=stride, way=way)
            await alone()
        assert turns().complaints == []
        return cancelled

    with no_file_left():
        cancelled = run(main(), Turns)
    whole, continued = {"students.ndjson", "manifest.json", "exports.log"}, {"students.part", "students.journal"}
    assert {path.name for path in folder.iterdir()} - whole <= continued
    return cancelled


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_an_export_cancelled_at_any_turn_leaves_nothing(tmp_path: Path, seed: int) -> None:
    """Every turn from the first to the last: no task, file, slot, connection or complaint; the client works on."""
    assert _export(tmp_path, 20, seed) > 50


@pytest.mark.parametrize("way", in_every_way(*EVERY_WAY[1:]))
def test_an_export_cancelled_more_than_once_leaves_nothing(tmp_path: Path, way: Ways) -> None:
    """At two to five turns in a row, or at every turn until it has ended, as anyio does."""
    assert _export(tmp_path, 6, 0, way=way) > 20


@pytest.mark.slow
def test_a_long_export_cancelled_at_any_of_2000_turns_leaves_nothing(tmp_path: Path) -> None:
    """k up to 2,000, every 67th of them, in an export of two thousand pages among faults."""
    assert _export(tmp_path, 2000, 2, stride=67) == 30


class Register:
    """Creates as a server keeps them: committed when they arrive; answers to the first `lost` of them are lost."""

    def __init__(self) -> None:
        self.lost = False
        self.created = self.searched = 0

    async def before(self, incoming: Incoming) -> bool:
        record = {"id": student_id(1), "identityNumber": "20150101-0000", "firstName": "Bo", "lastName": "Ek"}
        now = datetime.fromtimestamp(NOON + asyncio.get_running_loop().time(), UTC)
        record["meta"] = {"createdAt": now.isoformat()}  # type: ignore[assignment]
        if "_search" in incoming.target:
            self.searched += 1
            page = {"data": [record], "pagination": {"offset": 0, "limit": 100, "total": 1}}
            incoming.say(json.dumps(page).encode())
        elif incoming.method == "POST":
            self.created += 1
            if self.lost:
                incoming.writer.transport.abort()
            else:
                incoming.say(json.dumps(record).encode(), status=201)
        else:
            return False
        return True


@pytest.mark.parametrize("way", [1, 3, "anyio"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_create_cancelled_at_any_turn_happens_at_most_once(lost: bool, way: Ways) -> None:
    """Also while it is looked up after its answer was lost: afterwards nothing more is sent."""

    async def main() -> list[int]:
        made = []
        api = Register()
        async with FaultServer(1, before=api.before) as server:
            async with client(server) as meitner:
                turn, cancelled = 0, True
                while cancelled and turn < 2000:
                    turn += 1
                    api.lost, api.created = lost, 0
                    cancelled = await turns().cancelled(turn, meitner.students.create(**FIELDS), way)
                    _idle(meitner)
                    await alone()
                    sent = len(server.times)
                    await asyncio.sleep(100)
                    assert len(server.times) == sent or not cancelled
                    made.append(api.created)
                    api.lost = False
                    if turn % 10 == 0:
                        assert (await meitner.students.create(**FIELDS)).id == student_id(1)
            await alone()
        assert turns().complaints == []
        assert bool(api.searched) is lost
        return made

    made = run(main(), Turns)
    assert len(made) >= 5
    assert made[0] == 0
    assert made == sorted(made)
    assert made[-1] == 1


@pytest.mark.parametrize("way", in_every_way(*EVERY_WAY))
@pytest.mark.parametrize("auth", ["key", "oauth"])
def test_a_close_cancelled_at_any_turn_has_closed(auth: str, way: Ways) -> None:
    """Under load, with a token request under way or not: nothing is left open, and another close() has no complaint."""

    async def silence(incoming: Incoming) -> bool:
        await incoming.reader.read()
        return True

    async def main() -> int:
        turn, cancelled = 0, True
        async with FaultServer(1, before=silence) as server:
            while cancelled:
                turn += 1
                if auth == "key":
                    meitner = client(server, max_concurrency=20)
                else:
                    meitner = Meitner(auth=OAuth2("an-id", "a-secret"), base_url=server.url)
                calls = [asyncio.ensure_future(meitner.students.get(student_id(1))) for _ in range(20)]
                asked = len(server.times)
                while len(server.times) == asked:
                    await asyncio.sleep(0)
                cancelled = await turns().cancelled(turn, meitner.close(), way)
                if turn > 1:  # before the first turn close() had not begun
                    assert all(session.closed for session in meitner._core.transport._sessions.values())  # type: ignore[attr-defined]
                await meitner.close()
                results = await asyncio.gather(*calls, return_exceptions=True)
                assert {type(result).__name__ for result in results} == {"MeitnerError"}
                assert all(session.closed for session in meitner._core.transport._sessions.values())  # type: ignore[attr-defined]
                await alone()
                await asyncio.sleep(0.01)
                assert server.open == 0
        assert turns().complaints == []
        return turn

    assert run(main(), Turns) > 1
