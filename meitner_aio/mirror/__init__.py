"""A directory in a file: an SQLite database that is kept in agreement with the directory, run by run."""

from __future__ import annotations

from ._checked import check_sync
from ._feed import FeedEntry
from ._mirror import Mirror
from ._names import kept_names
from ._reading import MirrorState
from ._report import Count, SyncReport, VerifyReport

__all__ = ["Count", "FeedEntry", "Mirror", "MirrorState", "SyncReport", "VerifyReport", "check_sync", "kept_names"]
