"""Decompresses a body as it arrives, up to a cap; refuses one that was cut short. Pure; knows no sockets."""

from __future__ import annotations

from .inflation import Stream, errors, open_stream

_STEP = 1024 * 1024
"""Most bytes that are decompressed at once."""

_CREDIBLE, _RATIO = 4 * 1024 * 1024, 200
"""Bytes up to which any compression ratio is accepted, and the largest ratio beyond: pages of synthetic rows that
differ in their ids only reach 50, a bomb 1,000."""

_CRUMB = 16 * 1024
"""Parts of fewer bytes are joined as they arrive: a server may send single bytes, and each part is an object."""

_MEMBERS = 64
"""Most compressed streams in one body: a server that compresses in pieces makes a few."""


class BadAnswerError(Exception):
    """An answer arrived that breaks the contract; the message says how."""


class TooLargeError(BadAnswerError):
    """An answer is larger than allowed."""

    def __init__(self, most: int) -> None:
        super().__init__(f"more than {most} bytes")


class Decompressor:
    """The body of an answer as it arrives, decompressed; `TooLargeError` for one larger than `most` bytes."""

    def __init__(self, encoding: str, most: int) -> None:
        self._encoding = encoding.strip().lower()
        self._most = most
        self._parts: list[bytes | bytearray] = []
        self._size = self._taken = self._members = 0
        self._stream: Stream | None = None
        if self._encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise BadAnswerError("an encoding that was not asked for")

    def feed(self, data: bytes) -> None:
        """Take the next bytes that arrived."""
        self._taken += len(data)
        if self._encoding in ("", "identity"):
            self._keep(data, self._taken)
        else:
            try:
                self._inflate(data)
            except errors():
                raise BadAnswerError("a body that cannot be decompressed") from None

    def _inflate(self, data: bytes) -> None:
        full = False
        while data or full:
            if self._stream is None or self._stream.eof:
                self._stream = self._next_stream(data)
            part = self._stream.decompress(data, _STEP)
            full = len(part) == _STEP and not self._stream.eof  # then the stream may hold more
            data = self._stream.unconsumed_tail or self._stream.unused_data
            self._keep(part, self._taken - len(data))

    def _next_stream(self, data: bytes) -> Stream:
        self._members += 1
        if self._members > _MEMBERS:
            raise BadAnswerError("a body compressed in too many pieces")
        if self._encoding != "deflate":
            return open_stream(31, data)
        # RFC 9110 asks for deflate data with a zlib header; data without one is as common.
        return open_stream(15 if data[0] & 0xF == 8 else -15, data)

    def _keep(self, part: bytes, taken: int) -> None:
        if self._parts and len(part) < _CRUMB and isinstance(last := self._parts[-1], bytearray) and len(last) < _CRUMB:
            last += part
        else:
            self._parts.append(bytearray(part) if len(part) < _CRUMB else part)
        self._size += len(part)
        if max(self._size, self._taken) > self._most or self._size > max(_CREDIBLE, _RATIO * taken):
            raise TooLargeError(min(self._size, self._most))

    def whole(self) -> bytes:
        """Return the body, once all of it has arrived."""
        if self._stream is not None and not self._stream.eof:
            raise BadAnswerError("a compressed body that was cut short")
        return b"".join(self._parts)

    def beginning(self) -> bytes:
        """Return what has arrived so far, up to the cap."""
        return b"".join(self._parts)[: self._most]
