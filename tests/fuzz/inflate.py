"""Compressed bodies: any bytes in any pieces are a whole body within the cap, or a `BadAnswerError`."""

from __future__ import annotations

import gzip
import zlib

from fuzzing import instrumented, run

with instrumented(__name__):
    from meitner_aio._pipeline.decompression import BadAnswerError, Decompressor

ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate", "br", "gzip, gzip")
MOST = 64 * 1024


def harness(data: bytes) -> None:
    """Inflate: a byte chooses the encoding, the next how large the pieces are."""
    encoding = ENCODINGS[data[0] % len(ENCODINGS)] if data else ""
    size = (data[1] if len(data) > 1 else 0) + 1
    body = data[2:]
    try:
        inflated = Decompressor(encoding, MOST)
        for start in range(0, len(body), size):
            inflated.feed(body[start : start + size])
            assert len(inflated.beginning()) <= MOST
        whole = inflated.whole()
    except BadAnswerError as error:
        assert str(error)
    else:
        assert len(whole) <= MOST
        assert encoding not in ("br", "gzip, gzip")
        assert whole == body or encoding not in ("", "identity")


_TEXT = b'{"data":[]}' * 50
CORPUS = [
    b"",
    b"\x00\x09" + _TEXT,
    b"\x02\x09" + gzip.compress(_TEXT),
    b"\x02\xff" + gzip.compress(_TEXT)[:-5],
    b"\x02\xff" + gzip.compress(_TEXT) * 70,
    b"\x02\xff" + gzip.compress(b"\0" * 128 * MOST),
    b"\x02\xff" + gzip.compress(b"\0" * 9 * MOST),
    b"\x04\x01" + zlib.compress(_TEXT),
    b"\x04\x01" + zlib.compress(_TEXT)[2:-4],
    b"\x04\x01\x08",
    b"\x05\x01x",
    b"\x06\x01x",
]

if __name__ == "__main__":
    run(harness, CORPUS)
