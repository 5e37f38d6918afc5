"""What the directory holds now: read once, in full, and gone through as often as wanted.

Of a listing, pages are kept packed, a tenth of their size. A copy that somebody keeps is brought up to date, and read
where it is.
"""

from __future__ import annotations

import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from ..._listing.listing import Listing
from ..._operations.resource import Binding, Resource, binding_of, model_of
from ..._wire.headers import server_time
from ..._wire.messages import RawResponse, Request, Send
from ...client import Meitner
from ...records import DirectoryRecord
from ...resources import RESOURCES

_QUICKLY = 1
"""The level of compression: a page of 1,000 records takes some milliseconds."""

_pack = msgspec.msgpack.Encoder().encode


class Synced(Protocol):
    """What bringing a copy up to date came to."""

    @property
    def complete(self) -> bool:
        """Whether every resource was shown to be whole."""
        ...


class CopyState(Protocol):
    """One state of a copy."""

    def records(self, resource: str, /) -> Iterator[DirectoryRecord]:
        """Yield every record of a resource, a few in memory at a time. May block."""
        ...


class Copy(Protocol):
    """A copy of the directory, such as `meitner_aio.mirror.Mirror` keeps."""

    async def sync(self, meitner: Meitner, resources: Iterable[str] | None = None) -> Synced:
        """Bring it up to date."""
        ...

    def read(self) -> AbstractContextManager[CopyState]:
        """Open its state, in any thread: all that is read within belongs together."""
        ...


class Present(ABC):
    """The records of some resources. Those of a copy are there within a `with` only, in the thread of that."""

    def __init__(self, incomplete: frozenset[str] = frozenset()) -> None:
        """Name the resources that are not known to be complete."""
        self.now = time.time()
        """By the server's clock as far as it says, in seconds since 1970."""
        self.incomplete = incomplete

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        return None

    @abstractmethod
    def records(self, resource: str) -> Iterator[DirectoryRecord]:
        """Yield every record of a resource that was read. Blocking."""


async def read(meitner: Meitner, resources: Iterable[str], copy: Copy | None) -> Present:
    """Read resources, from the directory or through a copy of it."""
    names = tuple(resources)
    if copy is not None:
        synced = await copy.sync(meitner, names)
        return _Copied(copy, frozenset() if synced.complete else frozenset(names))
    listed = _Listed()
    clock = _Clock(binding_of(meitner).send)
    for name in names:
        await listed.read(name, binding_of(meitner)._replace(send=clock.send))
    listed.now = clock.now if clock.now is not None else listed.now
    return listed


class _Copied(Present):
    def __init__(self, copy: Copy, incomplete: frozenset[str]) -> None:
        super().__init__(incomplete)
        self._copy = copy
        self._open = ExitStack()
        self._state: CopyState | None = None

    def __enter__(self) -> None:
        self._state = self._open.enter_context(self._copy.read())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._state = None
        self._open.close()

    def records(self, resource: str) -> Iterator[DirectoryRecord]:
        if self._state is None:
            raise RuntimeError("a copy is read within its state")
        return self._state.records(resource)


class _Listed(Present):
    def __init__(self) -> None:
        super().__init__()
        self._pages: dict[str, list[bytes]] = {}
        self._gone: dict[str, frozenset[str]] = {}

    async def read(self, name: str, wire: Binding) -> None:
        resource: Any = wire.to(RESOURCES[name])
        listing: Listing[DirectoryRecord] = resource.list().paged(exact=True)
        self._pages[name] = [zlib.compress(_pack(page.data), _QUICKLY) async for page in listing.pages()]
        report = listing.report
        self._gone[name] = frozenset(report.gone)
        if not report.complete:
            self.incomplete |= {name}

    def records(self, resource: str) -> Iterator[DirectoryRecord]:
        kind: type[Resource[DirectoryRecord]] = RESOURCES[resource]
        decoder: msgspec.msgpack.Decoder[list[DirectoryRecord]] = msgspec.msgpack.Decoder(list[model_of(kind)])  # type: ignore[misc]
        gone = self._gone[resource]
        for page in self._pages[resource]:
            for record in decoder.decode(zlib.decompress(page)):
                if record.id not in gone:
                    yield record


class _Clock:
    """Stands in the way of every request, to read the time from the answer: they wait for the quota as bulk work."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.now: float | None = None

    async def send(self, request: Request) -> RawResponse:
        response = await self._send(replace(request, bulk=True))
        date = server_time(response.headers)
        if date is not None:
            self.now = date if self.now is None else max(self.now, date)
        return response
