"""Writes in the background: queued at once, sent with bounded concurrency, and all accounted for at the end."""

from ._outbox import Failure, Outbox

__all__ = ["Failure", "Outbox"]
