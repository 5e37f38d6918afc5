"""Clients and portals that nobody closed: no socket, thread or loop stays, and nothing is said of it."""

from __future__ import annotations

import asyncio
import gc
import ssl
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from conftest import CREDENTIALS, importing
from raw_server import STUDENT_ID, RawServer, answer

from meitner_aio import Meitner, Portal
from meitner_aio._runtime.dropped import cut
from meitner_aio._runtime.loop_thread import LoopThread

PATIENCE = 10.0


class Served:
    """A server in a thread of its own, which knows how many connections there are."""

    def __init__(self, room: LoopThread, server: RawServer, options: dict[str, Any]) -> None:
        self.room, self.server, self.options = room, server, options

    def client(self) -> Meitner:
        """Return a client of the server."""
        return Meitner(*CREDENTIALS, base_url=self.server.url, **self.options)

    def open(self, down_to: int | None = None) -> int:
        """Return how many connections are open, once there are no more than `down_to`, or time is up."""

        async def count() -> int:
            async with asyncio.timeout(PATIENCE):
                while down_to is not None and len(self.server._writers) > down_to:
                    await asyncio.sleep(0.001)
            return len(self.server._writers)

        return asyncio.run_coroutine_threadsafe(count(), self.room.loop).result()


@pytest.fixture(params=["tcp", "tls"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Give a server of one student, with and without TLS."""
    options, tls = {}, None
    if request.param == "tls":
        authority = trustme.CA()
        tls, options = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), {"ssl": ssl.create_default_context()}
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        authority.configure_trust(options["ssl"])
    server = RawServer([answer()], tls)

    async def end() -> None:
        await server.__aexit__()

    room = LoopThread("a server", end)
    asyncio.run_coroutine_threadsafe(server.__aenter__(), room.loop).result()
    yield Served(room, server, options)
    room.leave()


def _used(served: Served, loop: asyncio.AbstractEventLoop) -> list[Meitner]:
    """Return a client, in a list that a test can empty, which has a connection open in a loop."""
    clients = [served.client()]
    loop.run_until_complete(clients[0].students.get(STUDENT_ID))
    assert served.open() == 1
    return clients


@pytest.mark.parametrize("closed", [True, False])
def test_a_client_dropped_when_its_loop_rests_or_is_closed(served: Served, closed: bool) -> None:
    """Its connections are closed without the loop, which may go on afterwards; warnings are errors here."""
    loop = asyncio.new_event_loop()
    clients = _used(served, loop)
    if closed:
        loop.close()
    clients.clear()
    gc.collect()
    assert served.open(0) == 0
    if not closed:
        complaints: list[Any] = []
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        assert complaints == []


def _drop(clients: list[Meitner]) -> None:
    clients.clear()
    gc.collect()


def _drop_in_a_thread(clients: list[Meitner]) -> None:
    thread = threading.Thread(target=_drop, args=(clients,))
    thread.start()
    thread.join()


@pytest.mark.parametrize("drop", [_drop, _drop_in_a_thread])
def test_a_client_dropped_in_its_loop_or_in_another_thread(
    served: Served, drop: Callable[[list[Meitner]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections end while the loop turns, in its own thread; a copy or a resource that is kept keeps them."""
    threads: list[threading.Thread] = []

    def cutting(transport: Any, *, forked: bool) -> None:
        threads.append(threading.current_thread())
        cut(transport, forked=forked)

    monkeypatch.setattr("meitner_aio._pipeline.transport.cut", cutting)

    async def main() -> None:
        clients = [served.client()]
        await clients[0].students.get(STUDENT_ID)
        students = clients[0].with_options(max_retries=0).students
        drop(clients)
        await students.get(STUDENT_ID)
        assert served.open() == 1
        kept: list[Any] = [students]
        del students
        drop(kept)
        await asyncio.to_thread(served.open, 0)

    asyncio.run(main())
    assert (served.open(), len(served.server.seen), served.server.connections) == (0, 2, 1)
    assert threads == [threading.main_thread()]


def test_a_client_dropped_with_a_request_in_flight(served: Served) -> None:
    """The request is answered: who waits for it still uses the client. Then its connection goes."""

    async def main() -> None:
        reading = asyncio.create_task(served.client().students.get(STUDENT_ID))
        await asyncio.sleep(0)
        gc.collect()
        assert (await reading).id == STUDENT_ID
        del reading
        gc.collect()
        await asyncio.to_thread(served.open, 0)

    asyncio.run(main())
    assert (served.open(), len(served.server.seen)) == (0, 1)


def _portal_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "meitner_aio.Portal"]


def test_portals_dropped_leave_no_thread_loop_or_connection(served: Served) -> None:
    """Twenty of them, some with an iteration that nobody finished, some in another thread."""
    portals = [Portal(served.client()) for _ in range(20)]
    rows = []
    for portal in portals:
        portal.run(portal.meitner.students.get(STUDENT_ID))
        rows.append(portal.iterate(portal.meitner.students.list()))
    threads, loops = _portal_threads(), [portal._room.loop for portal in portals if portal._room]
    assert (served.open(), len(threads)) == (20, 20)
    del portal, portals[10:], rows[10:]
    gc.collect()
    thread = threading.Thread(target=lambda: (portals.clear(), rows.clear(), gc.collect()))
    thread.start()
    thread.join()
    for thread in threads:
        thread.join(PATIENCE)
    assert (served.open(0), _portal_threads()) == (0, [])
    assert all(loop.is_closed() for loop in loops)


def test_a_portal_in_a_cycle_with_its_iteration_is_collected_without_a_wait(served: Served) -> None:
    """The iteration finds the portal gone: it does not wait on a loop that ends."""
    portal = Portal(served.client())

    async def numbers() -> Any:
        for number in range(3):
            yield number

    rows: Any = portal.iterate(numbers())
    assert next(rows) == 0
    portal.own = rows  # type: ignore[attr-defined]
    [thread] = _portal_threads()
    del rows, portal
    gc.collect()
    thread.join(PATIENCE)
    assert _portal_threads() == []


def _run(script: str, url: str) -> tuple[int, str, str]:
    """Run a script in development mode, where every warning is an error, and return its end."""
    head = f"""
        import asyncio, gc, logging, os, sys
        logging.getLogger("asyncio").setLevel(logging.ERROR)  # a loaded machine makes slow callbacks, which are told of
        from meitner_aio import Meitner, Portal
        def client():
            return Meitner("an-id", "a-secret", base_url="{url}")
    """
    whole = textwrap.dedent(head) + textwrap.dedent(script)
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", whole]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=importing())
    return done.returncode, done.stdout, done.stderr


SCRIPTS = {
    "a client of a loop that ended": """
        meitner = client()
        async def main():
            await meitner.students.list().first()
        asyncio.run(main())
        print("end")
    """,
    "a client of a loop that rests": """
        meitner, loop = client(), asyncio.new_event_loop()
        loop.run_until_complete(meitner.students.list().first())
        kept = loop.close  # a loop that nobody closes is told of by asyncio
        import atexit
        atexit.register(kept)
        print("end")
    """,
    "a portal in use": """
        import threading
        portal = Portal(client())
        portal.run(portal.meitner.students.list().first())
        begun = threading.Event()
        async def forever():
            begun.set()
            await asyncio.Event().wait()
        threading.Thread(target=lambda: portal.run(forever()), daemon=True).start()
        begun.wait()
        print("end")
    """,
    "a portal that is closed at the end": """
        import atexit
        made = []
        atexit.register(lambda: made[0].close())
        made.append(Portal(client()))
        made[0].run(made[0].meitner.students.list().first())
        print("end")
    """,
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_an_interpreter_ends_in_silence_whatever_is_open(script: str, meitner_sandbox: Any) -> None:
    """Exit code 0, nothing on stderr."""
    assert _run(script, meitner_sandbox.url) == (0, "end\n", "")


FORKS = {
    "a client": """
        import atexit
        meitner, loop = client(), asyncio.new_event_loop()
        async def read():
            await meitner.students.list().first()
            return {id(one) for s in meitner._core.transport._sessions.values() for one in s.connector.made}
        before = loop.run_until_complete(read())
        child = os.fork()
        if not child:
            del meitner
            gc.collect()
            atexit._run_exitfuncs()  # but no end of a loop that is the parent's: asyncio would tell of it
            os._exit(0)
        print(os.waitpid(child, 0)[1], loop.run_until_complete(read()) == before)
        loop.run_until_complete(meitner.close())
        loop.close()
    """,
    "a portal": """
        portal = Portal(client())
        async def read():
            await portal.meitner.students.list().first()
            return {id(one) for s in portal.meitner._core.transport._sessions.values() for one in s.connector.made}
        before = portal.run(read())
        child = os.fork()
        if not child:
            del portal
            gc.collect()
            sys.exit(0)
        print(os.waitpid(child, 0)[1], portal.run(read()) == before)
    """,
}


@pytest.mark.skipif(sys.platform == "win32", reason="no fork on this platform")
@pytest.mark.parametrize("script", FORKS.values(), ids=FORKS)
def test_a_forked_process_drops_what_is_its_parents_and_harms_nothing(script: str, meitner_sandbox: Any) -> None:
    """The child ends in silence; the parent's connections, which share a selector with the child's, still serve."""
    assert _run(script, meitner_sandbox.url) == (0, "0 True\n", "")
