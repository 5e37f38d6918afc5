"""Recovers creates whose answer was lost: the record is looked up by its key before anything is sent again.

If the server keeps the key unique, a second create is harmless: one of the two is refused. With any other key, the
create is sent again only after the time in which a late one would have become visible.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Generic, TypeVar

from .._wire.decoding import DecodedPage
from ..errors import AmbiguousWriteError, ConflictError, Facts, MeitnerError, UnprocessableEntityError
from ..records import Meta, Record, fields
from .comparison import has_dates_of, may_have_made
from .keys import Key

T = TypeVar("T", bound=Record)

_LOOKS = (0.5, 2.0, 5.0, 10.0)
"""Seconds to wait before each lookup: a create may be committed after its answer was lost."""

_LATEST = 60.0
"""Seconds after the loss within which a create that happened becomes visible."""

_SLACK = 120.0
"""Seconds by which a record may be older than the create, as clocks differ, and still be its result."""

_SENDS, _SENDS_NOT_UNIQUE = 3, 2
"""How often a create is sent at most, each time after a lookup found nothing; a retry policy may allow fewer."""


class Recovery(Generic[T]):
    """Sends one create until it is known to have happened once, as far as its key can show."""

    def __init__(
        self,
        key: Key,
        body: Record,
        *,
        send: Callable[[], Coroutine[None, None, T]],
        look: Callable[[Key], Coroutine[None, None, DecodedPage[T]]],
        sent_at: float | None = None,
    ) -> None:
        """Create with `send`; look up the records that have the key with `look`.

        `sent_at`, in seconds since 1970, is when an earlier process may have sent it: it is looked up first, then.
        """
        self._key = key
        self._body = body
        self._send = send
        self._look = look
        self._sent_at = sent_at
        self._began = self._lost_at = 0.0
        self._lost: AmbiguousWriteError | None = None
        self._attempts = 0

    async def create(self) -> T:
        """Return the created record, or raise the error of a create that certainly did not happen.

        Raises `ConflictError` when another record has the key, and `AmbiguousWriteError` when lookups do not decide.
        When cancelled during a lookup, the `CancelledError` has a note that says what to look up.
        """
        try:
            return await self._created()
        except asyncio.CancelledError as cancelled:
            if self._lost is not None:
                cancelled.add_note(self._open(self._lost))
            raise

    async def _created(self) -> T:
        self._began = _now()
        if self._sent_at is not None:
            self._lose(_unanswered(type(self._body)))
            self._began -= max(0.0, time.time() - self._sent_at)
            found = await self._looked() if self._key.spellings else None
            if found is not None:
                return found
        sends = 0
        while sends < self._most_sends:
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
            found = await self._looked() if self._key.spellings else None
            if found is not None:
                return found
            if isinstance(refusal, UnprocessableEntityError) or (
                isinstance(refusal, ConflictError) and self._key.certain
            ):
                raise refusal  # the lost create would have been refused as well
            if refusal is not None:
                break
        raise self._ambiguous("nothing was found so far" if self._key.spellings else "it has no key to look it up by")

    @property
    def _most_sends(self) -> int:
        most = _SENDS if self._key.unique else _SENDS_NOT_UNIQUE
        if self._lost is None:
            return most
        return min(most, self._lost.max_sends) if self._key.spellings else 0

    def _lose(self, error: AmbiguousWriteError) -> None:
        # Counted from now: the create may have waited for the rate limit before it was sent.
        self._lost, self._lost_at = error, _now()
        self._attempts += error.attempts or 1

    async def _looked(self) -> T | None:
        """Look the record up until a lost create must be visible; return None if it certainly did not happen.

        With a unique key that is decided early: a second create is harmless, because the server refuses one of the two.
        """
        rows: list[T] = []
        unsettled, answered_at = "", None
        for pause in self._pauses():
            if self._too_late(pause):
                raise self._ambiguous("the deadline of the call leaves no time to look it up")
            await asyncio.sleep(pause)
            try:
                answer = await self._look(self._key)
            except MeitnerError as error:
                unsettled = f"the lookup failed with {type(error).__name__}"
                continue
            rows, answered_at = answer.rows, answer.server_time
            unsettled = "too many records have this key" if answer.pagination.total > len(rows) else ""
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
        """Raise unless the records with the key, none of which this create made, prove that it did not happen."""
        if rows and not self._key.several:
            raise self._conflict(_named(rows[0]))
        for record in rows:
            if self._is_recent(record, server_time) and has_dates_of(self._body, record):
                raise self._ambiguous(f"{_named(record)} may be the one, but differs from what was sent")
        if not rows and not (self._key.unique or self._key.recoverable):
            raise self._ambiguous("nothing was found, but the server may store the key in another spelling")

    def _too_late(self, pause: float) -> bool:
        ends = None if self._lost is None else self._lost.deadline
        return ends is not None and _now() + pause >= ends

    def _pauses(self) -> Iterator[float]:
        yield from _LOOKS
        if not self._key.unique:
            yield max(0.0, self._lost_at + _LATEST - _now())

    def _is_recent(self, record: T, server_time: float | None) -> bool:
        meta: Meta | None = getattr(record, "meta", None)
        if meta is None or server_time is None:
            return True
        return server_time - meta.created_at.timestamp() <= _now() - self._began + _SLACK

    def _conflict(self, other: str) -> ConflictError:
        return ConflictError(
            f"{other} has the same {' and '.join(self._key.spellings)}",
            status_code=409,
            **self._facts(),
        )

    def _ambiguous(self, why: str) -> AmbiguousWriteError:
        """Return the error for a create that may or may not have happened."""
        what = "" if self._lost is None else self._open(self._lost)
        return AmbiguousWriteError(f"{what} ({why})", lookup=tuple(self._key.spellings), **self._facts())

    def _open(self, lost: AmbiguousWriteError) -> str:
        """Say what may have happened and which fields to look it up by, without their values."""
        names = list(self._key.spellings) or [field.name for field in fields(type(self._body)) if field.required]
        return f"{lost.message}, by {' and '.join(names)}"

    def _facts(self) -> Facts:
        lost = self._lost
        return {
            "method": None if lost is None else lost.method,
            "route": None if lost is None else lost.route,
            "request_id": None if lost is None else lost.request_id,
            "attempts": self._attempts,
        }


def _named(record: Record) -> str:
    id: object = getattr(record, "id", None)
    return "another record" if id is None else f"record {id}"


def _unanswered(body: type[Record]) -> AmbiguousWriteError:
    """Return the error for a create of a process that ended before it was answered."""
    return AmbiguousWriteError(
        f"the create with {body.__name__} of a process that ended may or may not have happened; look it up before "
        "creating it again",
        max_sends=_SENDS,
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
