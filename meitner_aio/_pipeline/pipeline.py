"""A pipeline: stages in order, composed into one `Send`. `Core.pipeline` lists those of a client."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .._wire.messages import Send

Stage = Callable[[Send], Send]
"""Makes a `Send` that does its own part of the work and leaves the rest to the next one."""


def pipeline(stages: Sequence[Stage | None], transport: Send) -> Send:
    """Return a `Send` through the stages, the first outermost; None is skipped."""
    send = transport
    for stage in reversed(stages):
        send = send if stage is None else stage(send)
    return send
