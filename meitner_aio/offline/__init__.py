"""An exported folder in the place of the directory, for `Meitner(offline=...)`."""

from __future__ import annotations

from ._folder import Snapshot

__all__ = ["Snapshot"]
