"""What goes wrong on the wire and with time: drips, bombs, idle limits, tokens that expire, clocks that jump."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import random
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from conftest import importing
from fault_server import FaultServer, Incoming, drip, head, run, student_id
from naive_client import NaiveTokens
from test_chaos import LIMIT, UNLIMITED, client, numbers

from meitner_aio import APITimeoutError, Meitner, MeitnerError, OAuth2, ResponseValidationError, RetryPolicy

FIELDS = {"identity_number": "20150101-0000", "first_name": "Bo", "last_name": "Ek"}
RECORD = json.dumps({"id": student_id(1), "identityNumber": "20150101-0000", "firstName": "Bo", "lastName": "Ek"})


# -- attempts that never end by themselves


async def _silence(incoming: Incoming) -> bool:
    await incoming.reader.read()
    return True


async def _silence_after_the_head(incoming: Incoming) -> bool:
    incoming.writer.write(head(200, 1000))
    await incoming.reader.read()
    return True


async def _drips_its_head(incoming: Incoming) -> bool:
    await drip(incoming.reader, incoming.writer, head(200, len(RECORD), *["X-Padding: 1"] * 20) + RECORD.encode())
    return True


async def _drips_its_body(incoming: Incoming) -> bool:
    incoming.writer.write(head(200, len(RECORD)))
    await drip(incoming.reader, incoming.writer, RECORD.encode())
    return True


@pytest.mark.parametrize("before", [_silence, _silence_after_the_head, _drips_its_head, _drips_its_body])
def test_an_attempt_ends_in_time_however_slowly_bytes_come(before: Any) -> None:
    """F10: a byte a second is progress for every single read; the attempt ends all the same, within its second."""

    async def main() -> float:
        async with (
            FaultServer(1, before=before) as server,
            client(server, retry=RetryPolicy(max_retries=0), timeout=30.0) as meitner,
        ):
            with pytest.raises(APITimeoutError):
                await meitner.students.get(student_id(1))
            return asyncio.get_running_loop().time()

    assert 30 <= run(main()) <= 31


def test_a_naive_client_follows_a_drip() -> None:
    """The control: a timeout of each read never fires."""

    async def main() -> float:
        patience = aiohttp.ClientTimeout(total=None, sock_read=30)
        async with FaultServer(1, before=_drips_its_body) as server, aiohttp.ClientSession(timeout=patience) as session:
            await (await session.get(f"{server.url}/student/1")).read()
            return asyncio.get_running_loop().time()

    assert run(main()) > 100


# -- tokens


class Tokens:
    """An API whose tokens are revoked after ten seconds, although they claim an hour; every answer takes a second.

    Its token endpoint is down for the first `down` seconds after each revocation; with `never`, no token is good.
    """

    def __init__(self, down: float = 0.0, *, never: bool = False) -> None:
        self.down, self.never = down, never
        self.issued = self.asked = self.refused = 0
        self.good_until = 0.0

    async def before(self, incoming: Incoming) -> bool:
        now = asyncio.get_running_loop().time
        if incoming.target.endswith("/oauth/token"):
            self.asked += 1
            if self.good_until <= now() < self.good_until + self.down:
                incoming.say(b"", status=503)
                return True
            self.issued += 1
            self.good_until = now() + 10
            incoming.say(json.dumps({"access_token": f"token-{self.issued}", "expires_in": 3600}).encode())
            return True
        await asyncio.sleep(1.0)
        if (
            now() >= self.good_until
            or incoming.headers.get("authorization") != f"Bearer token-{self.issued}"
            or self.never
        ):
            self.refused += 1
            incoming.say(b"", status=401)
        else:
            incoming.say(RECORD.encode())
        return True


OAUTH = OAuth2("an-id", "a-secret")


async def _calls(api: Tokens, each: int, **options: Any) -> set[str]:
    """Return what the calls of 64 callers came to, who make some each, one after the other."""
    kinds: set[str] = set()

    async def caller(meitner: Meitner) -> None:
        for _ in range(each):
            try:
                kinds.add(type(await meitner.students.get(student_id(1))).__name__)
            except MeitnerError as error:
                kinds.add(type(error).__name__)

    options |= {"max_concurrency": 64, "quota": UNLIMITED}
    async with (
        FaultServer(1, before=api.before) as server,
        Meitner(auth=OAUTH, base_url=server.url, **options) as meitner,
    ):
        await asyncio.gather(*(caller(meitner) for _ in range(64)))
    return kinds


@pytest.mark.parametrize("down", [0.0, 5.0])
def test_a_token_that_expires_under_64_requests_costs_one_token(down: float) -> None:
    """F8: refused together, renewed once; no call fails, also while the token endpoint needs a few seconds."""
    api = Tokens(down)
    assert run(_calls(api, 40, retry=RetryPolicy(max_retries=8))) == {"Student"}
    assert 32 * (api.issued - 1) < api.refused <= 64 * (api.issued - 1)
    assert api.issued in (5, 6)
    assert (api.asked == api.issued) is (down == 0.0)


def test_a_fresh_token_that_is_refused_is_an_error_after_one_renewal() -> None:
    """F8: never a loop: two requests at most for each call, and a token for all that were refused together."""
    api = Tokens(never=True)
    assert run(_calls(api, 1)) == {"AuthenticationError"}
    assert api.refused <= 128
    assert api.issued <= 10


def test_a_token_that_expires_while_calls_wait_for_their_turn_is_not_used() -> None:
    """F8: 200 callers, 8 slots, answers of a second: those at the end of the line leave with the token of then."""
    api = Tokens()

    async def main() -> list[Any]:
        async with FaultServer(1, before=api.before) as server, Meitner(auth=OAUTH, base_url=server.url) as meitner:
            return await asyncio.gather(*(meitner.students.get(student_id(1)) for _ in range(200)))

    assert len(run(main())) == 200
    assert api.refused <= 8 * (api.issued - 1)


def test_a_naive_client_fetches_a_token_for_every_request_in_flight() -> None:
    """The control: each refused request asks for a token of its own, and takes the others' away."""

    async def main() -> tuple[int, set[int]]:
        async with FaultServer(1, before=Tokens().before) as server:
            naive = NaiveTokens(server.url)
            async with aiohttp.ClientSession() as session:
                statuses = await asyncio.gather(*(naive.get(session, "/student/1") for _ in range(64)))
            return naive.fetched, set(statuses)

    fetched, statuses = run(main())
    assert fetched >= 64
    assert 401 in statuses


# -- connections


class IdleLimit:
    """A server that closes a connection after five seconds without a request, and counts creates."""

    def __init__(self) -> None:
        self.creates = 0

    async def before(self, incoming: Incoming) -> bool:
        self.creates += 1
        incoming.say(RECORD.encode(), status=201)
        asyncio.get_running_loop().call_later(5.0, incoming.writer.transport.abort)
        return True


PAUSES = [5.0 + offset for offset in (-1e-8, -3e-9, -1e-9, 0.0, 1e-9, 1e-6)] * 200
"""1,200 pauses around the limit."""


def test_no_create_is_ambiguous_at_the_idle_limit() -> None:
    """F9: 1,200 creates, each about when the server closes: all succeed, none is sent twice."""

    async def main() -> int:
        api = IdleLimit()
        async with FaultServer(1, before=api.before) as server, client(server) as meitner:
            for pause in PAUSES:
                await meitner.students.create(**FIELDS)
                await asyncio.sleep(pause)
        return api.creates

    assert run(main()) == 1200


def test_kept_connections_lose_creates_at_the_idle_limit() -> None:
    """The control: a session as everybody makes it."""

    async def main() -> int:
        lost = 0
        async with FaultServer(1, before=IdleLimit().before) as server, aiohttp.ClientSession() as session:
            for pause in PAUSES[:300]:
                try:
                    async with session.post(f"{server.url}/student", json={}) as answer:
                        await answer.read()
                except aiohttp.ClientError:
                    lost += 1
                await asyncio.sleep(pause)
        return lost

    assert run(main()) > 25


async def _break(meitner: Meitner) -> None:
    async for _ in meitner.students.list(limit=LIMIT):
        break


async def _raise(meitner: Meitner) -> None:
    async def fails() -> None:
        async for _ in meitner.students.list(limit=LIMIT):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()


async def _drop(meitner: Meitner) -> None:
    reading = meitner.students.list(limit=LIMIT).pages()
    await anext(reading)
    del reading


async def _cancel(meitner: Meitner) -> None:
    reading = asyncio.ensure_future(meitner.students.list(limit=LIMIT).all())
    await asyncio.sleep(3.5)
    reading.cancel()
    await asyncio.wait([reading])


@pytest.mark.parametrize("leave", [_break, _raise, _drop, _cancel])
def test_whoever_leaves_a_read_stops_its_requests_at_once(leave: Any) -> None:
    """F13: no request after it, no connection in use, no task; the next call on the same client works."""

    async def slow(_: Incoming) -> bool:
        await asyncio.sleep(1.0)
        return False

    async def main() -> None:
        async with FaultServer(100_000, before=slow) as server, client(server) as meitner:
            await leave(meitner)
            await asyncio.sleep(0.05)
            asked = len(server.times)
            assert asked > 1
            assert len(asyncio.all_tasks()) == 1 + server.open
            await asyncio.sleep(1000)
            assert len(server.times) == asked
            assert len(asyncio.all_tasks()) == 1 + server.open
            assert await meitner.students.list().count() == 100_000

    run(main())


def test_close_under_load_tells_everybody_and_leaves_nothing() -> None:
    """F13: a hundred calls in flight; close() takes no time, each caller gets a MeitnerError, no connection is left."""

    async def main() -> None:
        async with FaultServer(1, before=_silence) as server:
            meitner = client(server, max_concurrency=100)
            calls = [asyncio.ensure_future(meitner.students.get(student_id(1))) for _ in range(130)]
            while len(server.times) < 1:
                await asyncio.sleep(0)
            before = asyncio.get_running_loop().time()
            await meitner.close()
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert asyncio.get_running_loop().time() - before < 1
            assert {type(result) for result in results} == {MeitnerError}
            await asyncio.sleep(1.0)
            assert server.open == 0
            assert len(asyncio.all_tasks()) == 1

    run(main())


# -- clocks


async def _times() -> tuple[list[float], list[int]]:
    """Return when requests arrived in a read among faults, and what was read."""
    random.seed(5)
    policy = RetryPolicy(max_retries=1, outage=7200.0)
    server = FaultServer(5000, seed=5, share=0.7, kinds=["503", "429", "429 with Retry-After", "stall"])
    async with server, client(server, max_concurrency=2, retry=policy) as meitner:
        got = [student.id async for student in meitner.students.list(limit=LIMIT)]
    return server.times, numbers(got)


def test_a_wall_clock_that_jumps_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """F7: an hour back and forth at every look: the same rows, and every request at the same time but for the jitter."""
    steady, rows = run(_times())
    real, looks = time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: real() + (3600 if next(looks) % 2 else -3600))
    jumping, rows_again = run(_times())
    assert rows == rows_again == list(range(5000))
    assert len(jumping) == len(steady)
    assert jumping == pytest.approx(steady, abs=1e-3)


# -- bodies without end


def _bomb(wbits: int, size: int) -> bytes:
    """Return zeros, compressed a thousandfold: a MiB again and again."""
    squeezer = zlib.compressobj(wbits=wbits)
    first = squeezer.compress(bytes(MIB)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    again = squeezer.compress(bytes(MIB)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    return first + again * (size // MIB - 1)


def _object(count: int) -> bytes:
    return b"{%s}" % b",".join(b'"k%d":%d' % (number, number) for number in range(count))


MIB = 1024 * 1024
_GZIP, _DEFLATE = "Content-Encoding: gzip", "Content-Encoding: deflate"
MONSTERS: dict[str, tuple[Callable[[], bytes], int, tuple[str, ...], int]] = {
    "gzip bomb": (lambda: _bomb(31, 512 * MIB), 1, (_GZIP,), 8),
    "deflate bomb": (lambda: _bomb(15, 512 * MIB), 1, (_DEFLATE,), 8),
    "ten thousand members": (lambda: gzip.compress(b"{}") * 10_000, 1, (_GZIP,), 8),
    "a bomb in a bomb": (lambda: gzip.compress(_bomb(31, 512 * MIB)), 1, ("Content-Encoding: gzip, gzip",), 8),
    "300 MiB": (lambda: bytes(MIB), 300, (), 72),
    "a million keys": (lambda: _object(1_000_000), 1, (), 72),
    "a hundred thousand levels": (lambda: b'{"id":' * 100_000, 1, (), 8),
    "a hundred thousand lists": (lambda: b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 1, (), 8),
}
"""A body, how often it is written, header lines, and the MiB that it may cost: twice the cap where the body is plain."""


def _peak() -> int:
    """Return the most memory that this process has had since it was last asked, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    Path("/proc/self/clear_refs").write_text("5")
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


async def grown(name: str) -> tuple[str, int]:
    """Return what a monstrous answer came to and the MiB that it cost; for a process of its own."""
    make, times, lines, _ = MONSTERS[name]
    body = make()

    async def monstrous(incoming: Incoming) -> bool:
        if len(server.times) == 1:
            incoming.say(RECORD.encode())
            return True
        incoming.writer.write(head(200, None, *lines))
        for _ in range(times):
            incoming.writer.write(body)
            await incoming.writer.drain()
        incoming.writer.close()
        return True

    async with FaultServer(1, before=monstrous) as server, client(server, retry=RetryPolicy(max_retries=0)) as meitner:
        await meitner.students.get(student_id(1))
        _peak()
        before = _peak()
        if name.startswith("naive"):
            async with aiohttp.ClientSession() as session, session.get(f"{server.url}/student/1") as answer:
                what = f"read {len(await answer.read())} bytes"
        else:
            what = "refused"
            with contextlib.suppress(ResponseValidationError):
                what = repr(await meitner.students.get(student_id(1)))
        return what, _peak() - before


MONSTERS["naive gzip bomb"] = (lambda: _bomb(31, 64 * MIB), 1, (_GZIP,), 0)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of memory")
def test_no_answer_takes_more_memory_than_its_cap() -> None:
    """F11: each refused as what breaks the contract, bombs within 8 MiB of resident memory; the control takes it all."""
    script = """
import asyncio, json, sys
import test_chaos_wire as wire
print(json.dumps({name: asyncio.run(wire.grown(name)) for name in wire.MONSTERS}))
"""
    told = subprocess.run([sys.executable, "-c", script], env=importing(), capture_output=True, check=True, timeout=120)
    results: dict[str, tuple[str, int]] = json.loads(told.stdout)
    naive = results.pop("naive gzip bomb")
    assert naive[0] == f"read {64 * MIB} bytes"
    assert naive[1] > 48
    assert {name: what for name, (what, _) in results.items()} == dict.fromkeys(results, "refused")
    assert {name: cost for name, (_, cost) in results.items() if cost > MONSTERS[name][3]} == {}
