"""One check of seconds: everything that takes a number of them refuses the same values by the same errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from meitner_aio._wire.validation import check_seconds
from meitner_aio.changes._asked import Asked, asked
from meitner_aio.sandbox import Sandbox


def _changes(**given: Any) -> Asked:
    return asked(None, None, **{"lookback": 600.0, "grades_every": None, "retention": 86_400.0} | given)


LEASTS: dict[str, tuple[Callable[[Any], object], float]] = {
    "lookback of changes": (lambda seconds: _changes(lookback=seconds), 0),
    "grades_every of changes": (lambda seconds: _changes(grades_every=seconds), 0),
    "retention of changes": (lambda seconds: _changes(retention=seconds), 0),
    "latency of a sandbox": (lambda seconds: Sandbox(students=0, latency=seconds), 0),
    "token_lifetime of a sandbox": (lambda seconds: Sandbox(students=0, token_lifetime=seconds), 1),
    "window of a sandbox": (lambda seconds: Sandbox(students=0, window=seconds), 1),
}


@pytest.mark.parametrize(("take", "least"), LEASTS.values(), ids=LEASTS)
def test_what_is_no_number_of_seconds_is_refused(take: Callable[[Any], object], least: float) -> None:
    """Text and truths by their type, numbers by their size; the least is allowed, as an int and as a float."""
    for value in (True, "60", b"60", [60]):
        with pytest.raises(TypeError, match="must be a number of seconds"):
            take(value)
    for value in (least - 0.5, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="must be a finite number of seconds, at least"):
            take(value)
    take(least)
    take(float(least))


def test_the_message_names_what_is_wrong_and_no_value() -> None:
    """A value in the wrong place may be personal data."""
    with pytest.raises(TypeError, match=r"^lookback must be a number of seconds, not str$"):
        check_seconds("lookback", "20150101-1234")
    with pytest.raises(ValueError, match=r"^window must be a finite number of seconds, at least 1$"):
        check_seconds("window", -20150101, 1)


def test_changes_take_a_timedelta_too() -> None:
    """It is a number of seconds."""
    assert _changes(retention=timedelta(days=30)).retention == 30 * 86_400.0
