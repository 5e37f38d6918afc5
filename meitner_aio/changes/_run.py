"""One run from a checkpoint to the next: rows first, then deletions, and no checkpoint before the end.

A search per resource finds what was created or changed since a while before the checkpoint: stamps are older than what
they stamp is visible, clocks differ, an index lags. Deletions are asked for afterwards, of all resources at once, so
that nothing told before is deleted without being told; whoever is named is asked for once more, so that nobody who
lives is told as gone. What cannot be searched is read in full and compared with what it was.
"""

from __future__ import annotations

import math
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

from msgspec import Struct

from .._operations.operations import Binding
from .._pipeline.identity import Reader, Stamp
from .._runtime.cleanup import finished
from .._runtime.threads import threaded
from ..errors import MeitnerError, ResyncReason, ResyncRequired
from ._asked import Asked, event_name, searchable
from ._change import Change, Deleted, Upserted
from ._checkpoint import Checkpoint
from ._deaths import Deaths, deaths, living
from ._reading import Reading
from ._whole import Whole

_MARGIN = 60
"""Seconds before the run at which the next one begins: a transaction is stamped first and committed later."""

_AHEAD, _AHEAD_IN_FULL = 8, 2
"""Resources that are asked for at a time: searches have a page or two, listings of everything have many."""

_Batches = AsyncGenerator[list[Change], None]


class Count(Struct):
    """What was told of a resource."""

    upserted: int = 0
    deleted: int = 0


class Run:
    """One run. `batches` tells, the rest says how far it came."""

    def __init__(self, wire: Binding, reader: Callable[[], Coroutine[Any, Any, Reader | None]], asked: Asked) -> None:
        """Read through `wire`, as the one whom `reader` tells."""
        self.asked = asked
        self.reading = Reading(wire, asked)
        self.counts: dict[str, Count] = {name: Count() for name in asked.resources}
        self.checkpoint: str | None = None
        self._who = reader

    async def batches(self) -> _Batches:
        """Tell what changed, page by page."""
        reader = await self._admitted()
        whole = Whole(self.reading, reader)
        try:
            for telling in (self._rows(), whole.tell(), self._deleted(whole)):
                async with aclosing(telling) as told:
                    async for batch in told:
                        yield self._counted(batch)
        finally:
            await finished(self.reading.close())
        self.checkpoint = await self._text(reader, whole)

    def _counted(self, batch: list[Change]) -> list[Change]:
        for change in batch:
            count = self.counts[change.resource]
            if isinstance(change, Deleted):
                count.deleted += 1
            else:
                count.upserted += 1
        return batch

    async def _admitted(self) -> Reader:
        """Return who reads; `ResyncRequired` for a checkpoint of which it is clear beforehand that it is of no use."""
        if self.asked.foreign:
            raise ResyncRequired(
                "the checkpoint is of another version; read everything, with since=None",
                reason=ResyncReason.OTHER_VERSION,
            )
        reader, checkpoint = await self._who(), self.asked.checkpoint
        if reader is None:
            raise MeitnerError("nothing says who reads which server, so a checkpoint could be taken for another's")
        if checkpoint is None:
            return reader
        if not await threaded(reader.wrote, Stamp(reader.server, checkpoint.salt, checkpoint.digest)):
            raise ResyncRequired(
                f"the checkpoint is not of {reader.server} as these credentials show it; "
                "read everything, with since=None",
                reason=ResyncReason.OTHER_DIRECTORY,
            )
        new = [name for name in self.asked.resources if name not in checkpoint.resources]
        if new:
            raise ResyncRequired(
                f"the checkpoint says nothing of {', '.join(new)}; read everything, with since=None",
                reason=ResyncReason.NEW_RESOURCE,
            )
        self.reading.watch.ahead = checkpoint.ahead
        return reader

    async def _rows(self) -> _Batches:
        """Tell the rows of resources that can be searched, several of which are asked for at a time."""
        reading, everything = self.reading, self.asked.since is None
        names = [name for name in self.asked.resources if searchable(name)]
        most = min(_AHEAD_IN_FULL if everything else _AHEAD, reading.wire.concurrency)
        for place, attribute in enumerate(names):
            for name in names[place : place + most]:
                (reading.feeds.get(name) or reading.feed(name)).start()
            async with aclosing(reading.told(attribute, reading.feeds[attribute])) as told:
                async for batch in told:
                    yield [*batch]
            if everything:
                reading.full.add(attribute)
                reading.reports[attribute] = reading.feeds.pop(attribute).report

    async def _deleted(self, whole: Whole) -> _Batches:
        """Tell deletions, after what lives although it was deleted, or is told again for lack of a proof."""
        dead: Deaths = {}
        if self.asked.since is not None:
            dead = await deaths(self.reading)
            async with aclosing(self._unproven(dead)) as told:
                async for batch in told:
                    yield batch
        for attribute, ids in dead.items():
            alive = await living(self.reading, attribute, ids)
            yield [Upserted(attribute, record) for record in alive.values()]
            dead[attribute] = {id_: at for id_, at in ids.items() if id_ not in alive}
        for attribute in reversed(self.asked.resources):
            yield [Deleted(attribute, id_, at) for id_, at in dead.get(attribute, {}).items()]
            yield [Deleted(attribute, id_) for id_ in whole.gone.get(attribute, ())]

    async def _unproven(self, dead: Deaths) -> _Batches:
        """Tell resources again that were not shown to be complete, neither by themselves nor by who is dead."""
        reading = self.reading
        for attribute in list(reading.feeds):
            gone = None if event_name(attribute) is None else dead.get(attribute, ())
            report = reading.feeds.pop(attribute).settled(gone)
            if report is None:
                async with aclosing(reading.told(attribute, reading.feed(attribute, proven=True))) as told:
                    async for batch in told:
                        yield [*batch]
                report = reading.feeds.pop(attribute).report
            reading.reports[attribute] = report

    async def _text(self, reader: Reader, whole: Whole) -> str:
        """Return the checkpoint."""
        salt = os.urandom(16).hex()
        stamp = await threaded(reader.stamp, salt)
        at, ahead = max(0, math.floor(self.reading.now()) - _MARGIN), math.ceil(self.reading.watch.ahead)
        made = Checkpoint(at, ahead, salt, stamp.digest, self.asked.resources, whole.digests)
        return await threaded(made.text)
