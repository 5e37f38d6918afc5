"""An outbox whose writes are on the disk before they are sent, and stay there until they are over."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast
from weakref import WeakValueDictionary

import msgspec

from .._operations.deferred import Deferred, deferred
from .._operations.resource import Resource, binding_of, operations
from .._operations.writes import Create
from .._runtime.cleanup import finished
from .._runtime.threads import threaded
from .._wire.validation import built, checked, checked_id, encode
from ..errors import AmbiguousWriteError, APIStatusError, ConfigurationError, MeitnerError, NotFoundError
from ..records import Field, Record, fields
from ..resources import RESOURCES
from ._aside import Aside
from ._journal import Entry, WriteJournal
from ._outbox import Outbox

if TYPE_CHECKING:
    from .._operations.members import Client
    from .._pipeline.identity import Reader

_log = logging.getLogger("meitner_aio")

_NAMES = {kind: name for name, kind in RESOURCES.items()}
_LATER = frozenset({401, 403, 408, 425, 429})
"""Refusals that say nothing about the write itself: with other rights, or later, it may be taken."""
_ONCE_ONLY = frozenset({"archive", "restore"})
"""Writes of which the second is refused when the first has happened."""


class KeptOutbox(Outbox):
    """An outbox with a journal: `async with meitner.outbox(journal=path) as outbox`.

    Takes single writes of the client that made it: `create`, `update`, `delete`, `archive`, `restore`. What `put` took
    survives the end of the process, and what was awaited, or put before a `flush()`, a power cut. Entering the block
    puts first what earlier outboxes left in the journal, so it counts in `sent`, `failures` and their indexes.

    A create that may have been sent before a kill is looked up, and sent again only when it certainly did not happen;
    other writes are sent again, which changes nothing, in the order of `put` for each record. A write that fails for
    want of a server stays in the journal, as do later ones of the same record; one that is refused for good, and a
    create that nothing identifies and that may have happened, go into `refused`. The journal is removed when nothing is
    left in it. Both files hold personal data in the clear.
    """

    def __init__(
        self,
        journal: str | os.PathLike[str],
        client: Client,
        reader: Callable[[], Awaitable[Reader | None]],
        *,
        online: bool,
        concurrency: int,
        maxsize: int,
    ) -> None:
        """Open nothing yet. Writes are those of `client`; not `online`, they stay in the journal."""
        super().__init__(concurrency=concurrency, maxsize=maxsize)
        self._path = Path(os.fsdecode(os.fspath(journal)))
        self._client = client
        self._send = binding_of(client).send
        self._reader = reader
        self._online = online
        self._aside = Aside(self._path)
        self._journal: WriteJournal | None = None
        self._turns: WeakValueDictionary[tuple[str, str | None], asyncio.Lock] = WeakValueDictionary()
        self._stuck: set[tuple[str, str | None]] = set()
        """Records of which a write is not over."""
        self._setting_aside = asyncio.Lock()
        self._syncing = asyncio.Lock()
        self._written = self._synced = 0

    @property
    def refused(self) -> Path:
        """The file of writes that will never succeed as they are, of this outbox and those before; JSON lines."""
        return self._aside.path

    @property
    def kept(self) -> int:
        """Writes that are in the journal and not over."""
        return 0 if self._journal is None else len(self._journal.left)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, {self.kept} in {self._path}>"

    async def __aenter__(self) -> Self:
        """Open the journal, or begin one, and put what is left in it.

        Raises `MeitnerError` while another outbox uses it, and when it is of another server or other credentials;
        `ConfigurationError` for what is no such journal, for a damaged one, and for a file that others may write.
        """
        reader = await self._reader()
        if reader is None:
            raise ConfigurationError("an outbox with a journal is for a client that has an identity")
        try:
            journal = await finished(self._open(reader))
        except BaseException:
            await self._close()
            raise
        for entry in tuple(journal.left.values()) if self._online else ():
            super().put(self._deliver(entry, journal))
        return self

    async def _open(self, reader: Reader) -> WriteJournal:
        if self._journal is not None or self._closed:
            raise MeitnerError("this outbox was entered before: make another one")
        try:
            self._journal = journal = await threaded(WriteJournal.open, self._path, reader)
        except FileNotFoundError:
            raise ConfigurationError(f"{self._path.parent} does not exist: make the folder of the journal") from None
        aside = await threaded(self._aside.count)
        if aside:
            _log.warning("%s holds %d writes that were refused: look at them, then remove it", self._aside.path, aside)
        return journal

    def put(self, write: Coroutine[Any, Any, object]) -> Awaitable[None]:
        """Write a write down, queue it, and return at once. Await the result for the disk to have it, and for room.

        Raises `TypeError` for what is not one write of a resource, `MeitnerError` for one of another client, outside
        the block and after an error of the disk, and `OSError` when the disk does not take it: nothing is sent then.
        """
        if not asyncio.iscoroutine(write):
            raise TypeError(f"put takes a coroutine, such as students.create(...), not {type(write).__name__}")
        known = deferred(write)
        write.close()  # what is sent is made of what was written down
        journal = self._open_journal
        made = self._checked(known)
        name, operation = _NAMES[made.resource], operations(made.resource)[made.operation]
        id = None if made.operation == "create" else checked_id(_first(made))
        body = operation.body
        data = None if body is None else encode(checked(built(body, dict(made.given))))
        entry = journal.put(name, made.operation, id, data)
        self._written += 1
        room = super().put(self._deliver(entry, journal)) if self._online else None
        return _OnDisk(self._synced_now, room)

    @property
    def _open_journal(self) -> WriteJournal:
        if self._journal is None or self._closed:
            raise MeitnerError("this outbox is closed: put writes inside its `async with` block")
        return self._journal

    def _checked(self, known: Deferred | None) -> Deferred:
        if known is None or known.resource not in _NAMES:
            raise TypeError(
                "an outbox with a journal takes one create, update, delete, archive or restore of a resource: what "
                "reads first, or makes several writes, cannot be kept; await it, or use an outbox without a journal"
            )
        if known.send != self._send:
            raise MeitnerError("this write is another client's, or that of a copy: put it in an outbox of that one")
        return known

    async def flush(self) -> None:
        """Wait until the disk has every write that was put before, and each has been sent or has failed."""
        await self._synced_now()
        await super().flush()

    async def _synced_now(self) -> None:
        """Return when the disk has what is written by now: those who wait together are one sync."""
        wanted = self._written
        async with self._syncing:
            if self._synced < wanted and self._journal is not None:
                reached = self._written
                await threaded(self._journal.sync)
                self._synced = reached

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self._close)
            await super().__aexit__(kind, error, trace)

    async def _close(self) -> None:
        if self._journal is not None:
            await threaded(self._journal.close)

    # -- one write

    async def _deliver(self, entry: Entry, journal: WriteJournal) -> None:
        """Send a write, after those of the same record, and write down what became of it."""
        if entry.id is None:
            return await self._send_one(entry, journal)
        record = (entry.resource, entry.id)
        async with self._turns.setdefault(record, asyncio.Lock()):
            if record in self._stuck:
                raise MeitnerError(f"an earlier write of this record is not over: this one stays in {self._path}")
            self._stuck.add(record)
            try:
                return await self._send_one(entry, journal)
            finally:
                if entry.name not in journal.left:
                    self._stuck.discard(record)

    async def _send_one(self, entry: Entry, journal: WriteJournal) -> None:
        before = journal.begun.get(entry.name)
        journal.begin(entry)
        self._written += 1
        await self._synced_now()
        try:
            await _again(getattr(self._client, entry.resource), entry, before)
        except MeitnerError as error:
            if entry.operation == "delete" and before is not None and isinstance(error, NotFoundError):
                journal.settle(entry)  # it was deleted before the kill
                return
            if _is_for_good(error):
                await self._put_aside(
                    entry, journal, error, unsure=before is not None and entry.operation in _ONCE_ONLY
                )
            elif entry.id is None and not isinstance(error, AmbiguousWriteError):
                journal.take_back(entry)  # a create that failed otherwise certainly did not happen
            raise
        journal.settle(entry)

    async def _put_aside(self, entry: Entry, journal: WriteJournal, error: MeitnerError, *, unsure: bool) -> None:
        """Keep a write aside that will never succeed, or of which nobody can tell."""
        unsure |= isinstance(error, AmbiguousWriteError)
        async with self._setting_aside:
            await threaded(self._aside.put, entry, error, may_have_happened=unsure)
        journal.settle(entry)
        _log.warning(
            "%s.%s of an outbox %s: it is kept in %s",
            *(entry.resource, entry.operation),
            "may or may not have happened" if unsure else f"was refused ({type(error).__name__})",
            self._aside.path,
        )


def _first(known: Deferred) -> str:
    """Return the id that a write was called with."""
    return cast("str", known.arguments[0] if known.arguments else known.given["id"])


def _is_for_good(error: MeitnerError) -> bool:
    """Whether sending the write again, or looking it up later, would tell no more."""
    if isinstance(error, AmbiguousWriteError):
        return not error.lookup
    return isinstance(error, APIStatusError) and 400 <= error.status_code < 500 and error.status_code not in _LATER


def _again(resource: Resource[Any], entry: Entry, sent_at: float | None) -> Coroutine[Any, Any, object]:
    """Return the write that an entry says; `sent_at` is when it may have been sent before."""
    operation = operations(type(resource))[entry.operation]
    given: dict[str, Any] = {}
    if operation.body is not None:
        try:
            given = _given(operation.body, entry.body)
        except ValueError:  # its text may quote a value
            raise MeitnerError(
                f"a {entry.resource}.{entry.operation} of the journal does not fit this version of meitner_aio"
            ) from None
    if isinstance(operation, Create):
        call: Callable[..., Coroutine[Any, Any, object]] = operation.calling(resource, sent_at=sent_at)
        return call(**given)
    return cast("Callable[..., Coroutine[Any, Any, object]]", getattr(resource, entry.operation))(entry.id, **given)


def _given(body: type[Record], data: bytes) -> dict[str, Any]:
    """Return the arguments of a call from the JSON that it would send; `ValueError` when they do not fit."""
    sent = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    declared = {field.wire: field for field in fields(body)}
    if not sent.keys() <= declared.keys():
        raise ValueError("there are fields that are not known")
    return {declared[wire].name: _value(declared[wire], raw) for wire, raw in sent.items()}


def _value(field: Field, raw: bytes) -> object:
    kind: Any = list[field.type] if field.many else field.type  # type: ignore[name-defined]
    return msgspec.json.decode(raw, type=kind | None)


class _OnDisk:
    """An awaitable for the disk and for room in the queue; unlike a coroutine, it may be left unawaited."""

    __slots__ = ("_room", "_synced")

    def __init__(self, synced: Callable[[], Coroutine[Any, Any, None]], room: Awaitable[None] | None) -> None:
        self._synced = synced
        self._room = room

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._synced().__await__()
        if self._room is not None:
            yield from self._room.__await__()
