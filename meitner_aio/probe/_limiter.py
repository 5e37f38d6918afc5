"""Which limiter a server has, read from the RateLimit headers of answers to requests made one after another. Pure.

A window gives nothing back before it ends; a bucket gives back all the time. What RateLimit-Reset means under a bucket
is told by how it moves. Others who spend the same quota can hide what comes back, and never add to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise

from msgspec import Struct

from .._wire.headers import number, reset_epoch, server_time
from ._asking import Answer
from ._findings import Finding, Told, Untold, settled

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
"""Seconds by which the server's time is known: Date tells whole ones."""

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


def _ended(told: Sequence[Sample]) -> int:
    """Return the index of the first answer after a window ended, or after the top of an hour; 0 where none did."""
    for index in range(len(told) - 1, 0, -1):
        before, after = told[index - 1], told[index]
        if before.reset is None or after.reset is None or after.now is None:
            continue
        # In a bucket an instant may pass, too: that at which the next request comes back.
        if before.reset <= after.now + _DATE and after.reset - before.reset > max(60.0, 2 * HOUR / after.limit):
            return index
    return 0


def pause(answers: Iterable[Answer]) -> float:
    """Return how long to wait before two more requests that show whether something comes back; 0.0: no need to."""
    told = samples(answers)
    if not told or _rise(told) or (_moved(told) and _meanings(told) in (["full"], ["next token"])):
        return 0.0
    refill = told[-1].limit / HOUR
    wait = min(LONGEST_PAUSE, _SHOWN / refill)
    return wait if wait * refill >= _ENOUGH else 0.0


def limiter(answers: Sequence[Answer]) -> list[Finding]:
    """Return the findings on limiter, RateLimit-Reset and whether headers lag behind."""
    told = samples(answers)
    kind = settled("limiter", partial(_kind, told) if told else partial(_silent, answers))
    reset = settled("reset", partial(_reset, told[_ended(told) :], kind.value, answers))
    return [kind, reset, settled("headers", partial(_lag, told))]


def _silent(answers: Sequence[Answer]) -> Told:
    if any(name in answer.headers for answer in answers for name in _NAMES):
        raise Untold("the RateLimit headers cannot be read")
    if not any(answer.good for answer in answers):
        raise Untold("there was no answer to go by")
    return Told("none", "none to be seen: answers have no RateLimit headers")


def _kind(told: Sequence[Sample]) -> Told:
    limit, ended = told[-1].limit, _ended(told)
    if ended and _refilled(told[ended - 1], told[ended]):
        return Told("window", f"a window of {limit:,}: it was renewed while the probe ran")
    told = told[ended:]
    if rise := _rise(told):
        seconds = f"{rise[1]:.0f} s" if rise[1] >= 1 else "less than a second"
        return Told("bucket", f"a bucket of {limit:,} that refills: {rise[0]:,} came back in {seconds}")
    if _moved(told) and (_nothing_came_back(told) or not _meanings(told)):
        raise Untold(f"{limit:,} an hour; RateLimit-Reset moves, yet nothing comes back: a sliding window?")
    if _moved(told):
        return Told("bucket", f"a bucket of {limit:,}: RateLimit-Reset moves with every answer")
    if _nothing_came_back(told):
        return Told("window", f"a window of {limit:,}: nothing comes back before it ends")
    raise Untold(_hidden(told))


def _refilled(before: Sample, after: Sample) -> bool:
    """Whether more came back at once than a bucket gives: the top of an hour gives it nothing."""
    return after.remaining - before.remaining > 2 + 2 * (after.at - before.at) * before.limit / HOUR


def _hidden(told: Sequence[Sample]) -> str:
    """Return why a bucket and a window look the same."""
    limit, pairs = told[-1].limit, list(pairwise(told))
    if limit / HOUR * LONGEST_PAUSE < _ENOUGH:
        return f"a bucket of {limit:,} gives one back in {HOUR / limit:.0f} s: longer than a probe waits"
    if any(before.remaining - after.remaining > after.number - before.number for before, after in pairs):
        return f"{limit:,} an hour; others spend them too, which hides whether any come back"
    if not any(before.remaining - after.remaining == 1 for before, after in pairs):
        return f"{limit:,} an hour; what the probe asks is not counted, or comes back at once"
    return f"{limit:,} an hour; the probe ended before it could see whether any come back"


def _rise(told: Sequence[Sample]) -> tuple[int, float] | None:
    """Return the most that came back between two answers, and within which time: no window does that."""
    counted = any(before.remaining - after.remaining == 1 for before, after in pairwise(told))
    rises = [
        (after.remaining - before.remaining + 1, after.at - before.at)
        for before, after in pairwise(told)
        if after.remaining > before.remaining
        or (after.remaining == before.remaining and counted and _long(before, after))
    ]
    return max(rises, default=None)


def _long(before: Sample, after: Sample) -> bool:
    """Whether a bucket would have given something back between two answers."""
    return (after.at - before.at) * after.limit / HOUR >= _ENOUGH


def _nothing_came_back(told: Sequence[Sample]) -> bool:
    return any(before.remaining - after.remaining == 1 and _long(before, after) for before, after in pairwise(told))


def _moved(told: Sequence[Sample]) -> bool:
    instants = [one.reset for one in told if one.reset is not None]
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


def _meanings(told: Sequence[Sample]) -> list[str]:
    """Return the meanings of a Reset that moves which fit every answer."""
    dated = [(one, one.reset - one.now) for one in told if one.reset is not None and one.now is not None]
    if not dated:
        return []
    return [
        name for name, (_, fits) in _MEANINGS.items() if all(fits(one, ahead, one.limit / HOUR) for one, ahead in dated)
    ]


def _reset(told: Sequence[Sample], kind: str | None, answers: Sequence[Answer]) -> Told:
    if not told or told[-1].reset is None:
        raise Untold("RateLimit-Reset is missing, or no number")
    # Of a large bucket, the instant at which it will be full moves by less than can be seen.
    if _moved(told) or (kind == "bucket" and _meanings(told)):
        return _moving(told, _spelled(answers))
    on_the_hour = abs((told[-1].reset + HOUR / 2) % HOUR - HOUR / 2) <= _SAME
    if kind == "bucket" and on_the_hour:
        return Told("top of the hour", f"the top of the hour, which means nothing to a bucket{_spelled(answers)}")
    if kind != "window":
        raise Untold(f"it stands still{', at the top of the hour' if on_the_hour else ''}")
    return Told("end of the window", f"the end of the window{_when(told[-1], on_the_hour)}{_spelled(answers)}")


def _moving(told: Sequence[Sample], spelled: str) -> Told:
    meanings = _meanings(told)
    if len(meanings) == 1:
        return Told(meanings[0], _MEANINGS[meanings[0]][0] + spelled)
    if meanings:
        raise Untold(" or ".join(_MEANINGS[one][0] for one in meanings) + ": all fit what was seen")
    raise Untold("it moves, and answers have no Date" if told[-1].now is None else "it moves, in no way that is known")


def _when(last: Sample, on_the_hour: bool) -> str:  # noqa: FBT001 - a fact
    if on_the_hour:
        return ", at the top of the hour"
    return "" if last.now is None or last.reset is None else f", in {max(0.0, last.reset - last.now) / 60:.0f} min"


def _spelled(answers: Sequence[Answer]) -> str:
    """Return how the instant is written, where that is not what the API documents."""
    written = next((said for answer in reversed(answers) if (said := number(answer.headers, _NAMES[2]))), 0)
    if written > 10**11:  # milliseconds since 1970
        return ""
    return ", in seconds since 1970" if written >= 10**9 else ", as seconds from now"


def _lag(told: Sequence[Sample]) -> Told:
    if not told:
        raise Untold("without RateLimit headers there is nothing to tell")
    most = max(told, key=lambda one: one.remaining - one.limit)
    if most.remaining >= most.limit:
        return Told("one late", f"one late: an answer said that all {most.limit:,} were left")
    if _late_rise(told):
        return Told("one late", "one late: what came back was told by the answer after the next")
    if most.remaining == most.limit - 1:
        return Told("current", "RateLimit-Remaining counts the request that is answered")
    raise Untold("only a full quota shows whether they are one late")


def _late_rise(told: Sequence[Sample]) -> bool:
    """Whether an answer after a pause told of none that came back, and the next, at once, of several."""
    return any(
        second.remaining < first.remaining
        and _long(first, second)
        and third.remaining > second.remaining
        and not _long(second, third)
        for first, second, third in zip(told, told[1:], told[2:], strict=False)
    )
