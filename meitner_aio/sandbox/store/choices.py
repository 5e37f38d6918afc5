"""Checks of what a user chose for a sandbox. Each raises `ValueError`, naming the choice and what it may be."""

from __future__ import annotations

from typing import get_args


def check_choice(name: str, value: object, choices: object) -> None:
    """Refuse what is none of the values of a `Literal`."""
    if value not in get_args(choices):
        raise ValueError(f"{name} must be one of {', '.join(get_args(choices))}, not {value!r}")
