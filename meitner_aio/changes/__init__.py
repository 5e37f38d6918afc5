"""What changed in a directory since a checkpoint: records as they are now, then deletions."""

from __future__ import annotations

from ._change import Change, Deleted, Upserted

__all__ = ["Change", "Deleted", "Upserted"]
