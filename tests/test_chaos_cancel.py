"""F12: cancelled at the k-th turn of the loop, for every k: an export, a create, a close. Nothing is left, the rest works."""

from __future__ import annotations

import asyncio
import gc
import json
import os
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fault_server import NOON, FaultServer, Incoming, SocketLoop, run, student_id
from test_chaos import LIMIT, client

from meitner_aio import Meitner, OAuth2
from meitner_aio.export import export

FIELDS = {"identity_number": "20150101-0000", "first_name": "Bo", "last_name": "Ek"}


class _Turns(SocketLoop):
    """Cancels a task at the turn that it is told to, counted from then."""

    def __init__(self) -> None:
        super().__init__()
        self._left = 0
        self._victim: asyncio.Task[Any] | None = None
        self.complaints: list[Any] = []
        self.set_exception_handler(lambda _, context: self.complaints.append(context))

    def _run_once(self) -> None:
        if self._victim is not None:
            self._left -= 1
            if self._left == 0:
                self._victim.cancel()
        super()._run_once()  # type: ignore[misc]

    async def cancelled(self, turn: int, doing: Coroutine[Any, Any, Any]) -> bool:
        """Run something and cancel it at a turn; whether it came that far."""
        self._left, self._victim = turn, asyncio.ensure_future(doing)
        await asyncio.wait([self._victim])
        victim, self._victim = self._victim, None
        if not victim.cancelled():
            victim.result()
        return victim.cancelled()


def _turns() -> _Turns:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Turns)
    return loop


def _idle(meitner: Meitner) -> None:
    """Assert that a client holds nothing: no slot of the gate, no connection in use."""
    assert meitner._core.gate._slots.held == 0
    assert meitner._core.gate._slots.first is None
    for session in meitner._core.transport._sessions.values():  # type: ignore[attr-defined]
        assert not session.connector._acquired


async def _alone() -> None:
    """Assert that no task is left but those that serve, one for each connection still open."""
    for _ in range(5):
        await asyncio.sleep(0)
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert all("_serve" in repr(task) or "_accept_connection2" in repr(task) for task in rest), rest


def _files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH208, PTH112 - of the process


async def _every_turn(
    server: FaultServer, meitner: Meitner, doing: Callable[[], Coroutine[Any, Any, Any]], last: int, stride: int
) -> int:
    """Cancel at every turn up to the last; return at how many something was left to cancel."""
    cancelled, turn = 0, 1
    while turn <= last:
        if not await _turns().cancelled(turn, doing()):
            break
        cancelled += 1
        _idle(meitner)
        await _alone()
        turn += stride
    assert await meitner.students.list().count() == server.total
    return cancelled


def _export(folder: Path, pages: int, seed: int, turns: int, stride: int = 1) -> int:
    """Cancel an export of some pages, a fifth of them answered wrongly, at its turns; return how often."""

    async def main() -> int:
        async with FaultServer(pages * LIMIT, share=0.2, seed=seed) as server:
            async with client(server) as meitner:

                def doing() -> Coroutine[Any, Any, Any]:
                    return export(meitner, ["students"], to=folder, page_size=LIMIT, concurrency=2)

                cancelled = await _every_turn(server, meitner, doing, turns, stride)
            await _alone()
        assert _turns().complaints == []
        return cancelled

    files = _files()
    cancelled = run(main(), _Turns)
    gc.collect()
    assert _files() == files
    whole, continued = {"students.ndjson", "manifest.json"}, {"students.part", "students.journal"}
    assert {path.name for path in folder.iterdir()} - whole <= continued
    return cancelled


@pytest.mark.parametrize("seed", [0, 1])
def test_an_export_cancelled_at_any_turn_leaves_nothing(tmp_path: Path, seed: int) -> None:
    """Every turn from the first to the last: no task, file, slot, connection or complaint; the client works on."""
    assert _export(tmp_path, 20, seed, 2000) > 50


@pytest.mark.slow
def test_a_long_export_cancelled_at_any_of_2000_turns_leaves_nothing(tmp_path: Path) -> None:
    """k up to 2,000, every 67th of them, in an export of two thousand pages among faults."""
    assert _export(tmp_path, 2000, 2, 2000, 67) == 30


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


@pytest.mark.parametrize("lost", [False, True])
def test_a_create_cancelled_at_any_turn_happens_at_most_once(lost: bool) -> None:  # noqa: FBT001
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
                    cancelled = await _turns().cancelled(turn, meitner.students.create(**FIELDS))
                    _idle(meitner)
                    await _alone()
                    sent = len(server.times)
                    await asyncio.sleep(100)
                    assert len(server.times) == sent or not cancelled
                    made.append(api.created)
                    api.lost = False
                    if turn % 10 == 0:
                        assert (await meitner.students.create(**FIELDS)).id == student_id(1)
            await _alone()
        assert _turns().complaints == []
        assert bool(api.searched) is lost
        return made

    made = run(main(), _Turns)
    assert len(made) >= 5
    assert made[0] == 0
    assert made == sorted(made)
    assert made[-1] == 1


@pytest.mark.parametrize("auth", ["key", "oauth"])
def test_a_close_cancelled_at_any_turn_can_be_repeated(auth: str) -> None:
    """Under load, with a token request under way or not: the second close() ends what the first one did not."""

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
                cancelled = await _turns().cancelled(turn, meitner.close())
                await meitner.close()
                results = await asyncio.gather(*calls, return_exceptions=True)
                assert {type(result).__name__ for result in results} == {"MeitnerError"}
                assert all(session.closed for session in meitner._core.transport._sessions.values())  # type: ignore[attr-defined]
                await _alone()
                await asyncio.sleep(0.01)
                assert server.open == 0
        assert _turns().complaints == []
        return turn

    assert run(main(), _Turns) > 1
