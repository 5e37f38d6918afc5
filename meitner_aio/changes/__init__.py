"""What changed in a directory since a checkpoint: records as they are now, then deletions."""

from __future__ import annotations

from ._change import Change, Deleted, Upserted
from ._changes import Changes
from ._run import Count

__all__ = ["Change", "Changes", "Count", "Deleted", "Upserted"]
