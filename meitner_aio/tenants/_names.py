"""Names of tenants, each of which is the name of a folder. Pure."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

_LONGEST = 100
"""Characters: with what lies in it, a path stays below the shortest limit that systems have."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})
"""What Windows takes for devices, with any suffix."""


def check_name(name: object) -> str:
    """Return a name that every system takes for a folder: letters, digits, and `.`, `-`, `_` and blanks within it.

    Raises `TypeError` for what is no text, `ValueError` for any other name.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a tenant is a text, not {type(name).__name__}")
    plain = name.replace("-", "").replace("_", "").replace(".", "").replace(" ", "")
    ends = name[:1] + name[-1:]
    if not plain.isalnum() or "." in ends or " " in ends or ".." in name or len(name) > _LONGEST:
        raise ValueError(
            f"{name!r} cannot be the name of a tenant, which names its folder: up to {_LONGEST} letters and digits, "
            "and within it - _ . and blanks"
        )
    if name.partition(".")[0].lower() in _DEVICES:
        raise ValueError(f"{name!r} cannot be the name of a tenant: on Windows it is a device")
    return name


def check_names(names: Iterable[object]) -> None:
    """Raise `ValueError` for a name that is none, for two that some disk takes for one, and for no name at all."""
    seen: dict[str, str] = {}
    for given in names:
        name = check_name(given)
        other = seen.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if other is not name:
            raise ValueError(f"{other!r} and {name!r} would share a folder where case does not count")
    if not seen:
        raise ValueError("there is no tenant: name at least one")


def place_of(to: str | os.PathLike[str], name: str) -> str | Path:
    """Return the folder of a tenant below `to`; below an address, its prefix."""
    return f"{os.fspath(to).rstrip('/')}/{name}" if is_address(to) else Path(to, name)


def is_address(to: str | os.PathLike[str]) -> bool:
    """Whether `to` is the address of an object store, and no folder."""
    return _SCHEME.match(os.fspath(to)) is not None
