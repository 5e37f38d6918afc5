"""Writes in the background: queued at once, sent with bounded concurrency, and all accounted for at the end."""

from ._dropping import DroppingOutbox
from ._kept import KeptOutbox
from ._opening import outbox_of
from ._outbox import Failure, Outbox

__all__ = ["DroppingOutbox", "Failure", "KeptOutbox", "Outbox", "outbox_of"]
