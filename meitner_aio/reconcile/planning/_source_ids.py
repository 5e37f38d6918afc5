"""Ids in another system for records whose rows have none: made for creates and claims, so that they are known again."""

from __future__ import annotations

import re
import uuid

_PREFIX = "reconcile-"
_MADE = re.compile(f"{_PREFIX}[0-9a-f]{{32}}")


def made_source_id() -> str:
    """Return a new one."""
    return f"{_PREFIX}{uuid.uuid4().hex}"


def is_made(source_id: str | None) -> bool:
    """Whether a source id was made here, and so says nothing of anybody."""
    return source_id is not None and _MADE.fullmatch(source_id) is not None
