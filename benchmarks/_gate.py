"""Judges counts of instructions against those of before. Pure: counts nothing, reads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

LIMIT = 0.05
"""A load may take so much more than before; counts of the same code differ by less than 0.005."""
RENEW = ".ci/instructions --baseline"


class Baseline(msgspec.Struct):
    """Instructions by load, and what they depend on besides the package."""

    environment: dict[str, str]
    counts: dict[str, int]


class Verdict(NamedTuple):
    """What is wrong, as sentences, and what is only worth knowing."""

    faults: list[str]
    hints: list[str]


def differences(now: Mapping[str, str], then: Mapping[str, str]) -> list[str]:
    """Return what is not as it was, as words."""
    names = [name for name in {**then, **now} if now.get(name) != then.get(name)]
    return [f"{name} (then {then.get(name, 'none')}, now {now.get(name, 'none')})" for name in names]


def judged(now: Mapping[str, int], then: Mapping[str, int], before: str) -> Verdict:
    """Compare counts that were made alike; `before` says what `then` is."""
    faults = [*_missing(now, then)]
    hints: list[str] = []
    for name in now:
        if name not in then:
            continue
        more = now[name] / then[name] - 1
        what = f"{name}: {now[name]:,} instructions, {abs(more):.1%} {'more' if more > 0 else 'fewer'} than {before}"
        if now[name] > then[name] * (1 + LIMIT):
            faults.append(f"{what}; {LIMIT:.0%} are allowed. If that is worth it, {RENEW} takes a new baseline.")
        elif now[name] < then[name] * (1 - LIMIT):
            hints.append(f"{what}: {RENEW} makes the gain the new measure.")
    return Verdict(faults, hints)


def _missing(now: Mapping[str, int], then: Mapping[str, int]) -> Iterator[str]:
    for name in now.keys() ^ then.keys():
        where = "the baseline" if name in now else "what was counted"
        yield f"{name} is not in {where}: {RENEW} takes a new one."


def compared(now: Mapping[str, int], then: Mapping[str, int]) -> str:
    """Return both counts of each load, and how they differ, as lines."""
    width = max(map(len, now))
    return "\n".join(
        f"{name:{width}} {count:15,} {then[name]:15,} {count / then[name] - 1:+8.2%}"
        if name in then
        else f"{name:{width}} {count:15,}"
        for name, count in now.items()
    )
