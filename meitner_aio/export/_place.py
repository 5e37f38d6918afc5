"""Checks the destination of an export before anything is read. Touches nothing."""

from __future__ import annotations

import os
import re
from io import TextIOBase
from pathlib import Path
from typing import Any, cast

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""Two characters at least: one is a drive. One slash, because a `Path` makes one of two."""
_FILES = frozenset({".ndjson", ".csv", ".parquet", ".sqlite", ".json", ".jsonl", ".db", ".xlsx"})


def check_place(to: object) -> None:
    """Raise `ValueError` for a text or path that names no folder, `TypeError` for what is neither that nor a stream.

    `NotADirectoryError` when a file is in the place of a folder above it.
    """
    if not isinstance(to, (str, os.PathLike)):
        if not hasattr(to, "write") or isinstance(to, TextIOBase):
            raise TypeError(f"to must be a folder or a binary stream, not {type(to).__name__}")
        return
    path: Any = os.fspath(cast("os.PathLike[Any]", to))
    if not isinstance(path, str) or not path:
        raise ValueError("to must be the name of a folder")
    if _SCHEME.match(path):
        raise ValueError(
            f"{path} is an address, and files go to a folder of this machine; {path.split(':')[0]}:// is not supported"
        )
    folder = Path(path)
    if folder.is_dir():
        return
    if folder.exists() or folder.is_symlink():
        raise ValueError(f"{path} is a file, and each resource gets a file of its own: name a folder for them")
    if folder.suffix.lower() in _FILES:
        raise ValueError(
            f"{path} looks like a file, and each resource gets a file of its own: name a folder, such as "
            f"{folder.with_suffix('')}; the format says which kind of files"
        )
    file = next((parent for parent in folder.parents if parent.exists() and not parent.is_dir()), None)
    if file is not None:
        raise NotADirectoryError(f"{path} cannot be a folder, for {file} is a file")
