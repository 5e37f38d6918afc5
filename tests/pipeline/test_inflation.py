"""isal and zlib: the same bodies, the same refusals; and which of them decompresses what."""

from __future__ import annotations

import gzip
import json
import random
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import pytest
from raw_server import STUDENT, answer

from meitner_aio._pipeline import inflation
from meitner_aio._pipeline.decompression import BadAnswerError, Decompressor
from meitner_aio._wire.messages import Request

PLAIN = json.dumps([STUDENT] * 500).encode()
MOST = 1024 * 1024

_gzip = partial(gzip.compress, mtime=0)

GARBLED, SHORT = "cannot be decompressed", "cut short"


NAMES = ["zlib", "isal"]


@contextmanager
def _decompressing(name: str) -> Iterator[None]:
    """Let one library decompress, as if the other were not there; skip where isal is not."""
    with pytest.MonkeyPatch.context() as patch:
        if name == "isal":
            pytest.importorskip("isal.isal_zlib")
        else:
            patch.setitem(sys.modules, "isal", None)
        inflation.fastest.cache_clear()
        yield
    inflation.fastest.cache_clear()


@pytest.fixture(params=NAMES)
def library(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the name of the library that decompresses."""
    with _decompressing(request.param):
        yield request.param


def _body(encoding: str, packed: bytes, piece: int, most: int = MOST) -> bytes:
    inflated = Decompressor(encoding, most)
    for start in range(0, len(packed), piece):
        inflated.feed(packed[start : start + piece])
    return inflated.whole()


def _header(flags: int, rest: bytes = b"") -> bytes:
    """Return a gzip stream of PLAIN with flags in its header (RFC 1952), and what they announce."""
    bare = zlib.compress(PLAIN, wbits=-15)
    return (
        struct.pack("<4BL2B", 31, 139, 8, flags, 0, 0, 3)
        + rest
        + bare
        + struct.pack("<LL", zlib.crc32(PLAIN), len(PLAIN))
    )


_CHECKED = struct.pack("<H", zlib.crc32(struct.pack("<4BL2B", 31, 139, 8, 2, 0, 0, 3)) & 0xFFFF)
_PRIMED = zlib.compressobj(zdict=b"students")

ACCEPTED = {
    "gzip": ("gzip", _gzip(PLAIN)),
    "stored": ("gzip", _gzip(PLAIN, 0)),
    "empty": ("gzip", _gzip(b"")),
    "members": ("gzip", _gzip(PLAIN[:100]) + _gzip(b"") + _gzip(PLAIN[100:])),
    "64 members": ("gzip", _gzip(PLAIN) + _gzip(b"") * 63),
    "name in the header": ("gzip", _header(8, b"students.json\0")),
    "checked header": ("gzip", _header(2, _CHECKED)),
    **{f"deflate {level}": ("deflate", zlib.compress(PLAIN, level)) for level in (1, 5, 6, 9)},
    "small window": ("deflate", zlib.compress(PLAIN, wbits=9)),
    "bare deflate": ("deflate", zlib.compress(PLAIN, wbits=-15)),
}
REFUSED = {
    "junk": ("gzip", b"no gzip", GARBLED),
    "junk behind": ("gzip", _gzip(PLAIN) + b"junk", GARBLED),
    "zeros behind": ("gzip", _gzip(PLAIN) + bytes(3), GARBLED),
    "junk behind deflate": ("deflate", zlib.compress(PLAIN) + b"\xff\xff", GARBLED),
    "checksum": ("gzip", _gzip(PLAIN)[:-8] + bytes(4) + _gzip(PLAIN)[-4:], GARBLED),
    "length": ("gzip", _gzip(PLAIN)[:-4] + bytes(4), GARBLED),
    "checksum of deflate": ("deflate", zlib.compress(PLAIN)[:-4] + bytes(4), GARBLED),
    "block type": ("gzip", _gzip(PLAIN)[:10] + b"\xff" * 50, GARBLED),
    "65 members": ("gzip", _gzip(PLAIN) + _gzip(b"") * 64, "too many pieces"),
    "reserved bits": ("gzip", _header(0x80), GARBLED),
    "unchecked header": ("gzip", _header(2, b"no"), GARBLED),
    "window": ("deflate", b"\xf8\x00" + zlib.compress(PLAIN)[2:], GARBLED),
    "dictionary": ("deflate", _PRIMED.compress(PLAIN) + _PRIMED.flush(), GARBLED),
    "gzip as deflate": ("deflate", _gzip(PLAIN), GARBLED),
    "deflate as gzip": ("gzip", zlib.compress(b""), GARBLED),
    **{f"cut at {cut}": ("gzip", _gzip(PLAIN)[:cut], SHORT) for cut in (1, 9, 50, -9, -1)},
    **{f"deflate cut at {cut}": ("deflate", zlib.compress(PLAIN)[:cut], SHORT) for cut in (1, 2, 50, -5, -1)},
    "second member cut": ("gzip", _gzip(PLAIN) * 2 + _gzip(PLAIN)[:-1], SHORT),
}
PIECES = [1, 7, 64 * 1024]
"""Bytes that arrive at once."""


@pytest.mark.parametrize(("encoding", "packed"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_whole_is_read(library: str, encoding: str, packed: bytes) -> None:
    """By either library, in whatever pieces it arrives."""
    wanted = b"" if packed == _gzip(b"") else PLAIN
    assert [_body(encoding, packed, piece) == wanted for piece in PIECES] == [True] * len(PIECES)


@pytest.mark.parametrize(("encoding", "packed", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_whole_is_refused(library: str, encoding: str, packed: bytes, says: str) -> None:
    """By either library, with the same words."""
    for piece in PIECES:
        with pytest.raises(BadAnswerError, match=says):
            _body(encoding, packed, piece)


@cache
def _packed(wbits: int, *, zeros: bool) -> bytes:
    """Return 8 MiB of zeros, or one of noise."""
    return zlib.compress(bytes(8 * MOST) if zeros else random.Random(1).randbytes(MOST), 1, wbits=wbits)


def _outcome(name: str, *what: Any) -> bytes | str:
    """Return the body, or the words of the refusal."""
    with _decompressing(name):
        try:
            return _body(*what)
        except BadAnswerError as refused:
            return f"{type(refused).__name__}: {refused}"


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
@pytest.mark.parametrize("piece", [1000, MOST])
def test_a_bomb_stops_at_the_same_byte(encoding: str, wbits: int, piece: int) -> None:
    """The cap counts what has come out, and the ratio what has gone in; noise up to the cap is a body."""
    for most in (MOST, 32 * MOST):  # the cap, and the ratio
        first, second = (_outcome(name, encoding, _packed(wbits, zeros=True), piece, most) for name in NAMES)
        assert first == second
        assert str(first).startswith("TooLargeError: more than")
    first, second = (_outcome(name, encoding, _packed(wbits, zeros=False), piece, 2 * MOST) for name in NAMES)
    assert first == second
    assert len(first) == MOST


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
def test_damage_is_judged_alike(encoding: str, wbits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bit that tipped over is refused by both, or by neither; in steps that do not fit."""
    monkeypatch.setattr("meitner_aio._pipeline.decompression._STEP", 1000)
    plain = json.dumps([STUDENT] * 5).encode()
    packed = zlib.compress(plain, wbits=wbits)
    for bit in range(8 * len(packed)):
        damaged = bytearray(packed)
        damaged[bit // 8] ^= 1 << bit % 8
        found = [_outcome(name, encoding, bytes(damaged), 100) for name in NAMES]
        bodies = [body for body in found if isinstance(body, bytes)]
        assert not bodies or found[0] == found[1], bit
        assert wbits == -15 or set(bodies) <= {plain}  # bare deflate has no checksum


@pytest.mark.parametrize(
    ("wbits", "begins", "chosen"),
    [
        (31, _gzip(PLAIN), "isal"),
        (15, zlib.compress(PLAIN), "isal"),
        (31, _header(2, _CHECKED), "zlib"),
        (31, b"\x1f\x8b", "zlib"),
        (15, b"\x78\xbb", "zlib"),
        (-15, b"\x78\x9c", "zlib"),
    ],
)
def test_isal_decompresses_what_begins_as_usual(library: str, wbits: int, begins: bytes, chosen: str) -> None:
    """Without it, and where it judges a header differently, zlib does."""
    kind = type(inflation.open_stream(wbits, begins))
    assert kind.__module__.startswith("isal" if library == chosen == "isal" else "zlib")
    assert inflation.fastest().name == library


@pytest.mark.parametrize(
    ("version", "used"), [("1.8.0", "zlib"), ("1.9.0", "isal"), ("1.10.dev1", "isal"), ("2.0", "isal")]
)
def test_an_isal_that_loses_bytes_is_not_used(version: str, used: str) -> None:
    """An older one may be installed for another library; its zlib streams may end in junk unnoticed."""
    with _decompressing("isal"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("isal.__version__", version)
        assert inflation.fastest().name == used


async def test_the_backend_of_the_process_stays_what_it_is(library: str, carried: Any) -> None:
    """aiohttp's choice belongs to the program, whatever decompresses the answers of this client."""
    from aiohttp.compression_utils import ZLibBackend

    before = ZLibBackend.name
    transport, _ = await carried(answer(headers={"Content-Encoding": "gzip"}, body=_gzip(PLAIN)))
    assert (await transport.send(Request("get", "GET", "/student/{id}", "/student/x", timeout=5.0))).body == PLAIN
    assert ZLibBackend.name == before
    assert inflation.fastest().name == library
