"""The profiles of config.toml as the command line takes them: with the settings of its options."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from .._profiles import file
from .._profiles.file import ProfileError
from .._profiles.place import config_path
from .._profiles.profile import USUAL
from .._profiles.profile import Profile as Kept
from ..export import Format
from ._exit import UsageError

__all__ = ["USUAL", "Profile", "config_path", "load", "load_all", "usable"]


class Profile(Kept, frozen=True, kw_only=True):
    """What a profile may settle of a command."""

    format: Format | None = None


@contextmanager
def usable() -> Generator[None]:
    """Turn what is wrong with a name, a file or a setting into `UsageError`."""
    try:
        yield
    except ProfileError as wrong:
        raise UsageError(str(wrong)) from None


def load(name: str | None) -> Profile:
    """Return a profile of the file; `UsageError` for what cannot be meant, else what `file.load` raises."""
    with usable():
        return file.load(name, Profile)


def load_all() -> dict[str, Profile]:
    """Return every profile of the file by name, in its order; raises what `load` raises."""
    with usable():
        return file.load_all(Profile)
