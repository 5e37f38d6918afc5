"""One run: phase by phase and chunk by chunk, each guarded by one search, its intents on the disk before it is sent."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, closing
from functools import partial
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from ..._operations.bulk import Outcome, outcomes
from ..._runtime.frames import without_frames
from ..._runtime.threads import threaded
from ...errors import (
    AmbiguousWriteError,
    APIConnectionError,
    AuthenticationError,
    ConflictError,
    MeitnerError,
    ResponseValidationError,
)
from ...records import DirectoryRecord
from ..planning._actions import ActionKind
from ..planning._hashes import Hashes
from ..planning._source_ids import is_made
from ..registry._rows import Key, Reference
from ._guard import FRESH, Guard
from ._items import Item, NotDoneError
from ._journal import Intent, Journal
from ._phases import Phase, phases
from ._report import ReconcileReport, Result
from ._requests import Requests
from ._rows import WantedRows
from ._sending import Sending
from ._shrinking import row_counts, shrunk
from ._tally import Tally

if TYPE_CHECKING:
    from ..planning._plan import Plan
    from ..registry._desired import Desired

T = TypeVar("T")

_LATEST = 60.0
"""Seconds after the end of a process by which a create that it sent must have shown."""

_MOST_REFUSED = 1000
"""Actions that are kept to be tried again."""

_OPEN = (AmbiguousWriteError, APIConnectionError, ResponseValidationError)
"""After these, nobody knows whether a write happened."""

OnProgress = Callable[[Outcome[DirectoryRecord]], object]


class Run:
    """Carries out a plan."""

    def __init__(
        self,
        plan: Plan,
        desired: Desired | None,
        requests: Requests,
        journal: Journal,
        hashes: Hashes,
        *,
        chunk_size: Callable[[], int],
        concurrency: int,
        on_progress: OnProgress | None,
    ) -> None:
        """Send nothing yet; `hashes` are those of the plan, `chunk_size` says how many actions one search guards."""
        self._plan = plan
        self._desired = desired
        self._requests = requests
        self._journal = journal
        self._hashes = hashes
        self._chunk_size = chunk_size
        self._concurrency = concurrency
        self._on_progress = on_progress
        self._guard = Guard(requests)
        self._sending = Sending(requests, self._guard, plan.made_at)
        self._tally = Tally(plan.resources)
        self._ids: dict[str, str] = {}
        """Of records that were created, by the name of the action."""
        self._source = plan.source
        self._is_source_told = False
        self._shrunk = shrunk(plan, journal.row_counts)
        self._refused: list[tuple[Item, ConflictError]] = []
        self._stopped: Exception | None = None
        self.interruption: Exception | None = None
        """What the caller's `on_progress` raised."""

    async def report(self) -> ReconcileReport:
        """Carry out every action, and return what it came to; raises what stopped the run before its end."""
        began = self._began = asyncio.get_running_loop().time()
        for phase in phases(self._plan.actions):
            if phase.removes and phase.resource in self._shrunk:
                self._hold(phase)
                continue
            async with aclosing(self._chunks(phase)) as chunks:
                done = self._tally.done
                async for chunk in chunks:
                    await self._chunk(phase, chunk)
                    self._raise_if_stopped()
                await self._settle_refused(phase, done)
        counts = row_counts(self._plan, self._journal.row_counts, self._shrunk)
        await threaded(self._journal.finish, counts)
        return self._tally.report(
            held=self._plan.held,
            source=self._source,
            requests=self._requests.count,
            seconds=asyncio.get_running_loop().time() - began,
        )

    # -- what is next

    async def _chunks(self, phase: Phase) -> AsyncGenerator[list[Item], None]:
        actions = self._plan.actions
        if phase.removes or self._desired is None:
            for chunk in self._chunked(phase.places):
                yield [Item(place, actions[place]) for place in chunk]
            return
        left = set(phase.places)
        if phase.resource in self._desired.resources:
            places = {actions[place].line: place for place in phase.places}
            with closing(WantedRows(self._desired, phase.resource, places)) as wanted:
                while rows := await threaded(wanted.take, self._chunk_size()):
                    left -= {place for place, _ in rows}
                    yield [Item(place, actions[place], row) for place, row in rows]
        for place in sorted(left):
            self._settle(Item(place, actions[place]), NotDoneError(Result.CHANGED, "the registry has no such row now"))
            self._raise_if_stopped()

    def _chunked(self, items: Iterable[T]) -> Iterator[list[T]]:
        rest = iter(items)
        while chunk := list(islice(rest, self._chunk_size())):
            yield chunk

    async def _chunk(self, phase: Phase, chunk: Sequence[Item]) -> None:
        ready = [item for item in chunk if self._goes_on(item, self._prepare)]
        if not await self._looked(phase, ready):
            return
        late = [item for item in ready if self._may_show(item)]
        if late:  # the server may still be at work on what an earlier run sent
            await asyncio.sleep(max(0.0, self._began + _LATEST - asyncio.get_running_loop().time()))
            if not await self._looked(phase, late):
                late, ready = [], [item for item in ready if item not in late]
        todo = [item for item in ready if self._goes_on(item, self._judge)]
        if todo and self._stopped is None:
            await threaded(self._journal.intend, [_intent(item) for item in todo])
            for item in todo:
                item.is_intended = True
            await self._send(phase, todo)

    def _goes_on(self, item: Item, step: Callable[[Item], Result | None]) -> bool:
        """Whether an item is still to be done after a step; one that is not is settled."""
        if self._stopped is not None:
            return False
        try:
            result = step(item)
        except (NotDoneError, MeitnerError, TypeError, ValueError) as error:
            self._settle(item, error)
            return False
        if result is not None:
            self._settle(item, item.found, result=result)
        return result is None

    # -- what is to be written, and what is there

    def _prepare(self, item: Item) -> None:
        action = item.action
        if item.row is not None and self._hashes.of_row(item.row) != action.wanted:
            raise NotDoneError(Result.CHANGED, "the row of the registry is not as it was; plan again")
        item.prepare(self._resolve)
        names = self._journal.hashes
        if item.key is None:
            item.name = names.of_id(action.resource, str(action.id))
            return
        item.name = names.of_key(action.resource, Key(tuple(item.key.spellings), item.key.identity))
        earlier = self._journal.unsettled.get(item.name) or self._journal.created.get(item.name)
        if earlier is not None and earlier.source_id is not None and item.source_id == action.source_id:
            item.write(earlier.source_id)  # the one by which a create that may have happened is known

    def _resolve(self, reference: Reference) -> str:
        target = self._plan.ids.get(self._hashes.of_reference(reference))
        if target is None:
            raise NotDoneError(
                Result.CHANGED, "what the row refers to was not known when the plan was made; plan again"
            )
        if not target.startswith("@"):
            return target
        if target[1:] not in self._ids:
            raise NotDoneError(Result.BLOCKED, "a record that it refers to was not created")
        return self._ids[target[1:]]

    async def _looked(self, phase: Phase, items: Sequence[Item]) -> bool:
        if not items:
            return True
        try:
            await self._guard.look(phase, items)
        except MeitnerError as error:
            for item in items:
                self._settle(item, copy.copy(error))
            return False
        return True

    def _may_show(self, item: Item) -> bool:
        return item.key is not None and not item.is_unique and item.found is None and self._is_unsettled(item)

    def _is_unsettled(self, item: Item) -> bool:
        return item.name in self._journal.unsettled

    def _judge(self, item: Item) -> Result | None:
        """Return None for a record that is as it was; raises for one that is neither that nor as it would be."""
        if item.placed:
            raise NotDoneError(Result.BLOCKED, "the person still has placements, which would be deleted, too")
        if item.kind is ActionKind.CREATE:
            untouched = item.found is None
            known = item.is_ours and (self._is_unsettled(item) or item.name in self._journal.created)
        else:
            untouched = item.found is not None and (
                self._hashes.of_record(item.found) == item.action.seen or self._is_half_restored(item)
            )
            known = False
        if untouched:
            return None
        if known or item.is_done(self._plan.made_at):
            return Result.ALREADY_DONE
        raise NotDoneError(Result.CHANGED, "the record is not as it was when the plan was made; plan again")

    def _is_half_restored(self, item: Item) -> bool:
        """Whether an earlier run may have restored a placement, and not have come to bring it up to date."""
        restored = item.kind is ActionKind.RESTORE and getattr(item.found, "archived_at", None) is None
        return restored and self._is_unsettled(item)

    # -- sending

    async def _send(self, phase: Phase, todo: list[Item]) -> None:
        """Send what is to be done; until an answer told the source, what writes `external` goes alone."""
        while not self._is_source_told and self._stopped is None:
            first = next((item for item in todo if item.source_id is not None), None)
            if first is None:
                break
            todo = [item for item in todo if item is not first]
            await self._send_all(phase, [first])
        await self._send_all(phase, todo)

    async def _send_all(self, phase: Phase, todo: list[Item]) -> None:
        sending = outcomes(self._until_stopped(todo), partial(self._carry_out, phase), self._concurrency)
        async with aclosing(sending) as done:
            async for outcome in done:
                item = todo[outcome.index]
                if isinstance(outcome.error, ConflictError) and self._may_give_way(phase):
                    self._refused.append((item, outcome.error))
                elif outcome.error is not None:
                    self._settle(item, outcome.error)
                elif outcome.record is not None:
                    self._settle(item, outcome.record[1], result=outcome.record[0])

    def _until_stopped(self, todo: list[Item]) -> Iterator[Item]:
        for item in todo:
            if self._stopped is not None:
                return
            yield item

    async def _carry_out(self, phase: Phase, item: Item) -> tuple[Result, DirectoryRecord | None]:
        if asyncio.get_running_loop().time() - item.seen_at > FRESH:
            await self._guard.look(phase, [item])
            result = self._judge(item)
            if result is not None:
                return result, item.found
        return Result.DONE, await self._sending.send(phase, item, again=self._is_unsettled(item))

    # -- what another record of the same phase may still have: a title, an address

    def _may_give_way(self, phase: Phase) -> bool:
        return not phase.removes and len(self._refused) < _MOST_REFUSED

    async def _settle_refused(self, phase: Phase, done: int) -> None:
        """Try again what was refused, as long as others of the phase succeed: there were so many `done` before.

        When 1A becomes 2A and 2A becomes 3A, the order in which that works is not known beforehand.
        """
        while self._refused and self._tally.done > done:
            done = self._tally.done
            refused, self._refused = [item for item, _ in self._refused], []
            for chunk in self._chunked(refused):
                if await self._looked(phase, chunk):
                    await self._send_all(phase, [item for item in chunk if self._goes_on(item, self._judge)])
                self._raise_if_stopped()
        refusals, self._refused = self._refused, []
        for item, error in refusals:
            self._settle(item, error)
        self._raise_if_stopped()

    # -- what became of it

    def _settle(
        self, item: Item, came_to: DirectoryRecord | Exception | None, *, result: Result = Result.FAILED
    ) -> None:
        """Enter what became of an action, and tell the caller; what goes wrong here stops the run."""
        record, error = (None, came_to) if isinstance(came_to, Exception) else (came_to, None)
        if isinstance(error, NotDoneError):
            result, error = error.result, MeitnerError(error.message)
        elif error is not None:
            without_frames(error)  # they may hold rows
        self._note(item, result, error)
        self._tally.add(item.action, result, error)
        if record is not None:
            self._learn(item, record)
        if isinstance(error, AuthenticationError):
            self._stop(error)
        self._tell(Outcome(item.index, record, error))

    def _note(self, item: Item, result: Result, error: Exception | None) -> None:
        """Enter in the journal what is known of an action that was about to be sent, now or in an earlier run."""
        try:
            if item.is_intended and not isinstance(error, _OPEN):
                self._journal.settle(item.name, result)
            elif not item.is_intended and self._is_unsettled(item):
                if result is Result.ALREADY_DONE:
                    self._journal.settle(item.name, result)
                else:
                    self._journal.keep(item.name)
        except OSError as problem:
            self._stop(problem)

    def _learn(self, item: Item, record: DirectoryRecord) -> None:
        if item.kind is ActionKind.CREATE:
            self._ids[item.action.name] = record.id
        external = getattr(record, "external", None)
        if item.source_id is None or external is None or self._is_source_told:
            return
        self._is_source_told = True
        if external.source is None or external.source == self._source:
            return
        if self._source is not None:
            self._stop(
                MeitnerError(
                    f"what this credential writes has the source {external.source!r}, and the plan was made for "
                    f"{self._source!r}: plan again with source={external.source!r}"
                )
            )
        self._source = external.source

    def _tell(self, outcome: Outcome[DirectoryRecord]) -> None:
        if self._on_progress is None or self.interruption is not None:
            return
        with _Caught() as caught:
            self._on_progress(outcome)
        if caught.error is not None:
            self.interruption = caught.error
            self._stop(caught.error)

    def _stop(self, error: Exception) -> None:
        self._stopped = self._stopped or error

    def _raise_if_stopped(self) -> None:
        if self._stopped is not None:
            raise self._stopped

    def _hold(self, phase: Phase) -> None:
        message = f"the registry has at most half of the {phase.resource} that it had in the last run"
        for place in phase.places:
            self._settle(Item(place, self._plan.actions[place]), NotDoneError(Result.HELD, message))
            self._raise_if_stopped()


class _Caught:
    """Keeps what is raised in its block, without the frame of the block, which may hold a record."""

    error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.error = error.with_traceback(None if trace is None else trace.tb_next)
        return True


def _intent(item: Item) -> Intent:
    made = item.action.kind is ActionKind.CREATE and is_made(item.source_id)
    return Intent(item.kind, item.name, item.source_id if made else None)
