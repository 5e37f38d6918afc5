"""Shares the quota with other hosts through a store: asked before a request leaves, for a bounded time.

The store's word is advice. The server's headers decide first and last: a request that they hold back is not asked
about, and one that they plainly allow is not held back. A store that fails, is slow or talks nonsense is not asked for
a while; meanwhile the headers decide alone, and no request waits for it. Knows no kind of store.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from msgspec import Struct

from .._runtime.cleanup import stopped
from ..errors import MeitnerError
from .logging import Log
from .server_limiter import HOUR

_PATIENCE = 0.25
"""Seconds that a request waits for the store's answer; then it leaves without."""

_LONGEST = 5.0
"""Seconds after which a call of the store is cancelled: until then it may open a connection for those that follow."""

_FIRST_REST, _LONGEST_REST = 1.0, 30.0
"""Seconds for which a store that failed is not asked again; they double with every failure in a row."""

_PLENTY = 40.0
"""Requests that the server would serve, from which on a store that lets nothing leave is out of step: more than other
hosts have on their way."""

_EVERY = 10.0
"""Seconds between two reports of what the server's answers say is left."""

_LONGEST_HOLD = 60.0
"""Seconds after which a store that asked for a longer wait is asked again."""

_STUCK, _TURNS = 120.0, 40
"""Seconds, and requests of all hosts together, without one for this host, after which one leaves all the same: then the
store may be out of step."""


class QuotaBucket(Struct, frozen=True):
    """A bucket that all clients of the same credentials share, as far as the server's answers have shown it."""

    per_hour: float
    """Requests that come back in an hour, evenly."""
    burst: int
    """Requests that it holds when it is full, as it is at first; a little less than the server's."""


class QuotaStore(Protocol):
    """Where the hosts that use the same credentials share their quota.

    Keys are 64 hexadecimal digits that reveal neither server nor client. An error, no reply within a quarter of a
    second and an answer that makes no sense all mean that the store is away. One store may serve many clients.
    """

    async def take(self, key: str, bucket: QuotaBucket) -> float:
        """Take a request out of a bucket and return 0.0; or take none, and return in how many seconds there is one."""
        ...

    async def tell(self, key: str, bucket: QuotaBucket, left: float) -> None:
        """Note that the server has `left` requests left by its last answer: the bucket should not differ much.

        Requests of other hosts that are on their way are not counted in `left`.
        """
        ...

    async def close(self) -> None:
        """Close the connections; called after the last client that used the store. A later client may open them."""
        ...


class SharedQuota:
    """The store of one client, and what it last said."""

    def __init__(
        self,
        store: QuotaStore,
        key: Callable[[], Awaitable[str]],
        log: Log,
        *,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Share the quota named `key`, which is computed once. Raise `TypeError` for what is no store."""
        for name in ("take", "tell", "close"):
            if not callable(getattr(store, name, None)):
                raise TypeError(
                    f"quota_store must have an async {name}(), as a QuotaStore has; got {type(store).__name__}"
                )
        self._store = store
        self._make_key = key
        self._key = ""
        self._log = log
        self._uniform = uniform
        self._tasks: set[asyncio.Task[Any]] = set()
        self._probe: asyncio.Task[Any] | None = None
        self._closed = False
        self._returned = 0
        self._held_until = self._scarce_until = self._back_at = self._told_at = self._spent_at = -math.inf
        self.refused = False
        """Whether the store held requests back, and not only the wait for its answer."""
        self._held_since: float | None = None
        self._rest = 0.0
        """Seconds between two questions to a store that is away; 0.0 while it is not."""

    def opens(self, now: float) -> float:
        """Return when a request may ask the store; 0.0 is now."""
        return self._held_until if now < self._held_until else 0.0

    def entered(self, now: float) -> None:
        """Note that a request is about to ask: where the quota is scarce, the others wait for the answer to it."""
        if now < self._scarce_until:
            self._held_until, self.refused = now + _PATIENCE, False

    async def take(self, bucket: QuotaBucket, left: float | None) -> bool:
        """Return whether a request may leave; if not, `opens` says when to ask again.

        The server would serve `left` requests by its last answers, None if they say nothing.
        """
        if self._rest or self._closed:
            self._look(bucket)
            return True
        if self._returned:
            self._returned -= 1
            return True
        wait = await self._answer(partial(self._take, bucket), takes=True)
        if wait and left is not None and left >= _PLENTY:
            await self._answer(partial(self._tell, bucket, left))
            await self._answer(partial(self._take, bucket), takes=True)
            wait = 0.0
        if wait and self._holds(bucket, wait):
            return False
        self._held_until, self._held_since = -math.inf, None
        return True

    def give_back(self) -> None:
        """Keep a request that was taken and did not leave for the next one; while the store is away none is taken."""
        if not self._rest:
            self._returned += 1

    def heard(self, bucket: QuotaBucket, left: float | None, *, spent: bool) -> None:
        """Tell the store now and then what the server's answers say is `left`; at once that the quota is `spent`."""
        now = asyncio.get_running_loop().time()
        if self._rest or self._closed or (left is None and not spent):
            return
        # What was in flight together is refused together.
        if now >= (self._spent_at + _PATIENCE if spent else self._told_at + _EVERY):
            self._told_at = now
            self._spent_at = now if spent else self._spent_at
            self._ask(partial(self._tell, bucket, 0.0 if spent or left is None else left))

    async def close(self) -> None:
        """Cancel what is asked; close the store after its last client."""
        self._closed = True
        await stopped(*self._tasks)
        if self._key and _leave(self._store):
            closing = asyncio.ensure_future(_within(self._store.close, _LONGEST))
            await asyncio.wait([closing])
            await stopped(closing)  # an error is no reason for close() to fail

    # Asking

    async def _take(self, bucket: QuotaBucket) -> float:
        wait: Any = await self._store.take(await self._named(), bucket)  # a caller's own may answer anything
        if type(wait) not in {int, float} or not 0 <= wait < math.inf:
            raise MeitnerError("it asked for a wait that makes no sense")
        return float(wait)

    async def _tell(self, bucket: QuotaBucket, left: float) -> float:
        await self._store.tell(await self._named(), bucket, left)
        return 0.0

    async def _named(self) -> str:
        if not self._key:
            key = await self._make_key()
            if not self._key:
                self._key = key
                _enter(self._store)
        return self._key

    def _ask(self, asking: Callable[[], Awaitable[Any]]) -> asyncio.Task[Any]:
        """Ask in a task of its own: it is never cancelled half-way for want of patience, but after a longer time."""
        began = asyncio.get_running_loop().time()
        task = asyncio.create_task(_within(asking, _LONGEST))
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._ended(ended, began))
        return task

    def _look(self, bucket: QuotaBucket) -> None:
        """Ask a store that was away, after its rest, whether it is back: a request is counted, and does not wait."""
        if self._probe is None and not self._closed and asyncio.get_running_loop().time() >= self._back_at:
            self._probe = self._ask(partial(self._take, bucket))

    async def _answer(self, asking: Callable[[], Awaitable[float]], *, takes: bool = False) -> float:
        """Return the store's answer; 0.0 if there is none in time. What a cancelled request takes is for the next."""
        task = self._ask(asking)
        try:
            await asyncio.wait([task], timeout=_PATIENCE)
        except asyncio.CancelledError:
            if takes:
                task.add_done_callback(self._in_vain)
            raise
        if not task.done():
            self._failed("it did not answer in time")
            return 0.0
        return 0.0 if _error(task) else task.result()

    def _in_vain(self, task: asyncio.Task[float]) -> None:
        if _error(task) is None and task.result() == 0.0:
            self.give_back()

    # What answers mean

    def _ended(self, task: asyncio.Task[Any], began: float) -> None:
        self._tasks.discard(task)
        error, looked = _error(task), task is self._probe
        late = asyncio.get_running_loop().time() - began > _PATIENCE
        if looked:
            self._probe = None
        if task.cancelled() or (late and not looked):
            return  # who waited for it has drawn the conclusion
        if error is None and looked and not late:
            self._rest = 0.0
            self._log.info("the quota store is back")
        elif error is not None or late:  # the text of a foreign error may quote a URL
            self._failed(str(error) if isinstance(error, MeitnerError) else type(error).__name__)

    def _failed(self, why: str) -> None:
        now = asyncio.get_running_loop().time()
        if not self._rest:
            self._log.warning("the quota store is away: %s; until it is back, only the server's headers count", why)
            self._rest = _FIRST_REST
        elif now < self._back_at:
            return  # what was asked together fails together
        else:
            self._rest = min(2 * self._rest, _LONGEST_REST)
        self._back_at = now + self._rest
        self._held_until = self._scarce_until = -math.inf
        self._held_since = None

    def _holds(self, bucket: QuotaBucket, wait: float) -> bool:
        """Hold requests back for a while; return False if the store seems to be stuck: then the server is asked."""
        now, interval = asyncio.get_running_loop().time(), HOUR / bucket.per_hour
        if self._held_since is None:
            self._held_since = now
        elif now >= self._held_since + max(_STUCK, _TURNS * interval):
            return False
        # Hosts that wait for the same request must not all come at the same moment.
        self._held_until = now + min(wait, _LONGEST_HOLD) + self._uniform(0.0, min(interval, 1.0) / 4)
        self._scarce_until = self._held_until + 2 * interval
        self.refused = True
        return True


async def _within(asking: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    async with asyncio.timeout(seconds):
        return await asking()


def _error(task: asyncio.Task[Any]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


_clients: WeakKeyDictionary[QuotaStore, int] = WeakKeyDictionary()
"""How many clients use a store: the last one closes it."""


def _enter(store: QuotaStore) -> None:
    with suppress(TypeError):  # not hashable, or no weak references: each of its clients closes it
        _clients[store] = _clients.get(store, 0) + 1


def _leave(store: QuotaStore) -> bool:
    """Return whether a client was the last one."""
    with suppress(TypeError):
        _clients[store] = left = _clients.get(store, 1) - 1
        return not left
    return True
