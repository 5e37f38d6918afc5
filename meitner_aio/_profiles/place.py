"""Where the file is. Reads the environment only.

The folder is the one that platformdirs names, which a test compares; the client has no need of that library.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def config_path() -> Path:
    """Return where the file is: in the folder that the platform has for the settings of a user.

    That is `$XDG_CONFIG_HOME` where it is absolute, else `~/.config`, on macOS `~/Library/Application Support`; on
    Windows `%LOCALAPPDATA%`.
    """
    return _folder() / "meitner-aio" / "config.toml"


def _folder() -> Path:
    if sys.platform == "win32":
        known = os.environ.get("LOCALAPPDATA")
        return Path(known) if known else Path.home() / "AppData" / "Local"
    named = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if named.is_absolute():  # a relative one means nothing (XDG Base Directory Specification, "Basics")
        return named
    return _home() / ("Library/Application Support" if sys.platform == "darwin" else ".config")


def _home() -> Path:
    import pwd

    home = Path(os.environ.get("HOME", ""))
    return home if home.is_absolute() else Path(pwd.getpwuid(os.getuid()).pw_dir)
