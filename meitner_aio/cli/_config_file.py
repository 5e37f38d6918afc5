"""Writes config.toml: whole or not at all, for its owner alone. Blocking.

A link is not followed: secrets would be written to wherever it leads, perhaps to a folder that is shared or kept in a
repository. What others may read is taken from them; what others may write is refused, since they may have written it.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .._profiles.file import OTHERS, read
from .._runtime.durable import put_private
from .._runtime.locks import hold
from .._runtime.private_files import check_makeable, make_folder, open_private
from .._wire.validation import strip_traceback
from ..errors import ConfigurationError
from ._profile import Profile, config_path, usable
from ._toml_tables import UnusualTableError, with_settings, without_table

CONNECTION = frozenset(
    {"server", "base_url", "client_credentials", "client_secret", "client_id", "token_url", "keyring"}
)
"""The settings that a login replaces; all others of a profile stay."""

_PATIENCE = 30.0
"""Seconds for others to change a setting: each takes a moment."""


def kept() -> dict[str, Profile]:
    """Return the profiles by name, also those that others may read; raises what writing would."""
    path = config_path()
    check_makeable(path.parent)
    text, _ = _content(path)
    with usable():
        return read(_bytes(text), Profile, path)


def put(name: str, settings: Mapping[str, str]) -> list[str]:
    """Let a profile have the `CONNECTION` that `settings` are; return what was open to others, and is no more."""
    return _changed(lambda text: with_settings(text, name, settings, CONNECTION), name)


def remove(name: str) -> list[str]:
    """Remove a profile; return what was open to others, and is no more."""
    return _changed(lambda text: without_table(text, name), name)


@strip_traceback
def _changed(change: Callable[[str], str], name: str) -> list[str]:
    path = config_path()
    folder = make_folder(path.parent)
    with _locked(folder):
        text, open_file = _content(path)
        with usable():
            read(_bytes(text), Profile, path)
        try:
            new = change(text)
        except UnusualTableError:
            raise ConfigurationError(
                f"{path}: profile {name} has a form that cannot be changed here safely: edit the file yourself"
            ) from None
        mended = _closed(folder)
        put_private(path, new.encode())
    return [*mended, *([f"{path} could be read by others; now only you can read it (0600)."] if open_file else [])]


def _content(path: Path) -> tuple[str, bool]:
    """Return what is in the file, nothing where there is none, and whether others may read it."""
    if path.is_symlink():
        raise ConfigurationError(
            f"{path} is a link, which could lead a secret to another place: replace it by the file itself"
        )
    try:
        with os.fdopen(open_private(path), "rb") as file:
            others = sys.platform != "win32" and bool(os.fstat(file.fileno()).st_mode & OTHERS)
            return file.read().decode(errors="surrogateescape"), others
    except (FileNotFoundError, NotADirectoryError):
        return "", False


def _bytes(text: str) -> bytes:
    """Return what a file has, also where it is not UTF-8: who reads it says so, without what it has."""
    return text.encode(errors="surrogateescape")


def _closed(folder: Path) -> list[str]:
    """Take the folder from everybody but its owner; return what was done."""
    found = folder.stat()
    if sys.platform == "win32" or not found.st_mode & OTHERS or found.st_uid != os.geteuid():
        return []
    folder.chmod(stat.S_IRWXU)
    return [f"{folder} was open to others; now it is open to you only (0700)."]


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """Let one process at a time change a file of the folder: of two logins, none is lost."""
    with ExitStack() as undone:
        handle = None
        if sys.platform != "win32":
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            undone.callback(os.close, handle)
        busy = f"another command is changing the settings in {folder}"
        undone.callback(hold(handle, folder / ".settings.lock", busy, patience=_PATIENCE))
        yield
