"""Reads config.toml: one table for each profile. Never prompts, never writes. Blocking."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from .._pipeline.environment import ADDRESS, SECRET, SECRET_FILE
from .._runtime.private_files import open_private
from .._wire.validation import strip_traceback, suggestion
from ..errors import ConfigurationError
from .place import config_path
from .profile import USUAL, Profile

P = TypeVar("P", bound=Profile)

OTHERS = 0o077
"""The permissions of everybody but the owner."""

_OF_ONE = (
    *("MEITNER_CLIENT_CREDENTIALS", "MEITNER_CLIENT_ID", SECRET, SECRET_FILE),
    *("MEITNER_TOKEN_URL", ADDRESS),
)


class ProfileError(ValueError):
    """A name, a file or a setting that cannot be meant: `ConfigurationError` in Python, `UsageError` in a shell."""


def load(name: str | None, kind: type[P]) -> P:
    """Return a profile of the file: the one named, else `default`, else, where there is none, an empty one.

    Raises `ProfileError` for a name, a file or a setting that cannot be meant, and `ConfigurationError` for a file that
    others may have written, secrets or not: it decides where those of the environment go. So does a file that holds
    secrets and that others may read. A link of your own is followed, and the file that it leads to judged.
    """
    profiles = load_all(kind, name)
    return profiles.get(USUAL, kind()) if name is None else named(name, profiles)


def named(name: str, profiles: Mapping[str, P]) -> P:
    """Return one of the profiles; `ProfileError` tells the names that there are."""
    if name not in profiles:
        there = f"; there is {', '.join(profiles)}" if profiles else ", which has none"
        raise ProfileError(f"there is no profile {name!r} in {config_path()}{suggestion(name, profiles) or there}")
    return profiles[name]


@strip_traceback
def load_all(kind: type[P], name: str | None = None) -> dict[str, P]:
    """Return every profile of the file by name, in its order; none where there is no file, unless one is named.

    Raises what `load` raises.
    """
    path = config_path()
    try:
        with os.fdopen(open_private(path, follow=True), "rb") as file:
            profiles = read(file.read(), kind, path)
            mode = os.fstat(file.fileno()).st_mode
    except (FileNotFoundError, NotADirectoryError):
        if name is None:
            return {}
        raise ProfileError(f"there is no profile {name!r}: {path} does not exist") from None
    if sys.platform != "win32" and mode & OTHERS and any(one.holds_secrets() for one in profiles.values()):
        raise ConfigurationError(f"others may read {path}, which holds secrets: chmod 600 {path}")
    return profiles


def of_one(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that are set and belong to one directory; they beat what is in a profile."""
    return [name for name in _OF_ONE if environment.get(name)]


def refuse_shared(environment: Mapping[str, str]) -> None:
    """Raise `ProfileError` where the environment has what belongs to one directory: it would go to every profile."""
    known = of_one(environment)
    if known:
        raise ProfileError(f"{', '.join(known)} would be that of every profile: unset it, and keep it in its profile")


@strip_traceback
def read(data: bytes, kind: type[P], path: Path) -> dict[str, P]:
    """Return the profiles that the content of a file has; raises `ProfileError`, which shows none of it."""
    try:
        tables = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise ProfileError(f"{path} is not TOML: {_place(broken)}") from None
    return {key: _profile(key, table, kind, path) for key, table in tables.items()}


def _place(broken: Exception) -> str:
    """Return where a file is broken; what stands there may be a secret."""
    text = str(broken)
    return text[text.rindex("(") :].strip("()") if text.endswith(")") else "it must be UTF-8"


def _profile(name: str, table: object, kind: type[P], path: Path) -> P:
    if not isinstance(table, dict):
        raise ProfileError(f"{path}: {name} stands in no profile; put it below a line such as [{USUAL}]")
    known = kind.__struct_fields__
    for key in cast("dict[str, object]", table):
        if key not in known:
            raise ProfileError(f"{path}: profile {name} has an unknown setting {key!r}{suggestion(key, known)}")
    try:
        profile = msgspec.convert(table, kind)
    except msgspec.ValidationError as wrong:
        raise ProfileError(f"{path}: profile {name}: {_without_values(wrong, kind)}") from None
    if profile.keyring and profile.client_secret:
        raise ProfileError(f"{path}: profile {name} has a client_secret, and a keyring that holds it: remove one")
    return profile


def _without_values(wrong: msgspec.ValidationError, kind: type[Profile]) -> str:
    """Return what a setting must be and which one it is."""
    what, _, where = str(wrong).partition(" - at `$.")
    key = where.rstrip("`")
    choices = _choices(get_type_hints(kind).get(key))
    if choices:
        return f"{key} must be one of {', '.join(choices)}"
    return f"{key}: {what[:1].lower()}{what[1:]}"


def _choices(hint: object) -> list[str]:
    """Return the words that a setting may be; none where it is free."""
    return [str(word) for part in get_args(hint) if get_origin(part) is Literal for word in get_args(part)]
