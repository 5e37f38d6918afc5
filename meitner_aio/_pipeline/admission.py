"""Decides when the next request may leave; does not wait itself. Times are seconds of the event loop's clock.

The rule depends on the server's limiter. A window is spent without delay, except for what single calls and other
clients need until it ends. A bucket is spent down to a margin, then at its refill rate, which is shared with all
clients of the same quota. If answers state no quota, the documented one is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from .._wire.messages import RawResponse, Request
from .._wire.too_many import TooMany, what_429_means
from .._wire.validation import check_number, check_whole
from .fair_share import FairShare, SingleCalls
from .server_limiter import HOUR, Departure, Quota, ServerLimiter
from .shared_quota import QuotaBucket
from .smoothing import LATER, AssumedQuota

PER_HOUR = 1500
"""Requests an hour that an API key may make, by the vendor's documentation."""

_PATIENCE = 60.0
"""Seconds that a single call waits for the quota, unless the policy says otherwise."""

_UNSEEN = 2
"""Requests that are not spent while it is not certain that the limiter is a window."""

_LOOK = 3.0
"""Tokens that a bucket would regain before a probe; twice as many before each further probe."""

_HELD_BACK = 0.02
"""Share of a window that pages leave for single calls, even if there were none in the last ten minutes."""

_LAST = 180.0
"""Seconds at the end of a window in which pages may use up what is left."""

_MARGIN, _MARGIN_OF_SMALL = 5.0, 0.1
"""Tokens of a bucket that pages leave, or this share of a small one: independent clients are then not refused."""

_FREE = 12.0
"""Tokens above the margin; with more than these, pages are not paced."""

_CLIENTS = 8
"""Clients that can share what is left without a refusal: each has at most an eighth of it in flight."""

_RACED_FOR = 0.01
"""Largest share of a window left unused at its end, because several clients would use it at the same moment."""

_FRESH = 10.0
"""Seconds for which an answer says what is left for all clients together."""

_IN_TRANSIT = 2
"""Requests less than the server's that a shared bucket holds: it must be empty before the server's is."""

_STALE = 60.0
"""Seconds without an answer, after which one request goes first: other clients may have spent what was left."""

Reason = Literal["spent", "refilling", "shared", "reserved", "probing", "refused", "assumed"]


class QuotaPolicy(Struct, frozen=True, kw_only=True):
    """How to use the quota.

    `reserve` requests are left for other clients. `max_wait` is the most seconds a request waits for the quota; if it
    is unset, bulk (a page of a listing, a write of `*_many` or of an outbox) waits as long as needed and any other call
    a minute. A request that would wait longer raises `QuotaExhausted` at once; with `on_exhausted="raise"` no request
    waits for a spent quota. `per_hour` is the quota assumed until an answer states one; `math.inf` assumes none.
    """

    reserve: int = 0
    max_wait: float | None = None
    on_exhausted: Literal["wait", "raise"] = "wait"
    per_hour: float = PER_HOUR

    def __post_init__(self) -> None:
        """Raise `TypeError` for values of another type, and `ValueError` for values out of range."""
        check_whole("reserve", self.reserve, 0)
        check_number("per_hour", self.per_hour)
        if self.max_wait is not None:
            check_number("max_wait", self.max_wait)
        if self.on_exhausted not in ("wait", "raise"):
            raise ValueError('on_exhausted must be "wait" or "raise"')
        if not self.per_hour >= 1:
            raise ValueError("per_hour must be at least 1; math.inf assumes no quota")

    def patience(self, request: Request) -> float:
        """Return how many seconds a request waits for the quota."""
        if self.on_exhausted == "raise":
            return 0.0
        if self.max_wait is not None:
            return self.max_wait
        return math.inf if request.bulk else _PATIENCE


class Wait(Struct, frozen=True):
    """Why a request waits, and until when by the loop's clock; infinity means until the next answer."""

    until: float
    zone: Literal["paced", "closed"]
    reason: Reason


_AFTER_ANSWER = Wait(math.inf, "paced", "shared")
_NO_WAIT = Wait(-math.inf, "closed", "refused")


class Admission:
    """Decides which requests may leave, by what answers have shown of the server's quota."""

    def __init__(
        self,
        widest: int,
        policy: QuotaPolicy,
        *,
        wall: Callable[[], float],
        uniform: Callable[[float, float], float],
    ) -> None:
        """Allow at most `widest` requests in flight. `wall` returns seconds since 1970, `uniform` draws the jitter."""
        self._widest = widest
        self._policy = policy
        self._uniform = uniform
        self._limiter = ServerLimiter(wall)
        self._assumed = AssumedQuota(policy.per_hour, uniform)
        self._singles = SingleCalls()
        self._share = FairShare(uniform)
        self._sharing = False
        self._answered = False
        self._opening = 1
        self._refused_at = -math.inf
        self._shut = _NO_WAIT
        self._invited = False
        self._reopens = -math.inf, -math.inf
        self._looks = -math.inf, 0
        self._looking = False

    def quota(self, now: float) -> Quota | None:
        """Return the quota by the last answers, or the assumed one if they state none; None before the first answer."""
        told = self._limiter.quota(now)
        if told is not None or not self._answered or self._policy.per_hour == math.inf:
            return told
        limit, left = self._assumed.limit, self._assumed.left(now)
        ready = self._limiter.server_time(None, now) + max(0.0, self._assumed.opens(now) - now)
        return Quota(limit, left, datetime.fromtimestamp(ready, UTC), "assumed")

    # What is shared with other hosts

    def bucket(self) -> QuotaBucket | None:
        """Return the bucket that all clients of these credentials share, as far as it is known; None if none is."""
        limiter, assumed = self._limiter, self._assumed
        if limiter.limit:
            return QuotaBucket(round(limiter.refill * HOUR, 3), max(1, limiter.limit - _IN_TRANSIT))
        if self._policy.per_hour == math.inf:
            return None
        return QuotaBucket(float(assumed.limit), max(1, assumed.burst - _IN_TRANSIT))

    def left(self, now: float, in_flight: int) -> float | None:
        """Return how many requests the server would serve, beside those in flight; None without a recent answer."""
        limiter = self._limiter
        ended = not limiter.is_bucket and now >= limiter.ends
        if not limiter.limit or ended or now - limiter.seen_at > _FRESH:
            return None
        return max(0.0, limiter.tokens(now) - in_flight - limiter.late)

    # Learning from requests and answers

    def came(self, request: Request, now: float) -> None:
        """Note that a request wants to leave."""
        if not request.bulk:
            self._singles.came(now)

    def entered(self, request: Request, now: float) -> None:
        """Note that a request was let through."""
        if request.bulk:
            self._share.sent(now)
        self._invited = False
        if self._looking:
            self._looks, self._looking = (self._looks[0], self._looks[1] + 1), False

    def spend(self, now: float) -> None:
        """Take a request that was let through out of the assumed quota, where no answer states one."""
        if not self._limiter.limit:
            self._assumed.spend(now)

    def departs(self, now: float, in_flight: int) -> Departure:
        """Return what is known when a request leaves, with `in_flight` others in flight."""
        return self._limiter.departs(now, in_flight)

    def failed(self) -> None:
        """Note that a request got no answer."""
        self._open_wider()

    def answered(
        self, request: Request, response: RawResponse, departure: Departure, now: float, in_flight: int
    ) -> TooMany | None:
        """Learn from an answer, with `in_flight` others still in flight; return what a 429 means, else None."""
        limiter, status = self._limiter, response.status
        self._answered = True
        said = response.limits
        if said.limit:
            limiter.learn(said, departure, now, in_flight, served=status < 300)
            self._opening = 1
        else:
            if limiter.limit and status < 300:
                limiter.unsaid(now)
            self._open_wider()
        if status == 429:
            too_many = what_429_means(
                said,
                known=bool(limiter.limit),
                remaining=limiter.remaining,
                assumed=self._policy.per_hour < math.inf,
                now=limiter.server_time(None, now),
            )
            if too_many.quota_spent:
                self._refused(too_many, departure, now, in_flight)
            return too_many
        if not limiter.limit:
            self._assumed.succeeded(now)
        elif request.bulk:
            self._adapt(now)
        return None

    def _refused(self, too_many: TooMany, departure: Departure, now: float, in_flight: int) -> None:
        """Learn from a 429 that all clients together send too much."""
        wait = too_many.wait
        if not self._limiter.limit:
            self._assumed.refused(now, departure.at, wait, by_reset=too_many.by_reset)
            return
        if departure.at > self._refused_at:
            self._share.halve()
        self._refused_at = now
        self._limiter.refused(departure, now, in_flight)
        if wait is not None:
            self._shut = Wait(now + wait + self._uniform(0.0, min(1.0, wait / 10)), "closed", "refused")
            self._invited = True

    def _open_wider(self) -> None:
        """Allow one request more in flight: one, two, three, while no quota is known."""
        self._opening = min(self._opening + 1, self._widest)

    def _adapt(self, now: float) -> None:
        """Take a larger or a smaller share of a scarce quota, by a signal that all clients see."""
        limiter, share = self._limiter, self._share
        if limiter.is_bucket:
            rate, plenty = limiter.refill, limiter.remaining - self._policy.reserve >= self._margin
        else:
            rate = (limiter.remaining + 1) / max(1.0, limiter.ends - now)
            plenty = limiter.drain <= rate
        if limiter.share == 1.0 and not limiter.is_bucket:
            share.begin(1.0)
        elif plenty:
            share.grow()
        else:
            share.shrink(now, rate)

    # Which requests may leave

    def wait_for(self, request: Request, now: float, in_flight: int, ahead: int = 0) -> Wait | None:
        """Return why a request waits, with `in_flight` others out and `ahead` before it; None if it may leave."""
        limiter = self._limiter
        if now < self._shut.until:
            return self._shut
        if self._invited:
            return _AFTER_ANSWER if in_flight else None  # Retry-After outweighs the estimate of the quota
        if not limiter.limit:
            return self._wait_for_assumed(request, now, in_flight, ahead)
        ended = not limiter.is_bucket and now >= limiter.ends
        if ended or (in_flight >= self._opening and now - limiter.seen_at > _STALE):
            return _AFTER_ANSWER if in_flight >= self._opening else None
        spare = limiter.tokens(now) - self._policy.reserve - in_flight - limiter.late
        if limiter.is_bucket:
            return self._wait_for_tokens(request, spare - ahead, now, in_flight)
        wait: Wait | None = None
        if spare < 1 or (spare < _UNSEEN and not limiter.is_window):
            # Answers still to come may leave something.
            wait = _AFTER_ANSWER if spare + in_flight >= 1 > spare else Wait(self._reopens_at(), "closed", "spent")
        elif request.bulk:
            wait = self._wait_for_rest(request, spare, now, in_flight)
        elif not limiter.alone and in_flight >= max(1.0, spare / _CLIENTS):
            wait = _AFTER_ANSWER
        elif spare - self._raced_for < 1:
            wait = Wait(self._reopens_at(), "closed", "shared")
        return self._look(wait, now, in_flight)

    def _wait_for_assumed(self, request: Request, now: float, in_flight: int, ahead: int) -> Wait | None:
        assumed = self._assumed
        if in_flight >= (1 if assumed.probing else self._opening):
            return _AFTER_ANSWER
        if opens := assumed.opens(now, ahead):
            return Wait(opens, "closed", "assumed")
        if request.bulk and not assumed.probing and self._singles.recent(now):
            until = assumed.ends(now) - now
            if assumed.left(now) <= self._singles.need(now, until):
                return Wait(now + min(max(until, 1.0), 10.0), "closed", "reserved")
        return None

    @property
    def _raced_for(self) -> float:
        """Requests left at the end of a window that all clients see, and only one of them can use."""
        return min(self._limiter.share - 1, _RACED_FOR * self._limiter.limit)

    @property
    def _margin(self) -> float:
        return max(2.0, min(_MARGIN, _MARGIN_OF_SMALL * self._limiter.limit))

    def _wait_for_tokens(self, request: Request, spare: float, now: float, in_flight: int) -> Wait | None:
        """Decide for a bucket: tokens above the margin are free, the others are paced at the refill rate."""
        limiter = self._limiter
        if spare < 1:
            if in_flight and spare + in_flight >= 1:
                return _AFTER_ANSWER  # answers still to come may leave something
            return Wait(now + (1 - spare) / limiter.refill, "closed", "refilling")
        if not request.bulk or self._fits(request, spare - self._singles.need(now, 60.0)):
            return None
        above = spare + in_flight + limiter.late - self._margin
        if above > _FREE:
            self._sharing = False
            return None if in_flight < max(1.0, above / _CLIENTS) else _AFTER_ANSWER
        self._share_begins()
        due = self._share.due(limiter.refill)
        return None if due <= now else Wait(due, "paced", "refilling")

    def _fits(self, request: Request, spare: float) -> bool:
        """Whether `spare` covers all requests that the read of this one still needs."""
        return request.upcoming is not None and 1 + request.upcoming <= spare

    def _share_begins(self) -> None:
        if not self._sharing:
            self._sharing = True
            self._share.begin(1 / self._limiter.share)

    def _wait_for_rest(self, request: Request, spare: float, now: float, in_flight: int) -> Wait | None:
        """Decide whether bulk may use what is left of a window, or single calls and other clients need it."""
        limiter, singles = self._limiter, self._singles
        until, clients = limiter.ends - now, limiter.share
        kept = singles.need(now, until)
        if self._fits(request, (spare - kept) / clients):
            return None
        room = spare - kept - _HELD_BACK * limiter.limit * min(1.0, max(0.0, until - _LAST) / HOUR)
        if clients == 1.0:
            self._sharing = False
        crowded = not limiter.alone and in_flight >= max(1.0, room / _CLIENTS)
        # A read that has to wait for the next window anyway gains nothing by haste: others may need some of this one.
        # After recent single calls, bulk of unknown length does not hurry through the last quarter.
        scarce = singles.recent(now) and room < limiter.limit / 4
        hurries = request.upcoming is None and not scarce
        if room >= 1 and hurries and (clients == 1.0 or self._may_be_plenty):
            return _AFTER_ANSWER if crowded else None
        if room < 1:
            back = (1 - room) / (_HELD_BACK * limiter.refill + singles.rate(now))
            return Wait(min(now + max(1.0, back), limiter.ends), "closed", "reserved")
        if crowded:
            return _AFTER_ANSWER
        self._share_begins()
        due = self._share.due(room / max(1.0, until - (_LAST if clients == 1.0 else 0.0)))
        return None if due <= now else Wait(due, "paced", "shared" if clients > 1 else "reserved")

    @property
    def _may_be_plenty(self) -> bool:
        """Whether more than half is left, while it is not certain that the limiter is a window."""
        return not self._limiter.is_window and self._limiter.remaining > self._limiter.limit / 2

    def _reopens_at(self) -> float:
        ends = self._limiter.ends
        if self._reopens[0] != ends:
            least, more = LATER
            self._reopens = ends, ends + least + self._uniform(0.0, more)
        return self._reopens[1]

    def _look(self, wait: Wait | None, now: float, in_flight: int) -> Wait | None:
        """Wait for the end of a window; while it may be a bucket, only until that would have refilled a little."""
        limiter = self._limiter
        if wait is None or wait is _AFTER_ANSWER or limiter.is_window:
            return wait
        if in_flight:
            return _AFTER_ANSWER
        if self._looks[0] != limiter.ends:
            self._looks = limiter.ends, 0
        looks_at = limiter.seen_at + _LOOK * 2.0 ** self._looks[1] / limiter.refill
        if looks_at >= min(wait.until, limiter.ends):
            return wait
        self._looking = looks_at <= now
        return None if self._looking else Wait(looks_at, "closed", "probing")
