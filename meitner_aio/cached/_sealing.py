"""What a cache keeps of an answer, under which key, and how it recognises what it stored. Pure: nothing awaits.

A key is a digest of the request. A seal proves that the bytes were stored under their key with the same credentials and
by this version of the package. Both depend on the credentials and the server, so that nobody else can compute them. The
answers are not encrypted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import blake2b
from hmac import compare_digest

import msgspec
from msgspec import Struct

from ._providers import Cached

_SIZE = 32
_SEAL = b"meitner_aio 1"
"""What the seals are for, and the version of the format: a seal of another version is not accepted."""

_SLACK = 1.0
"""Seconds by which a provider may keep an answer too long, because it may count whole seconds."""

_IRRELEVANT = frozenset({"user-agent", "traceparent", "tracestate"})
"""Request headers that do not change the answer."""


def scope(credentials: bytes, url: str, headers: Mapping[str, str], session: bytes) -> bytes:
    """Return a digest of the client and the server: of all that may change an answer, besides the request.

    `credentials` is a digest as secret as they are; `session` covers what the caller's own session adds.
    """
    told = sorted((name.lower(), value) for name, value in headers.items() if name.lower() not in _IRRELEVANT)
    return blake2b(msgspec.msgpack.encode((credentials, url, told, session)), digest_size=_SIZE).digest()


class Answer(Struct, frozen=True, array_like=True):
    """What is kept of an answer. `begun` numbers the read that the page begins; later pages are kept under that number.

    `lifetime` is for how many seconds it was kept: with the seconds that are left, that gives its age.
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
    """Makes keys and seals within a scope. With `trusting`, answers are not sealed, which saves time."""

    def __init__(self, scope: bytes, *, trusting: bool = False) -> None:
        self._key = blake2b(scope, digest_size=_SIZE).digest()
        self._trusting = trusting
        self._size = 0 if trusting else _SIZE

    def __repr__(self) -> str:
        return "Seal(***)"

    def digest(self, *parts: bytes) -> bytes:
        """Return 20 bytes that are the same for the same parts, and reveal nothing of them."""
        digest = blake2b(key=self._key, digest_size=20)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    def sealed(self, key: str, answer: Answer) -> bytes:
        """Return the bytes to store under a key."""
        data = _encode(answer)
        return self._over(key, data) + data

    def opened(self, key: str, kept: object) -> tuple[Answer, float] | None:
        """Return a provider's answer and its age in seconds; None for anything that was not sealed under the key."""
        value: object = kept.value if isinstance(kept, Cached) else None
        left: object = kept.expires_in if isinstance(kept, Cached) else None  # unchecked: both may be anything
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

    def another(self, salt: bytes) -> Seal:
        """Return a seal with new keys, which accepts nothing that this one sealed; equal salts give equal keys."""
        return Seal(self._key + salt, trusting=self._trusting)

    def _over(self, key: str, data: bytes | memoryview) -> bytes:
        if self._trusting:
            return b""
        seal = blake2b(key.encode(), key=self._key, person=_SEAL, digest_size=_SIZE)
        seal.update(data)
        return seal.digest()
