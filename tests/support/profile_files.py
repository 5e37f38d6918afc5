"""The file of profiles, as tests write it; the fixture `own_settings` says where."""

from __future__ import annotations

from pathlib import Path

from meitner_aio._profiles.place import config_path


def settings(*tables: str) -> Path:
    """Write the file, for its owner alone, and return its path."""
    path = config_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text("\n".join(tables), encoding="utf-8")
    path.chmod(0o600)
    return path
