"""Checks the destination of an export before anything is read. Touches nothing."""

from __future__ import annotations

import os
from io import TextIOBase
from pathlib import Path
from typing import Any, cast

from .destinations._address import STORES, Address, scheme_of

_FILES = frozenset({".ndjson", ".csv", ".parquet", ".sqlite", ".json", ".jsonl", ".db", ".xlsx"})


def check_place(to: object) -> None:
    """Raise `ValueError` for a text or path that names neither a folder nor an object store.

    `TypeError` for what is neither that nor a stream, `NotADirectoryError` when a file is in the place of a folder
    above it.
    """
    if not isinstance(to, (str, os.PathLike)):
        if not hasattr(to, "write") or isinstance(to, TextIOBase):
            raise TypeError(f"to must be a folder or a binary stream, not {type(to).__name__}")
        return
    path: Any = os.fspath(cast("os.PathLike[Any]", to))
    if not isinstance(path, str) or not path:
        raise ValueError("to must be the name of a folder")
    scheme = scheme_of(path)
    if scheme is not None:
        _check_address(path, scheme, text=isinstance(to, str))
        return
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


def _check_address(path: str, scheme: str, *, text: bool) -> None:
    # What is refused is not repeated: somebody's password may be in it.
    if scheme not in STORES:
        raise ValueError(
            f"{scheme}:// is not supported: files go to a folder of this machine, or to s3://, gs:// or az://"
        )
    if not text:
        raise ValueError(f"{scheme}:// takes the address as a str: a Path drops one of its slashes")
    Address.of(path)
