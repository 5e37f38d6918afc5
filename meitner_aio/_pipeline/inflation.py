"""Which library decompresses a stream: isal where it is installed (extra `speed`) and can be relied on, otherwise zlib.

aiohttp has a switch of its own (`aiohttp.set_zlib_backend`), which is the whole process's and therefore not for a
library to turn. isal is chosen here, for the bodies of this client only.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, Protocol

_USUAL = {
    31: (b"\x1f\x8b\x08\x00",),
    15: (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"),
}
"""By window bits, how streams of the usual servers begin: gzip without optional fields (RFC 1952, 2.3), and the four
zlib headers of a 32 KiB window (RFC 1950, 2.2). isal 1.9 judges other headers differently: it accepts reserved bits,
and refuses a right checksum of a header that arrives in pieces."""


_OLDEST = [1, 9]
"""The first isal that hands back all that follows a zlib stream: 1.8 loses one or two bytes, so that junk passes."""


class Stream(Protocol):
    """What `zlib.decompressobj` returns: zlib does not export the type."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Inflation(NamedTuple):
    """A library with the interface of zlib: what opens a stream of some window bits, and what it raises."""

    name: str
    decompressobj: Callable[[int], Stream]
    error: type[Exception]


_ZLIB = Inflation("zlib", zlib.decompressobj, zlib.error)


@cache
def fastest() -> Inflation:
    """Return the fastest library there is. It is looked for once, when the first compressed body arrives."""
    try:
        from isal import __version__, isal_zlib
    except ImportError:  # not installed, or of another platform
        return _ZLIB
    if [int(number) for number in __version__.split(".")[:2]] < _OLDEST:
        return _ZLIB
    untyped: Any = isal_zlib  # its stubs call `error` an exception, which is a class of them
    return Inflation("isal", untyped.decompressobj, untyped.error)


def open_stream(wbits: int, data: bytes) -> Stream:
    """Return what decompresses a stream of window bits as zlib counts them, which begins with `data`."""
    library = fastest() if data.startswith(_USUAL.get(wbits, ())) else _ZLIB
    return library.decompressobj(wbits)


def errors() -> tuple[type[Exception], ...]:
    """Return what streams raise when they cannot be decompressed."""
    return _ZLIB.error, fastest().error
