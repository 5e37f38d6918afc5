"""How many rows to ask for in a page: the most that the server gives, learnt once for a client and its copies.

The largest page is not documented. 1,000 rows are asked for first. A server that gives fewer says so in its
answer, which costs nothing; one that refuses (400, 413, 422) is asked for fewer, and then for more again, until the
largest page is known: at most six requests more than if it had been known before (`_further`). After a page that may be
too heavy (a timeout, a broken connection or a 5xx), half as many rows are asked for, and the larger page is tried again
later.

Pure but for a lock, in which one read at a time tries a new size. Knows no requests.
"""

from __future__ import annotations

import asyncio
import math

from ..errors import APIConnectionError, InternalServerError, MeitnerError, ResponseValidationError
from .last_counts import LastCounts

LARGEST = 1000
"""Rows asked for where nothing is known."""

USUAL = 50
"""Rows of a page by default: the API's own default, which no server refuses."""

_REFUSED = frozenset({400, 413, 422})
"""Statuses by which a server may refuse a size."""

_ONE_BY_ONE = 23
"""With so many possible sizes left, or fewer, one after the other is tried."""

_PAUSE, _LONGEST_PAUSE = 600.0, 86_400.0
"""Seconds until a size that was too heavy is tried again: ten minutes, then twice as long up to a day."""

_IN_VAIN = 60.0
"""Seconds in which pages begin small after all sizes failed, or until one is given: the size was not the cause."""

_WORTH = 5
"""Requests that a larger page must save before it is tried for a resource, if another resource refused it. If both
refuse it, it is not tried for the others."""


class _Bounds:
    """What is known of the pages of a server."""

    def __init__(self, granted: int = 0) -> None:
        self.granted = granted
        """The largest size that was given; 0 when none was."""
        self.refused = LARGEST + 1
        """The smallest that was refused."""
        self.refusing: set[str] = set()
        """Routes that refused one."""
        self.heavy = LARGEST + 1
        """The smallest that was too heavy."""
        self._until = -math.inf
        self._pause = _PAUSE

    @property
    def top(self) -> int:
        """The largest size that is not known to be too large."""
        return min(self.refused, self.heavy) - 1

    @property
    def doubtful(self) -> bool:
        """Whether only a failure, which may pass, rules out larger pages."""
        return self.heavy < self.refused

    @property
    def due(self) -> int:
        """The size that failed, when it is time to try it again; 0 when it is not."""
        return self.heavy if self.doubtful and asyncio.get_running_loop().time() >= self._until else 0

    def fail(self, size: int) -> None:
        """Note that a page of this size was too heavy."""
        self._pause = min(2 * self._pause, _LONGEST_PAUSE) if self.due == size else _PAUSE
        self.heavy = min(self.heavy, size)
        self._until = asyncio.get_running_loop().time() + self._pause

    def grant(self, size: int) -> None:
        """Note that a page of this size was given; if it had failed before, larger ones may be given again."""
        self.granted = max(self.granted, size)
        if size >= self.heavy:
            self.heavy = LARGEST + 1 if size >= LARGEST else min(2 * size, LARGEST)


class PageSize:
    """What is known of the pages of one route; shared with the other routes until this one turns out to differ."""

    def __init__(self, route: str, usual: _Bounds) -> None:
        self._route = route
        self._bounds = usual
        self._given = 0
        self._clamp = LARGEST
        self._vain_until = -math.inf

    @property
    def rows(self) -> int:
        """Rows that a page holds, as far as is known."""
        return min(self._clamp, self.next(LARGEST))

    def tries(self, size: int) -> bool:
        """Whether a page of this size would be the first of its kind."""
        return size > max(self._bounds.granted, self._given, USUAL)

    def next(self, most: int, total: int = 0, refused: int = LARGEST + 1) -> int:
        """Return how many rows to ask for: at most `most`, and fewer than were `refused`.

        With the `total` of rows, known from the first page, a larger size is tried only where it saves requests.
        """
        bounds, top = self._bounds, min(self._bounds.top, refused - 1)
        if most > USUAL and asyncio.get_running_loop().time() < self._vain_until:
            return USUAL
        if top >= most:
            return most
        if 0 < bounds.due <= min(refused - 1, most):
            return bounds.due
        known = bounds.granted if bounds.granted <= top else self._given
        known = known if known <= top else 0
        size = known
        if total or not known:
            size = _further(max(known, USUAL), top, total, halving=bounds.doubtful)
        return bounds.refused if self._asks_anyway(size, most, total, refused) else size

    def _asks_anyway(self, size: int, most: int, total: int, refused: int) -> bool:
        """Whether to try a size that another resource refused: this route did not, and much would be saved."""
        bounds = self._bounds
        if self._route in bounds.refusing or size > bounds.granted or not total:
            return False
        if len({route.removesuffix("/_search") for route in bounds.refusing}) != 1:
            return False
        spares = _pages(total, size) > _pages(total, most) + _WORTH
        return bounds.refused <= min(most, refused - 1) and not bounds.doubtful and spares

    def learn(self, size: int, told: int, refused: int, failed: int) -> None:
        """Note that a page of this size was given, and that the server named `told` rows as its limit.

        `refused` and `failed` are larger sizes that were tried before; 0 for none.
        """
        if refused or failed:
            self._differ(min(filter(None, (refused, failed))))
        if refused:
            self._bounds.refused = min(self._bounds.refused, refused)
            self._bounds.refusing.add(self._route)
        if failed:
            self._bounds.fail(failed)
        if size >= self._bounds.refused:
            self._bounds = _Bounds()
        self._bounds.grant(size)
        self._given = max(self._given, size)
        self._vain_until = -math.inf
        if 1 <= told < size or size >= self._clamp:
            self._clamp = told if 1 <= told < size else LARGEST

    def _differ(self, size: int) -> None:
        """Stop sharing if this size was given to other routes, or to this one before."""
        self._given = self._given if self._given < size else 0
        if self._bounds.granted >= size:
            self._bounds = _Bounds(self._given)

    def gave_up(self) -> None:
        """Note that smaller pages failed, too."""
        self._vain_until = asyncio.get_running_loop().time() + _IN_VAIN

    def may_be_too_large(self, size: int, error: MeitnerError) -> int | None:
        """Return from which size on pages may fail in the same way: USUAL + 1 if only the smallest page can tell.

        None for an error that is not about the size.
        """
        if size <= USUAL:
            return None
        if is_refusal(error):
            return USUAL + 1 if size <= self._given else size
        if not is_heavy(error, self._route):
            return None
        return size if self._bounds.doubtful else USUAL + 1


class Fitting:
    """The sizes tried for one page. What they show is learnt when one of them is given."""

    def __init__(self, size: PageSize, most: int, total: int) -> None:
        """Ask for at most `most` rows of a listing of `total` rows, 0 if that is unknown."""
        self.requests = 0
        self._size = size
        self._most = most
        self._total = total
        self._below = LARGEST + 1
        self._refused = self._failed = 0

    @property
    def limit(self) -> int:
        """Rows to ask for."""
        return self._size.next(self._most, self._total, self._below)

    @property
    def new(self) -> bool:
        """Whether no such page was given yet."""
        return self._below <= LARGEST or self._size.tries(self.limit)

    @property
    def shrinks(self) -> bool:
        """Whether a smaller page can be asked for instead."""
        return self.limit > USUAL

    def failed(self, limit: int, error: MeitnerError) -> bool:
        """Record an error; return whether to ask again, for fewer rows."""
        self.requests += 1
        below = self._size.may_be_too_large(limit, error)
        if below is None:
            if self._below <= LARGEST:
                self._size.gave_up()
            return False
        if is_refusal(error):
            self._refused = limit
        else:
            self._failed = limit
        self._below = below
        return True

    def gave(self, limit: int, told: int, total: int) -> bool:
        """Record a page and learn; return whether the next one of the listing may be larger."""
        self.requests += 1
        self._size.learn(limit, told, self._refused, self._failed)
        return self._size.next(self._most, total) > limit


class PageSizes:
    """What a client knows of the pages of its server, route by route."""

    def __init__(self) -> None:
        self.counts = LastCounts()
        self._usual = _Bounds()
        self._routes: dict[str, PageSize] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()

    def of(self, route: str) -> PageSize:
        """Return what is known of a route."""
        size = self._routes.get(route)
        if size is None:
            size = self._routes[route] = PageSize(route, self._usual)
        return size

    @property
    def turn(self) -> asyncio.Lock:
        """The lock in which to try a new size: other reads then use the result."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # the client refuses another loop, with its own message
            self._loop, self._turn = loop, asyncio.Lock()
        return self._turn


def is_refusal(error: MeitnerError) -> bool:
    """Whether a server may have refused a page for its size."""
    return getattr(error, "status_code", 0) in _REFUSED


def is_heavy(error: MeitnerError, route: str) -> bool:
    """Whether a page may have failed because it was too heavy for the server, or for a gateway before it."""
    if error.route not in (None, route) or error.retry_budget_exhausted:  # it is the token's; the server is down
        return False
    if isinstance(error, APIConnectionError):
        return error.sent and error.repeatable
    return isinstance(error, InternalServerError) or (isinstance(error, ResponseValidationError) and error.too_large)


def _pages(rows: int, size: int) -> int:
    return -(-rows // size)


def _further(low: int, top: int, total: int, *, halving: bool) -> int:
    """Return the size to try next: above `low`, which is given, up to `top`; `low` if nothing is gained.

    A refusal costs a request, and a page smaller than possible costs a part of one. A step of about a quarter of the
    way (less for a small `low`) balances both: for every largest page from 50 to 1,000 rows and every total, the search
    costs at most six requests. The numbers were found by experiment; a test tries every largest page.
    """
    if low >= top or (total and _pages(total, low) == _pages(total, top)):
        return low
    if halving:
        return max(low, (top + 1) // 2)
    step = 1 if top - low <= _ONE_BY_ONE else int((top - low) / (3.22 + 0.1 * top / low))
    if not total:
        return low + step
    least = _pages(total, _pages(total, low + step))  # no larger than needed to save a request
    return least if least > low else _pages(total, _pages(total, low) - 1)
