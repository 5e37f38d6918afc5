"""How far a run came, as text that says nothing of anybody. Pure.

It holds a time, the names of resources, a salted digest of server and client, and of each resource that cannot be
searched what its rows were, enciphered (see `_digest.py`). Base64: Python's base85 takes seconds for a large one.
"""

from __future__ import annotations

import base64
import re
import zlib

import msgspec
from msgspec import Struct

from .._wire.messages import FOREIGN

_VERSION = 1
_FORM = re.compile(r"meitner-changes-(\d{1,6}):([A-Za-z0-9_=-]*)")
_LATEST = 9_000 * 31_556_952 - 62_000_000_000
"""Seconds since 1970, long before the year 9000: arithmetic with a plausible time does not overflow."""


class Digest(Struct, frozen=True, array_like=True):
    """What the rows of a resource were when they were last read."""

    salt: str
    read_at: int
    """By the server's clock, in seconds since 1970."""
    rows: bytes

    def __repr__(self) -> str:
        return f"Digest({len(self.rows)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("bytes", len(self.rows))]


class Checkpoint(Struct, frozen=True, array_like=True):
    """How far a run came."""

    at: int
    """Up to when changes were told, by the server's clock, in seconds since 1970."""
    ahead: int
    """Seconds by which the clock that stamps rows was seen to be ahead of the one of the answers."""
    salt: str
    digest: str
    """Of the server and who read it, in hexadecimal digits."""
    resources: tuple[str, ...]
    digests: dict[str, Digest]

    def text(self) -> str:
        """Return what a caller keeps. Blocking: some milliseconds for each ten thousand rows of a digest."""
        packed = zlib.compress(msgspec.msgpack.encode(self), 1)
        return f"meitner-changes-{_VERSION}:{base64.urlsafe_b64encode(packed).decode()}"


_decoder = msgspec.msgpack.Decoder(Checkpoint)


def parse(text: str) -> Checkpoint | None:
    """Return what a text holds; None for that of another version. `ValueError` for what is no checkpoint."""
    form = _FORM.fullmatch(text.strip())
    if form is not None and int(form[1]) != _VERSION:
        return None
    try:
        checkpoint = _decoder.decode(zlib.decompress(base64.urlsafe_b64decode(form[2]))) if form else None
    except (zlib.error, *FOREIGN):
        checkpoint = None
    if checkpoint is None or not (0 <= checkpoint.at < _LATEST and 0 <= checkpoint.ahead < _LATEST):
        raise ValueError("since is no checkpoint of meitner.changes, or a part of one")
    return checkpoint
