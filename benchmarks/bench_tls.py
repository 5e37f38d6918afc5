"""What do TLS and gzip cost a whole read? 100,000 students, pages of 100 and of 1,000, over loopback.

Rows are as hard to compress as real ones: ids at random, names, addresses, identity numbers; gzip at level 6, as
servers usually have it. Peers: plain HTTP, TLS (certificates by trustme), gzip, and gzip over TLS, which is what
production is; gzip by isal, which the extra `speed` brings, and by zlib, which decompresses without it.

    python benchmarks/bench_tls.py
"""

from __future__ import annotations

import asyncio
import gzip
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, cast
from uuid import UUID

import msgspec
import trustme
from _harness import Cost, Peer, answer_as_peer, measured, report, run, sized
from _peers import CREDENTIALS
from _server import BASE, EPOCH, Answers, Connection

ROWS = sized(100_000, quick=5000, count=2000)
ROUNDS = 5
LIMITS = (100, 1000)


class RandomIds(Answers):
    """Pages of students under ids that do not compress."""

    def _encoded(self, start: int, end: int) -> Iterator[bytes]:
        for number in range(start, end):
            id_ = UUID(int=Random(number).getrandbits(128), version=4)
            made = (EPOCH + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
            template = self._templates[number % len(self._templates)]
            yield template.replace(b"<id>", str(id_).encode()).replace(b"<made>", made.encode())


class Packed(RandomIds):
    """The same, compressed."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self._packed: dict[bytes, bytes] = {}

    def to(self, target: bytes) -> bytes:
        """Return the answer to a GET."""
        if target not in self._packed:
            head, _, body = super().to(target).partition(b"\r\n\r\n")
            status, *headers = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
            body = gzip.compress(body, 6)
            headers += [b"Content-Encoding: gzip", b"Content-Length: %d" % len(body), b"", body]
            self._packed[target] = b"\r\n".join([status, *headers])
        return self._packed[target]


async def _serve(authority: str) -> None:
    """Serve on four ports until killed; print their URLs, and leave the certificate of the authority in a file."""
    made = trustme.CA()
    made.cert_pem.write_to_path(authority)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("localhost").configure_cert(tls)
    urls: dict[str, str] = {}
    loop, plain, packed = asyncio.get_running_loop(), RandomIds(ROWS), Packed(ROWS)
    for name, answers, context in (
        ("plain", plain, None),
        ("TLS", plain, tls),
        ("gzip", packed, None),
        ("gzip + TLS", packed, tls),
    ):
        server = await loop.create_server(partial(Connection, answers, 0.0), "127.0.0.1", 0, ssl=context)
        scheme = "http" if context is None else "https"
        urls[name] = f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}{BASE}"
    print(msgspec.json.encode(urls).decode(), flush=True)
    await loop.create_future()


@contextmanager
def _serving() -> Iterator[str]:
    """Serve from a process of its own; the value is where, for peers."""
    with tempfile.TemporaryDirectory() as folder:
        authority = str(Path(folder) / "authority.pem")
        command = [sys.executable, sys.argv[0], "--serve", authority]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                urls = msgspec.json.decode(process.stdout.readline(), type=dict[str, str])
                yield msgspec.json.encode({**urls, "authority": authority}).decode()
            finally:
                process.terminate()


def _read(way: str, library: str, limit: int, where: str) -> Cost:
    """Iterate over every student, as the documentation says."""
    if library == "zlib":
        cast("Any", sys.modules)["isal"] = None  # as if it were not installed
    from meitner_aio import Meitner
    from meitner_aio._pipeline.inflation import fastest

    assert library in ("", fastest().name)
    urls = msgspec.json.decode(where, type=dict[str, str])
    context = ssl.create_default_context(cafile=urls["authority"]) if "TLS" in way else None

    async def main() -> Cost:
        async with Meitner(*CREDENTIALS.values(), base_url=urls[way], ssl=context) as meitner:
            await meitner.students.list(limit=1)  # connect and import before the clock runs
            listing, rows = meitner.students.list(limit=limit), 0
            with measured() as cost:
                async for _ in listing:
                    rows += 1
            assert (rows, listing.report.level) == (ROWS, "certified")
            return cost

    return asyncio.run(main())


WAYS = {
    "plain": ("plain", ""),
    "TLS": ("TLS", ""),
    "gzip, isal": ("gzip", "isal"),
    "gzip, zlib": ("gzip", "zlib"),
    "gzip + TLS, isal": ("gzip + TLS", "isal"),
    "gzip + TLS, zlib": ("gzip + TLS", "zlib"),
}


def _peers(limit: int) -> dict[str, Peer]:
    return {f"{name}; {limit:,} a page": partial(_read, *way, limit) for name, way in WAYS.items()}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(_serve(sys.argv[2]))
    answer_as_peer({name: peer for limit in LIMITS for name, peer in _peers(limit).items()})
    with _serving() as url:
        for size in LIMITS:
            found = run(_peers(size), rounds=ROUNDS, url=url)
            costs = {name.partition(";")[0]: taken for name, taken in found.items()}
            report(f"tls-{size}", f"Reading {ROWS:,} students, {size:,} a page", costs, unit="µs a row", units=ROWS)
