"""One checkpoint of several, so that one run follows what was read in different ones. Pure; blocking."""

from __future__ import annotations

from collections.abc import Sequence

from ..changes._checkpoint import Checkpoint, Digest, parse


def joined(texts: Sequence[str]) -> str | None:
    """Return the checkpoint from which all can be followed that these are of, without a gap; None where there is none.

    They are of the same directory, and of different resources.
    """
    parsed = [checkpoint for checkpoint in map(parse, texts) if checkpoint is not None]
    if len(parsed) < len(texts):
        return None
    first = min(parsed, key=lambda checkpoint: checkpoint.at)
    digests: dict[str, Digest] = {}
    for checkpoint in parsed:
        digests |= checkpoint.digests
    return Checkpoint(
        at=first.at,
        ahead=max(checkpoint.ahead for checkpoint in parsed),
        salt=first.salt,
        digest=first.digest,
        resources=tuple(name for checkpoint in parsed for name in checkpoint.resources),
        digests=digests,
    ).text()
