"""What does decoding cost? A page of 1,000 students becomes objects.

Peers: what this client does with an answer (checked, typed records); the models of the official client, the way its
SDK builds them, and straight from the bytes; and two libraries that stop at dictionaries, as a floor: orjson and json.

    python benchmarks/bench_decode.py
"""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
from _harness import Cost, answer_as_peer, measured, report, run, sized
from _server import page, students

ROWS = 1000
ROUNDS = 7
NOTES = ["orjson and json stop at dictionaries."]
MANY, FEW = sized(200, quick=10), sized(20, quick=2)
"""Passes over the page in a load."""


def _load(decode: Callable[[bytes], object], passes: int) -> Cost:
    """Return the cost of one pass over the page, warmed up."""
    body = page([msgspec.json.encode(row) for row in students(ROWS)], ROWS, 0, ROWS)
    decode(body)
    with measured() as cost:
        for _ in range(passes):
            decode(body)
    return cost.per(passes)


def ours(_: str) -> Cost:
    """Read the page as a listing does."""
    from meitner_aio import Student
    from meitner_aio._wire.decoding import PageReader
    from meitner_aio._wire.messages import Headers, RawResponse, Request

    request = Request("list", "GET", "/student", "/student", f"limit={ROWS}&offset=0")
    headers, read = Headers({"Content-Type": "application/json"}), PageReader(Student).reader(0, skip_invalid=False)
    return _load(lambda body: read(request, RawResponse(200, headers, body)), MANY)


def official(_: str) -> Cost:
    """Read the page as the official SDK does: text, dictionaries, then models."""
    from meitner import models
    from meitner.utils.serializers import unmarshal_json

    return _load(lambda body: unmarshal_json(body.decode(), models.StudentList), FEW)


def official_models(_: str) -> Cost:
    """Read the page with the models alone, as one does who leaves the SDK out."""
    from meitner import models

    return _load(models.StudentList.model_validate_json, FEW)


def with_orjson(_: str) -> Cost:
    """Stop at dictionaries."""
    import orjson

    return _load(orjson.loads, MANY)


def with_json(_: str) -> Cost:
    """Stop at dictionaries, with the standard library."""
    return _load(json.loads, MANY)


PEERS = {
    "meitner_aio": ours,
    "official models alone": official_models,
    "meitner (official)": official,
    "orjson.loads": with_orjson,
    "json.loads": with_json,
}

if __name__ == "__main__":
    answer_as_peer(PEERS)
    costs = run(PEERS, rounds=ROUNDS)
    title = f"Decoding a page of {ROWS:,} students"
    report("decode", title, costs, unit="µs a row", units=ROWS, notes=NOTES)
