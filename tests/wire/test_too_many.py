"""What a 429 means, as a table."""

from __future__ import annotations

import math
from typing import Any

import pytest

from meitner_aio._wire.headers import LONGEST_WAIT, limit_headers
from meitner_aio._wire.messages import Headers
from meitner_aio._wire.too_many import BUSY, TooMany, is_beyond, what_429_means

NOW = 1_763_726_340.0
RESET = {"RateLimit-Reset": str(int(NOW) + 60)}
TOLD = RESET | {"RateLimit-Limit": "1500"}
UNKNOWN = {"known": False, "remaining": 0, "assumed": True}
KNOWN = {"known": True, "remaining": 700, "assumed": True}


@pytest.mark.parametrize(
    ("headers", "believed", "meant"),
    [
        (TOLD | {"RateLimit-Remaining": "0"}, KNOWN | {"remaining": 0}, TooMany(True, None, True)),
        (TOLD | {"RateLimit-Remaining": "1"}, KNOWN | {"remaining": 1}, TooMany(True, None, True)),
        (TOLD | {"RateLimit-Remaining": "9"}, KNOWN | {"remaining": 9}, TooMany(False, None, True)),
        (TOLD | {"RateLimit-Remaining": "0", "Retry-After": "7"}, KNOWN | {"remaining": 0}, TooMany(True, 7.0, False)),
        (RESET, KNOWN, TooMany(True, 60.0, True)),
        ({"Retry-After": "7"}, KNOWN, TooMany(False, 7.0, False)),
        (RESET | {"Retry-After": "7"}, KNOWN, TooMany(False, 7.0, False)),
        ({}, KNOWN, TooMany(False, None, True)),
        ({}, UNKNOWN, TooMany(True, None, True)),
        ({}, UNKNOWN | {"assumed": False}, TooMany(False, None, True)),
        ({"Retry-After": "7"}, UNKNOWN, TooMany(True, 7.0, False)),
        ({"Retry-After": "99999"}, UNKNOWN, TooMany(True, LONGEST_WAIT, False)),
    ],
)
def test_what_a_429_means(headers: dict[str, str], believed: dict[str, Any], meant: TooMany) -> None:
    """By its headers first, then by what is known of the quota, then by what is assumed."""
    assert what_429_means(limit_headers(Headers(headers)), now=NOW, **believed) == meant


@pytest.mark.parametrize(
    ("wait", "patience", "limited", "beyond"),
    [
        (None, 0.0, True, False),
        (1.0, 0.0, True, True),
        (1.0, 0.0, False, False),
        (BUSY, 0.0, False, False),
        (BUSY + 1, 0.0, False, True),
        (BUSY + 1, 90.0, False, False),
        (LONGEST_WAIT, math.inf, True, False),
    ],
)
def test_what_is_beyond_patience(wait: float | None, patience: float, limited: bool, beyond: bool) -> None:
    """A server that is busy is waited for a minute, whatever the patience for the quota."""
    assert is_beyond(wait, patience, limited=limited) is beyond
