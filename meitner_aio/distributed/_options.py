"""Options of an export, checked and made fit to travel: plain values alone, paths as the caller's folder makes them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from ..export import address_of, check_options
from ..tenants._export import PublicOptions
from ..tenants._visits import nobody

_PATHS = frozenset({"pseudonymise", "spool"})


def check_order(names: tuple[str, ...], to: object, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the destination and the options for workers; `TypeError` or `ValueError` for what cannot be meant.

    A relative path is one of the caller's working folder: that of a worker is anywhere.
    """
    if not isinstance(to, str | os.PathLike):
        raise TypeError(f"to must be a folder or the address of an object store, not {type(to).__name__}")
    if "where" in options:
        raise TypeError(
            "where is not sent to a cluster, whose users could read the conditions, which may be personal: "
            "meitner_aio.tenants.export_many takes it"
        )
    unknown = sorted(options.keys() - PublicOptions.__annotations__.keys())
    if unknown:
        raise TypeError(f"there is no option {', '.join(unknown)}")
    plain: dict[str, Any] = {name: _plain(name, value) for name, value in options.items()}
    place = cast("str | os.PathLike[str]", to)
    check_options(nobody(), names, to=place, **plain)
    return _placed(place), plain


def _plain(name: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float | str | datetime):
        return _placed(value) if isinstance(value, str) and name in _PATHS else value
    if name in _PATHS and isinstance(value, os.PathLike):
        return _placed(cast("os.PathLike[str]", value))
    if name == "fields" and isinstance(value, list | tuple):
        return tuple(map(str, cast("Iterable[object]", value)))
    raise TypeError(f"{name} cannot be a {type(value).__name__}: only plain values are sent to a cluster")


def _placed(to: str | os.PathLike[str]) -> str:
    return os.fspath(to) if address_of(to) is not None else str(Path(to).absolute())
