"""What does decompressing cost? A gzip'd page of 1,000 students becomes JSON, and then records.

Peers: isal, which the extra `speed` brings, and zlib, which decompresses without it; each with and without decoding.

    python benchmarks/bench_inflate.py
"""

from __future__ import annotations

import gzip
import sys
from functools import partial
from typing import Any, cast

import msgspec
from _harness import Cost, answer_as_peer, measured, report, run, sized
from _server import page, students

ROWS = 1000
ROUNDS = 7
PASSES = sized(100, quick=10)
PIECE = 64 * 1024
"""Bytes that arrive at once."""


def _load(library: str, _: str, *, decoded: bool) -> Cost:
    """Return the cost of one page, warmed up."""
    if library == "zlib":
        cast("Any", sys.modules)["isal"] = None  # as if it were not installed
    from meitner_aio import Student
    from meitner_aio._pipeline.decompression import Decompressor
    from meitner_aio._pipeline.inflation import fastest
    from meitner_aio._wire.decoding import PageReader
    from meitner_aio._wire.messages import Headers, RawResponse, Request

    assert fastest().name == library
    request = Request("list", "GET", "/student", "/student", f"limit={ROWS}&offset=0")
    headers, read = Headers({"Content-Type": "application/json"}), PageReader(Student).reader(0, skip_invalid=False)
    packed = gzip.compress(page([msgspec.json.encode(row) for row in students(ROWS)], ROWS, 0, ROWS), 6)

    def once() -> None:
        inflated = Decompressor("gzip", 32 * 1024 * 1024)
        for start in range(0, len(packed), PIECE):
            inflated.feed(packed[start : start + PIECE])
        body = inflated.whole()
        if decoded:
            read(request, RawResponse(200, headers, body))

    once()
    with measured() as cost:
        for _ in range(PASSES):
            once()
    return cost.per(PASSES)


PEERS = {
    "isal": partial(_load, "isal", decoded=False),
    "zlib": partial(_load, "zlib", decoded=False),
    "isal, and records": partial(_load, "isal", decoded=True),
    "zlib, and records": partial(_load, "zlib", decoded=True),
}

if __name__ == "__main__":
    answer_as_peer(PEERS)
    report("inflate", f"Decompressing a page of {ROWS:,} students", run(PEERS, rounds=ROUNDS), unit="µs a page")
