"""A model of the server's rate limiter, learnt from its headers: a window that ends, or a bucket that refills.

The vendor documents a bucket, the API's document shows a window, and neither says what RateLimit-Reset means under a
bucket. So the kind is inferred from behaviour: what remains of a window falls with each request and jumps to the limit
when it ends; a bucket refills all the time. Pure arithmetic. Times are seconds of a monotonic clock; the server's clock
is only compared with itself, so that neither skew nor a step of the local clock matters.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from .._wire.headers import LONGEST_WAIT, LimitHeaders

HOUR = 3600.0
"""Seconds in which a bucket is refilled with as many tokens as RateLimit-Limit says."""

_SHORTEST = 1.0
"""Seconds that an answer is used, even if the end of its window has passed."""

_SAME = 1.0
"""Seconds by which RateLimit-Reset may differ between answers of one window: Date has whole seconds."""

_SURE = 2
"""Regained tokens that prove a bucket: one alone may be the server's rounding."""

_AHEAD = 8
"""Most tokens that a bucket is assumed to have regained since the last answer."""

_MEMORY = 64
"""Requests over which the share of others is averaged."""

_MOST_SHARES = 32.0

_HASTE = 10
"""How many times faster than in the last answers other clients may have been, at most."""

_HARDLY = 1.5
"""Requests spent for each of ours; with fewer, other clients hardly hide what a bucket regains."""

Kind = Literal["window", "bucket", "assumed"]


class Quota(Struct, frozen=True):
    """The quota, by the last answers."""

    limit: int
    remaining: int
    reset_at: datetime
    """When a window ends; when a bucket is full again, unless more is sent."""
    kind: Kind = "window"
    """`window` until an answer shows otherwise; `bucket` if one did; `assumed` if answers state no quota."""


class Departure(Struct, frozen=True):
    """What was known when a request left: only answers that do not overlap can be compared."""

    at: float
    alone: bool
    """Whether nothing else was in flight."""
    counted: int
    """Requests before it that the server certainly counted."""
    floor: float
    """The least sum of requests counted and remaining over the answers of this window: only a refill raises it."""
    window: int
    """The number of windows seen until then."""
    answers: int
    reset: float
    remaining: int
    seen_at: float


class ServerLimiter:
    """What is known of the server's limiter."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        """Read `wall`, in seconds since 1970, once and only if answers have no Date."""
        self._wall = wall
        self._ahead: float | None = None
        self._reset = self._began = -math.inf
        self._counted = self._answers = self._windows = 0
        self._floor, self._floor_at = math.inf, 0.0
        self._lost, self._losses = 1.0, 0
        self._passed = 0
        self.limit = 0
        """Requests an hour; 0 until an answer states it."""
        self.remaining = 0
        self.seen_at = -math.inf
        """When the answer with `remaining` arrived."""
        self.ends = -math.inf
        """When the window ends; means nothing for a bucket."""
        self.refill = 1 / HOUR
        """Tokens a second; for a window, what a bucket of the same limit would have."""
        self.is_bucket = False
        self.is_window = False
        """Whether answers showed that nothing refills; until then a window is only assumed."""
        self._fallen = self._elapsed = 0.0
        self.late = 1
        """Requests that `remaining` does not count yet: headers may be computed before the request is counted."""

    @property
    def share(self) -> float:
        """Requests spent for each of ours: 1.0 without other clients, 3.0 if two others are as busy as this one."""
        others = self._lost - 1.0 > 0.1 + 4 / (self._losses + 1)  # a small excess comes from answers out of order
        return min(self._lost, _MOST_SHARES) if others else 1.0

    @property
    def alone(self) -> bool:
        """Whether enough answers showed that no other client uses the quota."""
        return self._losses >= _MEMORY // 4 and self.share == 1.0

    @property
    def drain(self) -> float:
        """Requests a second of all clients together, over the last few answers."""
        return self._fallen / self._elapsed if self._elapsed else 0.0

    def tokens(self, now: float) -> float:
        """Return how many requests the server would serve now, ignoring those in flight."""
        if not self.is_bucket:
            return float(self.remaining)
        return min(self.limit, self.remaining + min(_AHEAD, self.refill * (now - self.seen_at)))

    def quota(self, now: float) -> Quota | None:
        """Return the quota for users; None before the first answer that states one."""
        if not self.limit:
            return None
        if not self.is_bucket:
            return Quota(self.limit, self.remaining, datetime.fromtimestamp(self._reset, UTC), "window")
        left = min(self.limit, self.remaining + self.refill * (now - self.seen_at))
        full = now + (self._ahead or 0.0) + (self.limit - left) / self.refill
        return Quota(self.limit, int(left), datetime.fromtimestamp(full, UTC), "bucket")

    def server_time(self, date: float | None, now: float) -> float:
        """Return the server's time in seconds since 1970, by the last Date it sent."""
        if date is not None:
            self._ahead = date - now
        elif self._ahead is None:
            self._ahead = self._wall() - now
        return now + self._ahead

    def departs(self, now: float, in_flight: int) -> Departure:
        """Return what is known when a request leaves, with `in_flight` others in flight."""
        return Departure(
            now,
            in_flight == 0,
            self._counted,
            self._floor,
            self._windows,
            self._answers,
            self._reset,
            self.remaining,
            self.seen_at,
        )

    def learn(self, said: LimitHeaders, departure: Departure, now: float, in_flight: int, *, served: bool) -> None:
        """Learn from an answer to a request that left at `departure`, with `in_flight` others still in flight.

        `served` says that the request certainly counted. Answers may arrive in any order.
        """
        here = self.server_time(said.date, now)
        reset, remaining = min(said.ends(here), here + LONGEST_WAIT), min(said.remaining, said.limit)
        self._counted += served
        if said.limit != self.limit or (not self.is_bucket and self._is_other_window(reset, now)):
            if said.limit == self.limit and now < self.ends and reset <= self._began + _SAME:
                return  # of a window that had ended when the present one began
            self._compare_resets(said, departure, reset, remaining, now, in_flight)
            fresh = remaining >= said.limit - 1 and (not self.limit or remaining > self.remaining)
            if fresh and self._was_alone(departure, in_flight, served=served):
                self.late = int(remaining == said.limit)
            self._begin(said, reset, remaining, now, here)
        else:
            self._go_on(departure, reset, remaining, now, in_flight, served=served)
        potential = self._counted + in_flight + remaining
        if potential < self._floor:
            self._floor, self._floor_at = potential, now

    def _is_other_window(self, reset: float, now: float) -> bool:
        return abs(reset - self._reset) > _SAME or now >= self.ends

    def _compare_resets(  # noqa: PLR0917 - one answer, and what was known before it
        self, said: LimitHeaders, departure: Departure, reset: float, remaining: int, now: float, in_flight: int
    ) -> None:
        """Recognise a bucket by a RateLimit-Reset that moves although no window ended."""
        comparable = departure.reset > -math.inf and said.limit == self.limit and departure.answers > 0
        if not comparable or reset - departure.reset <= _SAME:
            return
        passed = said.date is None or departure.reset <= said.date + _SAME
        rise, waited = remaining - departure.remaining, now - departure.seen_at
        jumped = rise > _SURE + 2 * self.refill * waited
        ours = in_flight + self._counted - departure.counted  # may have been counted in a new window
        at_limit = said.limit - remaining <= _SURE + said.limit // 100 + ours
        if jumped and passed:
            self.is_window, self._passed = True, 0
        elif not jumped and not passed:
            self._is_a_bucket()
        elif not jumped and not at_limit:
            self._passed += 1
            since = self.server_time(None, now) - departure.reset
            if not self._may_be_spent(said.limit - remaining - ours, since):
                self._is_a_bucket()

    def _may_be_spent(self, requests: int, seconds: float) -> bool:
        """Whether others may have sent so many requests in a window that began `seconds` ago."""
        if self._elapsed:
            return requests <= _HASTE * self.drain * (1 - 1 / self.share) * seconds
        return self._passed < _SURE

    def _is_a_bucket(self) -> None:
        self.is_bucket, self.is_window = True, False

    def _begin(self, said: LimitHeaders, reset: float, remaining: int, now: float, here: float) -> None:
        """Start again from an answer to which nothing known before applies."""
        if said.limit != self.limit:
            self.limit, self.refill = said.limit, said.limit / HOUR
            self.is_bucket = self.is_window = False
        self._began, self._reset, self.ends = here, reset, now + max(reset - here, _SHORTEST)
        self._floor = math.inf
        self._windows += 1
        self._accept(remaining, now, spent=None)

    def _go_on(
        self, departure: Departure, reset: float, remaining: int, now: float, in_flight: int, *, served: bool
    ) -> None:
        gain = departure.counted + served + remaining - departure.floor
        follows = departure.answers == self._answers
        if self.is_bucket and follows and self._jumped(remaining, now):
            self.is_bucket, self._floor = False, math.inf  # a window after all
        elif gain >= _SURE and departure.floor < math.inf and departure.window == self._windows:
            self._gained(gain, remaining, now)
        if self.is_bucket:
            self._reset, self.ends = reset, now + max(reset - self.server_time(None, now), _SHORTEST)
        elif follows and not self.is_window and self.remaining - remaining == 1 and self._lost < _HARDLY:
            self.is_window = self._would_rise(departure) and self._was_alone(departure, in_flight, served=served)
        if follows or remaining <= self.tokens(now):
            self._accept(remaining, now, spent=self.remaining - remaining)
        elif served:
            self._spend(0)

    def _jumped(self, remaining: int, now: float) -> bool:
        """Whether more came back at once than a bucket can regain."""
        return remaining - self.remaining > self.limit // 2 and self.refill * (now - self.seen_at) < self.limit / 4

    def _gained(self, gain: float, remaining: int, now: float) -> None:
        """Note tokens that came back: the bucket refilled, or another client's request began a new window."""
        if not self.is_bucket and self.limit - remaining <= _SURE and gain > self.limit / 4:
            self._floor = math.inf
            return
        self._is_a_bucket()
        if gain >= 10 and now > self._floor_at:
            self.refill = max(self.refill, (gain - 1) / (now - self._floor_at))

    def _accept(self, remaining: int, now: float, *, spent: int | None) -> None:
        if spent is not None:
            self._spend(max(0, spent))
            self._fallen += max(0, spent) - 0.2 * self._fallen
            self._elapsed += now - self.seen_at - 0.2 * self._elapsed
        self._answers += 1
        self.remaining, self.seen_at = remaining, now

    def _spend(self, lost: int) -> None:
        """Record how much an answer showed to be spent: what exceeds our own requests was sent by others."""
        if self._losses < _MEMORY:
            self._losses += 1
        self._lost += (lost - self._lost) / (self._losses + 1)

    def unsaid(self, now: float) -> None:
        """Count a request whose answer has no limit headers, although earlier ones had."""
        self.remaining, self.seen_at = max(0, int(self.tokens(now)) - 1), now

    def _was_alone(self, departure: Departure, in_flight: int, *, served: bool) -> bool:
        """Whether no other request of ours was in flight between a request and its answer."""
        return departure.alone and not in_flight and self._counted == departure.counted + served

    def _would_rise(self, departure: Departure) -> bool:
        """Whether a bucket would visibly have regained tokens until a request left."""
        waited = departure.at - departure.seen_at
        return departure.answers > 0 and self.refill * waited >= _SURE + 0.5

    def refused(self, departure: Departure, now: float, in_flight: int) -> None:
        """Learn from a 429, with `in_flight` others still in flight, that nothing is left and nothing came back."""
        if not self.is_bucket and departure.remaining <= 1 and self._was_alone(departure, in_flight, served=False):
            self.is_window = self.is_window or self._would_rise(departure)
        self.remaining, self.seen_at, self._floor = 0, now, math.inf
