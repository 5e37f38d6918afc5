"""Errors without the frames they came through, whose locals hold rows: no crash report may show those. Pure."""

from __future__ import annotations

from typing import cast


def without_frames(error: BaseException) -> None:
    """Take the frames from an error and from all that led to it: causes, contexts, and the members of a group."""
    left, seen = [error], set[int]()
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = None
        left += [other for other in (one.__cause__, one.__context__) if other is not None]
        if isinstance(one, BaseExceptionGroup):
            left += cast("BaseExceptionGroup[BaseException]", one).exceptions
