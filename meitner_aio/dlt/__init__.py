"""The directory as a source of dlt, which merges it, and later what changed in it, into a database or a warehouse."""

from __future__ import annotations

from ._source import directory

__all__ = ["directory"]
