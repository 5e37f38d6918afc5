"""Bodies as servers send them: too large, cut short, compressed or not what they say; and odd ones that will do."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import Scripted
from raw_server import STUDENT, STUDENT_ID, Reply, answer, failure, writes

from meitner_aio import QuotaPolicy
from meitner_aio._pipeline.decompression import BadAnswerError, Decompressor
from meitner_aio._pipeline.transport import LARGEST_BODY, LARGEST_ERROR
from meitner_aio._wire.messages import Request
from meitner_aio.errors import APIConnectionError, APIStatusError, ResponseValidationError

MIB = 1024 * 1024


def _get(timeout: float = 5.0) -> Request:
    return Request("get", "GET", "/student/{id}", "/student/x", timeout=timeout)


def _create(body: bytes = b"{}", timeout: float = 5.0) -> Request:
    return Request("create", "POST", "/student", "/student", "", body, timeout=timeout)


def _bomb(wbits: int, size: int) -> bytes:
    """Return zeros, compressed a thousandfold: one block of a MiB, again and again."""
    squeezer = zlib.compressobj(wbits=wbits)
    first = squeezer.compress(bytes(MIB)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    again = squeezer.compress(bytes(MIB)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    return first + again * (size // MIB - 1)


@pytest.fixture
def memory() -> Iterator[Callable[[], int]]:
    """Give the most bytes that were in use at once so far."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    yield lambda: tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("encoding", "wbits"), [("gzip", 31), ("x-gzip", 31), ("deflate", 15), ("deflate", -15)], ids=str
)
async def test_a_bomb_is_refused_before_it_takes_memory(
    carried: Any, memory: Callable[[], int], encoding: str, wbits: int
) -> None:
    """512 MiB of zeros in half of one."""
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nConnection: close\r\n\r\n"
    transport, _ = await carried(writes(head.encode(), _bomb(wbits, 512 * MIB)))
    with pytest.raises(ResponseValidationError, match="more than"):
        await transport.send(_get())
    assert memory() < 16 * MIB


async def test_a_body_that_says_it_is_too_large_is_not_read(carried: Any, memory: Callable[[], int]) -> None:
    """40 MiB by its own account."""
    transport, _ = await carried(writes(f"HTTP/1.1 200 OK\r\nContent-Length: {40 * MIB}\r\n\r\n".encode(), b"x" * 1000))
    with pytest.raises(ResponseValidationError, match="more than"):
        await transport.send(_get())
    assert memory() < MIB


async def test_a_body_that_turns_out_too_large_is_cut_off(carried: Any, memory: Callable[[], int]) -> None:
    """40 MiB without a word: no more than the cap is ever held, and the connection is gone."""
    transport, server = await carried(writes(b"HTTP/1.1 200 OK\r\n\r\n", *[bytes(MIB)] * 40), answer())
    with pytest.raises(ResponseValidationError, match="more than"):
        await transport.send(_get())
    assert memory() < LARGEST_BODY + 8 * MIB
    await transport.send(_get())
    assert server.connections == 2


async def test_a_body_up_to_the_cap_is_taken(carried: Any) -> None:
    """The cap itself is not too large."""
    body = bytes(LARGEST_BODY)
    for reply in (answer(body=body), writes(b"HTTP/1.0 200 OK\r\n\r\n", body)):
        transport, _ = await carried(reply)
        assert (await transport.send(_get())).body == body


async def test_a_head_says_how_large_a_body_would_be(carried: Any) -> None:
    """No body, so none is too large."""
    transport, _ = await carried(f"HTTP/1.1 200 OK\r\nContent-Length: {40 * MIB}\r\n\r\n".encode())
    response = await transport.send(Request("request", "HEAD", "/x", "/x", timeout=5.0))
    assert (response.status, response.body) == (200, b"")


PLAIN = json.dumps([STUDENT] * 500).encode()
_ENCODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "members": ("gzip", lambda body: gzip.compress(body[:100]) + gzip.compress(b"") + gzip.compress(body[100:])),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", lambda body: zlib.compress(body, wbits=-15)),
    "capitals": (" GZip ", gzip.compress),
    "identity": ("identity", bytes),
    "none": ("", bytes),
}


@pytest.mark.parametrize(("encoding", "compress"), _ENCODINGS.values(), ids=_ENCODINGS)
async def test_a_compressed_body_arrives_whole_or_not_at_all(carried: Any, encoding: str, compress: Any) -> None:
    """Wherever it is cut short, also where its length says that it is whole: an error, never a shorter body."""
    whole = compress(PLAIN)
    transport, _ = await carried(answer(headers={"Content-Encoding": encoding}, body=whole))
    assert (await transport.send(_get())).body == PLAIN
    if compress is bytes:
        return
    for cut in sorted({1, 9, 50, len(whole) // 2, len(whole) - 9, len(whole) - 1}):
        short, _ = await carried(answer(headers={"Content-Encoding": encoding}, body=whole[:cut]))
        with pytest.raises(ResponseValidationError):
            await short.send(_get())


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"no gzip at all"),
        ("gzip", gzip.compress(PLAIN) + b"junk"),
        ("gzip", gzip.compress(PLAIN)[:-8] + b"12345678"),
        ("deflate", b"\xff\xff"),
        ("gzip", gzip.compress(b"") * 10_000),
        ("gzip, gzip", gzip.compress(gzip.compress(PLAIN))),
        ("br", b"\x0b\x02\x80"),
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("gzip\udcff", PLAIN),
    ],
)
async def test_what_cannot_be_decompressed_is_refused(carried: Any, encoding: str, body: bytes) -> None:
    """Junk, a wrong checksum, ten thousand streams in one, encodings in a chain or never asked for."""
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
    transport, _ = await carried(head.encode(errors="surrogateescape") + body)
    with pytest.raises(ResponseValidationError):
        await transport.send(_get())


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 8192, 5 * 4096, 5 * 4096 + 1, 3 * 4096 + 7])
@pytest.mark.parametrize("wbits", [31, 15, -15])
@pytest.mark.parametrize("whole", [False, True])
def test_a_body_may_arrive_in_any_pieces(wbits: int, size: int, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes at the edges of what is decompressed at once, well and badly compressible, cut anywhere."""
    monkeypatch.setattr("meitner_aio._pipeline.decompression._STEP", 4096)
    chance = random.Random(size)
    for body in (bytes(size), chance.randbytes(size // 7) * 7):
        squeezed = zlib.compress(body, wbits=wbits)
        inflated = Decompressor("gzip" if wbits == 31 else "deflate", MIB)
        while squeezed:
            piece = len(squeezed) if whole else chance.randrange(1, max(2, len(squeezed)))
            inflated.feed(squeezed[:piece])
            squeezed = squeezed[piece:]
        assert inflated.whole() == body


def test_a_stream_that_says_nothing_for_ever_is_refused() -> None:
    """Blocks of no bytes at all add up to no body, but they do arrive."""
    inflated = Decompressor("deflate", MIB)
    nothing = b"\x00\x00\x00\xff\xff" * 1000
    for _ in range(MIB // len(nothing)):
        inflated.feed(nothing)
    with pytest.raises(BadAnswerError):
        inflated.feed(nothing)


async def test_an_answer_cut_short_is_no_answer(carried: Any) -> None:
    """Fewer bytes than announced, a chunk that never ends: a connection error for a read."""
    for reply in (
        writes(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}"),
        writes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}"),
    ):
        transport, _ = await carried(reply)
        with pytest.raises(APIConnectionError):
            await transport.send(_get())


@pytest.mark.parametrize("status", [100, 101, 103, 199])
async def test_an_answer_that_answers_nothing_is_refused(scripted: Scripted, status: int) -> None:
    """Not even a delete is done because somebody wants to switch protocols."""
    meitner, _ = await scripted(
        writes(f"HTTP/1.1 {status} Huh\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n".encode())
    )
    with pytest.raises((ResponseValidationError, APIConnectionError)):
        await meitner.students.delete(STUDENT_ID)


# Failures: their status counts, whatever becomes of their body.


_ERROR_HEAD = b"HTTP/1.1 422 No\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "reply",
    [
        writes(_ERROR_HEAD + b"\r\n", *[b"x" * 65536] * 60),
        writes(_ERROR_HEAD + f"Content-Length: {400 * MIB}\r\n\r\n".encode(), *[b"x" * 65536] * 60),
        writes(_ERROR_HEAD + b"Content-Encoding: gzip\r\n\r\n" + _bomb(31, 64 * MIB)),
        writes(_ERROR_HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"),
        writes(_ERROR_HEAD + b"Content-Encoding: br\r\nContent-Length: 4\r\n\r\nabcd"),
        writes(_ERROR_HEAD + b"Content-Length: 500\r\n\r\n{"),
        writes(_ERROR_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\nxx", pause=0.02),
        writes(_ERROR_HEAD + b"Content-Length: 500\r\n\r\n", *[b" "] * 100, pause=0.02),
    ],
    ids=["endless", "huge", "bomb", "no gzip", "brotli", "cut short", "bad chunk", "drip"],
)
@pytest.mark.parametrize("operation", ["get", "create"])
async def test_a_failure_keeps_its_status_whatever_its_body(
    carried: Any, memory: Callable[[], int], operation: str, reply: Reply
) -> None:
    """422 is a no, also of a create; at most a MiB of the reasons is kept."""
    transport, _ = await carried(reply)
    response = await transport.send(_get(0.2) if operation == "get" else _create(timeout=0.2))
    assert response.status == 422
    assert len(response.body) <= LARGEST_ERROR
    assert memory() < 8 * MIB


async def test_a_failure_with_a_huge_body_raises_its_own_error(scripted: Scripted) -> None:
    """Not a validation error, and the beginning of the body is there."""
    meitner, server = await scripted(answer(403, body=b"x" * 3 * MIB))
    with pytest.raises(APIStatusError) as caught:
        await meitner.students.get(STUDENT_ID)
    assert (caught.value.status_code, len(caught.value.body), len(server.seen)) == (403, LARGEST_ERROR, 1)


async def test_a_compressed_error_object_is_read(scripted: Scripted) -> None:
    """Also in failures."""
    plain = failure(404, "NotFound", "no such student").partition(b"\r\n\r\n")[2]
    meitner, _ = await scripted(answer(404, headers={"Content-Encoding": "gzip"}, body=gzip.compress(plain)))
    with pytest.raises(APIStatusError, match="no such student"):
        await meitner.students.get(STUDENT_ID)


# Odd but usable answers.


@pytest.mark.parametrize(
    "media",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/problem+json",
        "text/json",
        None,
    ],
)
async def test_json_is_json_by_any_name(scripted: Scripted, media: str | None) -> None:
    """Also without a name."""
    body = json.dumps(STUDENT).encode()
    name = f"Content-Type: {media}\r\n" if media else ""
    meitner, _ = await scripted(f"HTTP/1.1 200 OK\r\n{name}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    assert (await meitner.students.get(STUDENT_ID)).id == STUDENT_ID


@pytest.mark.parametrize(
    "media", ["text/html", "text/plain", "application/octet-stream", "application/xml; x=json", "x" * 5000]
)
async def test_anything_else_is_not_taken_for_json(scripted: Scripted, media: str) -> None:
    """Even if it could be read."""
    meitner, server = await scripted(answer(headers={"Content-Type": media}))
    with pytest.raises(ResponseValidationError):
        await meitner.students.get(STUDENT_ID)
    assert len(server.seen) == 3


async def test_headers_of_odd_bytes_do_no_harm(scripted: Scripted) -> None:
    """Not even where a header is looked at."""
    body = json.dumps(STUDENT).encode()
    odd = b"".join(
        name + b": \xff\xfe\xc3\x28\r\n"
        for name in (
            b"X-Odd",
            b"Date",
            b"RateLimit-Limit",
            b"RateLimit-Remaining",
            b"RateLimit-Reset",
            b"Retry-After",
            b"X-Request-ID",
        )
    )
    head = odd + f"Content-Length: {len(body)}\r\n\r\n".encode()
    replies = b"HTTP/1.1 200 OK\r\n" + head + body, b"HTTP/1.1 429 \xff\xfe\r\n" + head + body
    meitner, _ = await scripted(*replies, quota=QuotaPolicy(per_hour=math.inf))
    assert (await meitner.students.get(STUDENT_ID)).id == STUDENT_ID
    assert meitner.quota is None
    with pytest.raises(APIStatusError) as caught:
        await meitner.students.get(STUDENT_ID)
    assert str(caught.value).isprintable()


async def test_an_answer_of_http_1_0_ends_with_its_connection(scripted: Scripted) -> None:
    """No length at all."""
    body = json.dumps(STUDENT).encode()
    meitner, server = await scripted(writes(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n", body))
    for _ in range(2):
        assert (await meitner.students.get(STUDENT_ID)).id == STUDENT_ID
    assert server.connections == 2


@pytest.mark.parametrize("extra", [b"hello", answer(data={"smuggled": 1})])
async def test_a_body_where_none_may_be_is_nobodys_answer(scripted: Scripted, extra: bytes) -> None:
    """204 with a body: the delete is done, and the next call gets its own answer."""
    meitner, server = await scripted(b"HTTP/1.1 204 X\r\n\r\n" + extra, failure(404, "NotFound"), answer())
    await meitner.students.delete(STUDENT_ID)
    while len(server.seen) < 2:
        await asyncio.gather(meitner.students.delete(STUDENT_ID), return_exceptions=True)
    assert (await meitner.students.get(STUDENT_ID)).id == STUDENT_ID
