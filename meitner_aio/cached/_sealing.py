"""What a cache keeps of an answer, under which key, and how it knows again what it kept. Pure: nothing awaits.

Keys are digests of what was asked; a seal says that the bytes were kept under their key by somebody with the same
credentials and this version of the package. Both are keyed by who asks whom, so that they can neither be read nor made
by anybody else. What is kept is not encrypted.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from hashlib import blake2b
from hmac import compare_digest
from typing import Any

import msgspec
from msgspec import Struct

from ._providers import Cached

_SIZE = 32
_SEAL = b"meitner_aio 1"
"""What seals are for, and the version of what is sealed: one of another version opens nothing."""

_SLACK = 1.0
"""Seconds that a provider may keep an answer longer than it was told to: it may count whole ones."""

_IRRELEVANT = frozenset({"user-agent", "traceparent", "tracestate"})
"""Headers of a request that change no answer."""


def scope(credentials: bytes, url: str, headers: Mapping[str, str], session: bytes) -> bytes:
    """Return a digest of who asks whom: all that may change an answer, beside what is asked.

    `credentials` is a digest as secret as they are, `session` what a session of the caller's adds by itself.
    """
    told = sorted((name.lower(), value) for name, value in headers.items() if name.lower() not in _IRRELEVANT)
    return blake2b(msgspec.msgpack.encode((credentials, url, told, session)), digest_size=_SIZE).digest()


class Answer(Struct, frozen=True, array_like=True):
    """What is kept of an answer. `begun` numbers the read that it begins; later pages are kept under that number.

    `lifetime` is for how many seconds it was kept: with what is left of them, that tells how old it is.
    """

    headers: dict[str, str]
    body: bytes
    begun: int
    lifetime: float

    def __repr__(self) -> str:
        return f"Answer({len(self.body)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("body", f"{len(self.body)} bytes")]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Answer).decode


class Seal:
    """Makes keys and seals within a scope. Where `trusting`, what was kept is not sealed, which takes its time."""

    def __init__(self, scope: bytes, *, trusting: bool = False) -> None:
        self._key = blake2b(scope, digest_size=_SIZE).digest()
        self._trusting = trusting
        self._size = 0 if trusting else _SIZE

    def __repr__(self) -> str:
        return "Seal(***)"

    def digest(self, *parts: bytes) -> bytes:
        """Return 20 bytes that say nothing, and are the same for the same parts."""
        digest = blake2b(key=self._key, digest_size=20)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    def fetch_raw(self, key: str, answer: Answer) -> bytes:
        """Return what to keep under a key."""
        data = _encode(answer)
        return self._over(key, data) + data

    def opened(self, key: str, kept: object) -> tuple[Answer, float] | None:
        """Return the answer that a provider gave back, and how many seconds old it is; None for anything else."""
        value: Any = kept.value if isinstance(kept, Cached) else None
        left: Any = kept.expires_in if isinstance(kept, Cached) else None  # both may be anything: nobody checked them
        if not isinstance(value, bytes) or not isinstance(left, (int, float)) or isinstance(left, bool):
            return None
        data = memoryview(value)[self._size :]
        if not compare_digest(value[: self._size], self._over(key, data)):
            return None
        try:
            answer = _decode(data)
        except msgspec.MsgspecError:
            return None
        return (answer, answer.lifetime - left) if -math.inf < left <= answer.lifetime + _SLACK else None

    def another(self) -> Seal:
        """Return one that opens nothing of what this one sealed, and finds none of its keys."""
        return Seal(self._key + os.urandom(_SIZE), trusting=self._trusting)

    def _over(self, key: str, data: bytes | memoryview) -> bytes:
        if self._trusting:
            return b""
        seal = blake2b(key.encode(), key=self._key, person=_SEAL, digest_size=_SIZE)
        seal.update(data)
        return seal.digest()
