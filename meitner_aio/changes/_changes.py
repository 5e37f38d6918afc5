"""`meitner.changes(...)` as a caller sees it: changes to iterate over, and a checkpoint to keep after the last."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType, TracebackType
from typing import Any, NoReturn, Self

from .._listing.completeness import ListingReport
from .._operations.operations import Binding
from .._pipeline.identity import Reader
from ..errors import MeitnerError
from ._asked import asked
from ._change import Change
from ._run import Count, Run


class Changes:
    """What changed since a checkpoint: records as they are now, then deletions. Told once, row by row.

    Nothing is asked before the first change is wanted. Leave it by `async with` or `aclose()` when you do not iterate
    to the end. A run that fails or is left has no checkpoint: the next one begins where it began.
    """

    def __init__(
        self,
        wire: Binding,
        reader: Callable[[], Coroutine[Any, Any, Reader | None]],
        since: datetime | str | None,
        resources: Iterable[str] | None,
        *,
        lookback: float | timedelta,
        grades_every: float | timedelta | None,
        retention: float | timedelta,
    ) -> None:
        """Read through `wire`, as the one whom `reader` tells; `TypeError` and `ValueError` for what means nothing."""
        self._run = Run(wire, reader, asked(since, resources, lookback, grades_every, retention))
        self._batches: AsyncGenerator[list[Change], None] = self._run.batches()
        self._ready: deque[Change] = deque()
        self._ended = False

    def __aiter__(self) -> Self:
        if self._ended:
            raise MeitnerError("these changes were told already: ask for those since their checkpoint")
        return self

    async def __anext__(self) -> Change:
        while not self._ready:
            if self._ended:
                raise StopAsyncIteration
            try:
                self._ready.extend(await anext(self._batches))
            except BaseException:  # the end, too
                self._ended = True
                raise
        return self._ready.popleft()

    async def aclose(self) -> None:
        """Stop what is under way. May be called again."""
        self._ended = True
        self._ready.clear()
        await self._batches.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def checkpoint(self) -> str:
        """What to pass as `since` next time; without personal data. `MeitnerError` before the last change was told."""
        if self._run.checkpoint is None:
            raise MeitnerError("there is no checkpoint before the last change: iterate to the end first")
        return self._run.checkpoint

    @property
    def complete(self) -> bool:
        """Whether everything was told, with a proof for each resource."""
        return self._run.checkpoint is not None and all(
            report.complete for report in self._run.reading.reports.values()
        )

    @property
    def full(self) -> frozenset[str]:
        """Resources of which every record was told in this run: what was not told of them does not exist."""
        return frozenset(self._run.reading.full) if self._run.checkpoint is not None else frozenset()

    @property
    def reports(self) -> Mapping[str, ListingReport]:
        """How far it was shown, of each resource that was read, that its listing is complete."""
        return MappingProxyType(self._run.reading.reports)

    @property
    def counts(self) -> Mapping[str, Count]:
        """How many records of each resource were told, as upserted and as deleted."""
        return MappingProxyType(self._run.counts)

    @property
    def requests(self) -> int:
        """Requests spent so far, those that were sent again included."""
        return self._run.reading.watch.requests

    @property
    def since(self) -> datetime | None:
        """From when on changes are told, by the server's clock; None for everything."""
        since = self._run.asked.since
        return None if since is None else datetime.fromtimestamp(since, UTC)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a run of changes has requests under way and cannot be pickled; keep its checkpoint")

    def __repr__(self) -> str:
        """Say how far it is, and nothing of any record."""
        since = "everything" if self.since is None else f"since {self.since:%Y-%m-%d %H:%M:%S}"
        told = sum(count.upserted + count.deleted for count in self._run.counts.values())
        state = "told to the end" if self._run.checkpoint is not None else "ended early" if self._ended else "not ended"
        return f"<Changes {since}: {told} told, {state}>"
