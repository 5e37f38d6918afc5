"""What an answer to a page may cost: rows and bytes by what was asked for, whatever a server sends."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from conftest import CREDENTIALS, Scripted
from raw_server import STUDENT, RawServer, answer, page, writes

from meitner_aio import Group, Meitner, OAuth2, RetryPolicy, Student
from meitner_aio._pipeline.decompression import Decompressor
from meitner_aio._wire.decoding import PageReader
from meitner_aio._wire.messages import Headers, RawResponse, Request
from meitner_aio._wire.page_bounds import bounded, largest
from meitner_aio.errors import ResponseValidationError
from meitner_aio.records import Record

MIB = 1024 * 1024
GROUP = {"id": STUDENT["id"], "schoolID": STUDENT["id"], "title": "7A"}
ASKED = Request("list", "GET", "/student", "/student")


def _page(rows: bytes) -> bytes:
    return b'{"data":[' + rows + b'],"pagination":{"limit":50,"offset":0,"total":9}}'


def _read(model: type[Record], limit: int, body: bytes, *, skip_invalid: bool = False) -> Any:
    reader = bounded(PageReader(model).reader(0, skip_invalid=skip_invalid), limit)
    return reader(ASKED, RawResponse(200, Headers({"Content-Type": "application/json"}), body))


def _filled(row: bytes) -> bytes:
    """Return 8 MiB of rows."""
    return _page(b",".join([row] * (8 * MIB // (len(row) + 1))))


HOSTILE = {
    "small rows": lambda: _filled(json.dumps(STUDENT).encode()),
    "empty rows": lambda: _filled(b"{}"),
    "numbers": lambda: _filled(b"1"),
    "lists": lambda: _filled(b"[]"),
    "one row with a list": lambda: _page(b'{"memberIDs":[' + b",".join([b'"ab"'] * MIB) + b"]}"),
    "padded": lambda: _filled(json.dumps(STUDENT).encode() + b" " * 100),
}


@pytest.mark.parametrize("limit", [50, 1000])
@pytest.mark.parametrize("skip_invalid", [False, True])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_page_costs_little_more_than_its_bytes(kind: str, limit: int, *, skip_invalid: bool) -> None:
    """8 MiB of rows nobody asked for are refused before anything is made of them."""
    body = HOSTILE[kind]()
    tracemalloc.start()
    try:
        with pytest.raises(ResponseValidationError):
            _read(Group if "list" in kind else Student, limit, body, skip_invalid=skip_invalid)
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("limit", [1, 50, 1000])
async def test_more_rows_than_any_page_has_are_no_page(scripted: Scripted, limit: int) -> None:
    """A server may have one size of pages, whatever it is asked for; 1,000 rows are the most."""
    rows = [{**STUDENT, "id": f"5f0c8a52-6b1e-4c58-9d0e-{number:012}"} for number in range(1001)]
    meitner, _ = await scripted(page(rows, limit=limit, total=5000), max_retries=0)
    with pytest.raises(ResponseValidationError, match="more than the 1000 rows"):
        await meitner.students.list(limit=limit)
    meitner, _ = await scripted(page(rows[:1000], limit=1000, total=5000))
    assert len(await meitner.students.list(limit=limit)) == 1000


async def test_a_page_of_few_rows_is_cut_off_early() -> None:
    """Bytes, too, are counted by what was asked for: a page of 50 rows has no 28 MiB, and is not waited for."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    async with (
        RawServer([writes(head, *[b" " * MIB] * 28)]) as server,
        Meitner(*CREDENTIALS, base_url=server.url, retry=RetryPolicy(max_retries=0)) as meitner,
    ):
        with pytest.raises(ResponseValidationError, match=f"more than {largest(50)} bytes"):
            await meitner.students.list(limit=50)
    assert largest(50) < 6 * MIB


@pytest.mark.parametrize("limit", [1, 50, 1000])
def test_heavy_rows_that_were_asked_for_are_read(limit: int) -> None:
    """Groups with thousands of members, and texts that look like JSON, are as good as others."""
    members = [f"5f0c8a52-6b1e-4c58-9d0e-{number:012}" for number in range(400)]
    text = "{a, b} " * 8
    rows = [{**GROUP, "memberIDs": members, "title": text}] * limit
    read = _read(Group, limit, _page(json.dumps(rows, separators=(",", ":")).encode()[1:-1]))
    assert len(read.rows) == limit


def test_a_body_that_comes_in_crumbs_costs_its_bytes() -> None:
    """Not an object for each."""
    tracemalloc.start()
    try:
        inflated, size = Decompressor("", MIB), 128 * 1024
        for number in range(size // 2):
            inflated.feed(b"%02x" % (number % 256))
        assert len(inflated.whole()) == size
        assert tracemalloc.get_traced_memory()[1] < 4 * size
    finally:
        tracemalloc.stop()


async def test_a_single_record_has_a_measure_too(scripted: Scripted) -> None:
    """It may be larger than any that there is, and no more."""
    for size, fits in ((3, True), (5, False)):
        meitner, _ = await scripted(answer(data={**STUDENT, "unknown": "x" * size * MIB}), max_retries=0)
        if fits:
            assert (await meitner.students.get(STUDENT["id"])).id == STUDENT["id"]
            continue
        with pytest.raises(ResponseValidationError, match=f"more than {largest(1)} bytes"):
            await meitner.students.get(STUDENT["id"])


async def test_a_token_has_a_measure_too(scripted: Scripted) -> None:
    """What is larger is none."""
    token = answer(data={"access_token": "tok", "expires_in": 3600, "unknown": "x" * 2 * MIB})
    meitner, server = await scripted(token, auth=OAuth2("an-id", "a-secret"), max_retries=0)
    with pytest.raises(ResponseValidationError, match="token endpoint was answered with more than"):
        await meitner.students.get(STUDENT["id"])
    assert {seen.target for seen in server.seen} == {"/oauth/token"}
