"""Removes the frames from errors: their locals hold rows, which a crash report could show. Pure."""

from __future__ import annotations

from typing import cast


def without_frames(error: BaseException) -> None:
    """Remove the tracebacks of an error and of its causes, contexts and group members."""
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
