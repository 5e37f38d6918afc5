"""Carries out one action whose record is as it was; an answer that was lost is looked for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, cast

from ..._wire.validation import given_fields
from ...errors import ConflictError, NotFoundError
from ...records import DirectoryRecord, Record
from ..planning._actions import ActionKind
from ._guard import Guard
from ._items import Item, create_of
from ._phases import Phase
from ._requests import Requests


class Sending:
    """Sends the requests of actions."""

    def __init__(self, requests: Requests, guard: Guard, made_at: float) -> None:
        """Send with the requests of a run; `made_at` is when its plan was made."""
        self._requests = requests
        self._guard = guard
        self._made_at = made_at

    async def send(self, phase: Phase, item: Item, *, again: bool) -> DirectoryRecord | None:
        """Return the record as it is afterwards; None for one that was deleted. Raises the error of the request.

        With `again`, a create may have happened in an earlier run, and show only now.
        """
        resource = self._requests.resource(phase.resource)
        match item.kind:
            case ActionKind.CREATE:
                return await self._create(phase, item, again=again)
            case ActionKind.DELETE:
                with suppress(NotFoundError):  # somebody else was faster
                    await resource.delete(str(item.action.id))
                return None
            case ActionKind.ARCHIVE:
                return await self._moved(phase, item, cast("Any", resource).archive, archived=True)
            case ActionKind.RESTORE:
                item.found = await self._moved(phase, item, cast("Any", resource).restore, archived=False)
                changes = {} if item.is_done(self._made_at) else item.changes(self._made_at)
            case _:
                changes = item.changes(self._made_at)
        return await resource.modify(cast("DirectoryRecord", item.found), **changes)

    async def _create(self, phase: Phase, item: Item, *, again: bool) -> DirectoryRecord:
        call = create_of(phase.resource).calling(self._requests.resource(phase.resource), bulk=True)
        try:
            created: DirectoryRecord = await call(**given_fields(cast("Record", item.body)))
        except ConflictError:
            if not again:
                raise
            await self._guard.look(phase, [item])
            if item.found is None or not item.is_ours:
                raise
            return item.found
        return created

    async def _moved(
        self, phase: Phase, item: Item, call: Callable[[str], Coroutine[Any, Any, DirectoryRecord]], *, archived: bool
    ) -> DirectoryRecord:
        """Archive or restore; a second request is refused when the first one happened and its answer was lost."""
        try:
            return await call(str(item.action.id))
        except ConflictError:
            await self._guard.look(phase, [item])
            if item.found is None or (getattr(item.found, "archived_at", None) is not None) is not archived:
                raise
            return item.found
