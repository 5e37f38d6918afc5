"""One thing that a doctor looked at."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Check(Struct, frozen=True):
    """One thing that was looked at; `hint` is what to do about it."""

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    hint: str = ""
