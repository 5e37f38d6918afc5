"""Which outbox a client gives: with a journal or without, and what becomes of writes where there is no server."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from .._pipeline.identity import Reader, reader_of
from ..errors import ConfigurationError
from ._dropping import DroppingOutbox
from ._kept import KeptOutbox
from ._outbox import Outbox

if TYPE_CHECKING:
    from .._operations.members import Client
    from .._pipeline.core import Core
    from .._pipeline.logging import Log


def outbox_of(
    client: Client, core: Core, log: Log, *, concurrency: int, maxsize: int, journal: str | os.PathLike[str] | None
) -> Outbox:
    """Return an outbox for a client, which tells `log` when it begins to drop writes."""
    if journal is not None:
        if not core.online and core.meant is None:
            raise ConfigurationError(
                "offline: a journal is for one directory, and nothing says which: give the client the base_url or "
                "server and the client_credentials that will send it, or a profile; no secret is needed"
            )
        reader = partial(reader_of, client) if core.online else partial(_given, core.meant)
        return KeptOutbox(journal, client, reader, online=core.online, concurrency=concurrency, maxsize=maxsize)
    if core.online:
        return Outbox(concurrency=concurrency, maxsize=maxsize)
    return DroppingOutbox(concurrency=concurrency, maxsize=maxsize, warn=partial(_warn_once, core, log))


async def _given(reader: Reader | None) -> Reader | None:
    return reader


def _warn_once(core: Core, log: Log) -> None:
    if not core.dropped:
        core.dropped = True
        log.warning("offline: writes of outboxes are dropped, this one and those that follow; journal= keeps them")
