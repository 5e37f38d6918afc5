"""Which limiter a server has, read from the RateLimit headers of answers to requests made one after another. Pure.

A window gives nothing back before it ends; a bucket gives back all the time. What RateLimit-Reset means under a bucket
is seen from how it moves. Others who spend the same quota can hide what comes back, and never add to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise

from msgspec import Struct

from .._runtime.amounts import duration
from .._wire.headers import number, reset_epoch, server_time
from ._asking import Answer
from ._findings import Determined, Finding, Undetermined, settled

HOUR = 3600.0

LONGEST_PAUSE = 10.0
"""Seconds that a probe waits at most for a bucket to give something back."""

_SHOWN = 3.0
"""Requests that should come back during the pause: fewer could be spent by others unnoticed."""

_ENOUGH = 1.5
"""Requests that a bucket would have given back, so that nothing was given back by something else."""

_SAME = 1.5
"""Seconds by which one instant may differ when it is said again, as whole seconds from now."""

_DATE = 1.5
"""Seconds by which the server's time is known: Date has whole ones."""

_NAMES = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


class Sample(Struct, frozen=True):
    """The headers of one answer."""

    number: int
    """How many requests were made before."""
    at: float
    """Seconds of a monotonic clock."""
    limit: int
    remaining: int
    reset: float | None
    """Seconds since 1970."""
    now: float | None
    """The server's time, in seconds since 1970."""


def samples(answers: Iterable[Answer]) -> list[Sample]:
    """Return what successes said of the quota. A refusal may have cost nothing: it is left out."""
    good = [(position, answer) for position, answer in enumerate(answers) if answer.good]
    ahead = [date - answer.arrived for _, answer in good if (date := server_time(answer.headers)) is not None]
    # The latest Date for its time of arrival is the one that was cut least.
    made = (_sample(position, answer.headers, answer.arrived, max(ahead, default=None)) for position, answer in good)
    return [sample for sample in made if sample is not None]


def _sample(position: int, headers: Mapping[str, str], at: float, ahead: float | None) -> Sample | None:
    limit, remaining = number(headers, _NAMES[0]), number(headers, _NAMES[1])
    if not limit or remaining is None:
        return None
    now = None if ahead is None else at + ahead
    return Sample(position, at, limit, remaining, reset_epoch(headers, now or 0.0), now)


def _ended(series: Sequence[Sample]) -> int:
    """Return the index of the first answer after a window ended, or after the top of an hour; 0 where none did."""
    for index in range(len(series) - 1, 0, -1):
        before, after = series[index - 1], series[index]
        if before.reset is None or after.reset is None or after.now is None:
            continue
        # In a bucket an instant may pass, too: that at which the next request comes back.
        if before.reset <= after.now + _DATE and after.reset - before.reset > max(60.0, 2 * HOUR / after.limit):
            return index
    return 0


def pause(answers: Iterable[Answer]) -> float:
    """Return how long to wait before two more requests that show whether something comes back; 0.0: no need to."""
    series = samples(answers)
    if not series or _rise(series) or (_moved(series) and _meanings(series) in (["full"], ["next token"])):
        return 0.0
    refill = series[-1].limit / HOUR
    wait = min(LONGEST_PAUSE, _SHOWN / refill)
    return wait if wait * refill >= _ENOUGH else 0.0


def limiter(answers: Sequence[Answer]) -> list[Finding]:
    """Return the findings on limiter, RateLimit-Reset and whether headers lag behind."""
    series = samples(answers)
    kind = settled("limiter", partial(_kind, series) if series else partial(_silent, answers))
    reset = settled("reset", partial(_reset, series[_ended(series) :], kind.value, answers))
    return [kind, reset, settled("headers", partial(_lag, series))]


def _silent(answers: Sequence[Answer]) -> Determined:
    if any(name in answer.headers for answer in answers for name in _NAMES):
        raise Undetermined("the RateLimit headers cannot be read")
    if not any(answer.good for answer in answers):
        raise Undetermined("the server did not answer")
    return Determined("none", "none to be seen: answers have no RateLimit headers")


def _kind(series: Sequence[Sample]) -> Determined:
    limit, ended = series[-1].limit, _ended(series)
    if ended and _refilled(series[ended - 1], series[ended]):
        return Determined("window", f"a window of {limit:,}: it was renewed while the probe ran")
    series = series[ended:]
    if rise := _rise(series):
        return Determined("bucket", f"a bucket of {limit:,} that refills: {rise[0]:,} came back in {duration(rise[1])}")
    if _moved(series) and (_nothing_came_back(series) or not _meanings(series)):
        raise Undetermined(f"{limit:,} an hour; RateLimit-Reset moves, yet nothing comes back: a sliding window?")
    if _moved(series):
        return Determined("bucket", f"a bucket of {limit:,}: RateLimit-Reset moves with every answer")
    if _nothing_came_back(series):
        return Determined("window", f"a window of {limit:,}: nothing comes back before it ends")
    raise Undetermined(_hidden(series))


def _refilled(before: Sample, after: Sample) -> bool:
    """Whether more came back at once than a bucket gives: the top of an hour gives it nothing."""
    return after.remaining - before.remaining > 2 + 2 * (after.at - before.at) * before.limit / HOUR


def _hidden(series: Sequence[Sample]) -> str:
    """Return why a bucket and a window look the same."""
    limit, pairs = series[-1].limit, list(pairwise(series))
    if limit / HOUR * LONGEST_PAUSE < _ENOUGH:
        return f"a bucket of {limit:,} gives one back in {duration(HOUR / limit)}: longer than a probe waits"
    if any(before.remaining - after.remaining > after.number - before.number for before, after in pairs):
        return f"{limit:,} an hour; others spend them too, which hides whether any come back"
    if not any(before.remaining - after.remaining == 1 for before, after in pairs):
        return f"{limit:,} an hour; what the probe asks is not counted, or comes back at once"
    return f"{limit:,} an hour; the probe ended before it could see whether any come back"


def _rise(series: Sequence[Sample]) -> tuple[int, float] | None:
    """Return the most that came back between two answers, and within which time: no window does that."""
    counted = any(before.remaining - after.remaining == 1 for before, after in pairwise(series))
    rises = [
        (after.remaining - before.remaining + 1, after.at - before.at)
        for before, after in pairwise(series)
        if after.remaining > before.remaining
        or (after.remaining == before.remaining and counted and _long(before, after))
    ]
    return max(rises, default=None)


def _long(before: Sample, after: Sample) -> bool:
    """Whether a bucket would have given something back between two answers."""
    return (after.at - before.at) * after.limit / HOUR >= _ENOUGH


def _nothing_came_back(series: Sequence[Sample]) -> bool:
    return any(before.remaining - after.remaining == 1 and _long(before, after) for before, after in pairwise(series))


def _moved(series: Sequence[Sample]) -> bool:
    instants = [one.reset for one in series if one.reset is not None]
    return bool(instants) and max(instants) - min(instants) > _SAME


Meaning = Callable[[Sample, float, float], bool]
"""Whether an answer's Reset, so many seconds from the server's now, can mean this at so many requests a second."""

_MEANINGS: dict[str, tuple[str, Meaning]] = {
    "full": (
        "when the bucket will be full again",
        # What remains is a whole number, of before or after this request.
        lambda one, ahead, refill: (
            (one.limit - one.remaining - 1) / refill - _DATE
            <= ahead
            <= (one.limit - one.remaining + 1) / refill + _DATE
        ),
    ),
    "next token": (
        "when the next request comes back",
        lambda _one, ahead, refill: -_DATE <= ahead <= 1 / refill + _DATE,
    ),
    "one hour": ("one hour from each answer", lambda _one, ahead, _refill: abs(ahead - HOUR) <= _DATE),
}


def _meanings(series: Sequence[Sample]) -> list[str]:
    """Return the meanings of a Reset that moves which fit every answer."""
    dated = [(one, one.reset - one.now) for one in series if one.reset is not None and one.now is not None]
    if not dated:
        return []
    return [
        name for name, (_, fits) in _MEANINGS.items() if all(fits(one, ahead, one.limit / HOUR) for one, ahead in dated)
    ]


def _reset(series: Sequence[Sample], kind: str | None, answers: Sequence[Answer]) -> Determined:
    if not series or series[-1].reset is None:
        raise Undetermined("RateLimit-Reset is missing, or no number")
    # Of a large bucket, the instant at which it will be full moves by less than can be seen.
    if _moved(series) or (kind == "bucket" and _meanings(series)):
        return _moving(series, _spelled(answers))
    on_the_hour = abs((series[-1].reset + HOUR / 2) % HOUR - HOUR / 2) <= _SAME
    if kind == "bucket" and on_the_hour:
        return Determined("top of the hour", f"the full hour, which has no meaning for a bucket{_spelled(answers)}")
    if kind != "window":
        raise Undetermined(f"it stands still{', at the top of the hour' if on_the_hour else ''}")
    return Determined(
        "end of the window", f"the end of the window{_when(series[-1], on_the_hour=on_the_hour)}{_spelled(answers)}"
    )


def _moving(series: Sequence[Sample], spelled: str) -> Determined:
    meanings = _meanings(series)
    if len(meanings) == 1:
        return Determined(meanings[0], _MEANINGS[meanings[0]][0] + spelled)
    if meanings:
        raise Undetermined(" or ".join(_MEANINGS[one][0] for one in meanings) + ": all fit what was seen")
    raise Undetermined(
        "it moves, and answers have no Date" if series[-1].now is None else "it moves, in no way that is known"
    )


def _minutes(seconds: float) -> str:
    return duration(60 * max(1, round(seconds / 60)))


def _when(last: Sample, *, on_the_hour: bool) -> str:
    if on_the_hour:
        return ", at the top of the hour"
    return "" if last.now is None or last.reset is None else f", in {_minutes(last.reset - last.now)}"


def _spelled(answers: Sequence[Answer]) -> str:
    """Return how the instant is written, where that is not what the API documents."""
    written = next((said for answer in reversed(answers) if (said := number(answer.headers, _NAMES[2]))), 0)
    if written > 10**11:  # milliseconds since 1970
        return ""
    return ", in seconds since 1970" if written >= 10**9 else ", as seconds from now"


def _lag(series: Sequence[Sample]) -> Determined:
    if not series:
        raise Undetermined("without RateLimit headers there is nothing to tell")
    most = max(series, key=lambda one: one.remaining - one.limit)
    if most.remaining >= most.limit:
        return Determined("one late", f"one late: an answer said that all {most.limit:,} were left")
    if _late_rise(series):
        return Determined("one late", "one late: what came back shows in the answer after the next")
    if most.remaining == most.limit - 1:
        return Determined("current", "RateLimit-Remaining counts the request that is answered")
    raise Undetermined("unknown: only a full quota shows whether they lag by one")


def _late_rise(series: Sequence[Sample]) -> bool:
    """Whether an answer after a pause shows no refill, and the next one, at once, several requests of it."""
    return any(
        second.remaining < first.remaining
        and _long(first, second)
        and third.remaining > second.remaining
        and not _long(second, third)
        for first, second, third in zip(series, series[1:], series[2:], strict=False)
    )
