"""Creates whose answer was lost: looked up by their key before anything is sent again.

With a key that the server keeps unique a second create does no harm: one of the two is refused. With any other it waits
until a late one must have shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Generic, TypeVar

from .._wire.decoding import DecodedPage
from ..errors import AmbiguousWriteError, ConflictError, MeitnerError, UnprocessableEntityError
from ..records import DirectoryRecord, Record, fields
from .comparison import has_dates_of, may_have_made
from .keys import Key

T = TypeVar("T", bound=DirectoryRecord)

_LOOKS = (0.5, 2.0, 5.0, 10.0)
"""Seconds to wait before each look: a create may be committed after its answer was lost."""

_LATEST = 60.0
"""Seconds after the loss by which a create must have shown."""

_SLACK = 120.0
"""Seconds that a record may be older than the create by the clocks, and still be the one that it made."""

_SENDS, _SENDS_NOT_UNIQUE = 3, 2
"""How often a create is sent at most, each time after looking in vain; a policy may allow less."""


class Recovery(Generic[T]):
    """One create, sent until it is known to have happened once, or as far as its key can tell."""

    def __init__(
        self,
        key: Key,
        body: Record,
        *,
        send: Callable[[], Coroutine[Any, Any, T]],
        look: Callable[[Key], Coroutine[Any, Any, DecodedPage[T]]],
    ) -> None:
        """Create with `send`, look for records with the key with `look`."""
        self._key = key
        self._body = body
        self._send = send
        self._look = look
        self._began = self._lost_at = 0.0
        self._lost: AmbiguousWriteError | None = None
        self._attempts = 0

    async def create(self) -> T:
        """Return the record; raises what the create raised when it is known not to have happened.

        Raises `ConflictError` when another record has the key, and `AmbiguousWriteError` when looking settles nothing.
        Who cancels it while it looks is told by a note what to look up.
        """
        try:
            return await self._created()
        except asyncio.CancelledError as cancelled:
            if self._lost is not None:
                cancelled.add_note(self._open(self._lost))
            raise

    async def _created(self) -> T:
        self._began = _now()
        sends, most = 0, _SENDS if self._key.unique else _SENDS_NOT_UNIQUE
        while sends < (most if self._lost is None else min(most, self._lost.max_sends)):
            sends += 1
            refusal: MeitnerError | None = None
            try:
                return await self._send()
            except AmbiguousWriteError as error:
                self._lose(error)
            except MeitnerError as error:
                if self._lost is None:
                    raise
                refusal = error
            if not self._key.spellings:
                break
            found = await self._looked()
            if found is not None:
                return found
            if isinstance(refusal, UnprocessableEntityError) or (
                isinstance(refusal, ConflictError) and self._key.certain
            ):
                raise refusal  # it would have been refused before, too
            if refusal is not None:
                break
        raise self._ambiguous("nothing was found so far" if self._key.spellings else "no key tells it from others")

    def _lose(self, error: AmbiguousWriteError) -> None:
        # Time runs from here: the create may have waited for its turn, however long, before it left.
        self._lost, self._lost_at = error, _now()
        self._attempts += error.attempts or 1

    async def _looked(self) -> T | None:
        """Look again and again, as long as a lost create may still show; None when it is known not to have happened.

        With a unique key that is early: a second create does no harm, the server refuses one of the two.
        """
        rows: list[T] = []
        unsettled, answered_at = "", None
        for pause in self._pauses():
            if self._too_late(pause):
                raise self._ambiguous("the deadline of the call leaves no time to look")
            await asyncio.sleep(pause)
            try:
                answer = await self._look(self._key)
            except MeitnerError as error:
                unsettled = f"looking for it failed, {type(error).__name__}"
                continue
            rows, answered_at = answer.rows, answer.server_time
            unsettled = "too many records have the same" if answer.pagination.total > len(rows) else ""
            for record in rows:
                if may_have_made(self._body, record) and self._is_recent(record, answer.server_time):
                    return record
            if rows and self._key.unique:
                break
        if unsettled:
            raise self._ambiguous(unsettled)
        self._judge(rows, answered_at)
        return None

    def _judge(self, rows: list[T], server_time: float | None) -> None:
        """Raise unless the rows with the key, none of which it made, show that the create did not happen."""
        if rows and not self._key.several:
            raise self._conflict(rows[0].id)
        for record in rows:
            if self._is_recent(record, server_time) and has_dates_of(self._body, record):
                raise self._ambiguous(f"record {record.id} may be it, and differs from it")
        if not rows and not (self._key.unique or self._key.recoverable):
            raise self._ambiguous("nothing was found, but the server may spell it otherwise")

    def _too_late(self, pause: float) -> bool:
        ends = None if self._lost is None else self._lost.deadline
        return ends is not None and _now() + pause >= ends

    def _pauses(self) -> Iterator[float]:
        yield from _LOOKS
        if not self._key.unique:
            yield max(0.0, self._lost_at + _LATEST - _now())

    def _is_recent(self, record: T, server_time: float | None) -> bool:
        if record.meta is None or server_time is None:
            return True
        return server_time - record.meta.created_at.timestamp() <= _now() - self._began + _SLACK

    def _conflict(self, other: str) -> ConflictError:
        return ConflictError(
            f"another record has the same {' and '.join(self._key.spellings)}: {other}",
            status_code=409,
            **self._facts(),
        )

    def _ambiguous(self, why: str) -> AmbiguousWriteError:
        """Return the error of a create that nobody can tell of."""
        what = "" if self._lost is None else self._open(self._lost)
        return AmbiguousWriteError(f"{what} ({why})", **self._facts())

    def _open(self, lost: AmbiguousWriteError) -> str:
        """Say what may have happened and what to look up, by name and never by value."""
        names = list(self._key.spellings) or [field.name for field in fields(type(self._body)) if field.required]
        return f"{lost.message}, by {' and '.join(names)}"

    def _facts(self) -> dict[str, Any]:
        lost = self._lost
        return {
            "method": None if lost is None else lost.method,
            "route": None if lost is None else lost.route,
            "request_id": None if lost is None else lost.request_id,
            "attempts": self._attempts,
        }


def _now() -> float:
    return asyncio.get_running_loop().time()
