"""From what a caller named to a destination."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..._runtime.threads import threaded
from ..._wire.validation import check_whole
from ...errors import ConfigurationError
from .._files import Folder
from ._address import Address, address_of, spool_of
from ._destination import Destination, LocalDestination
from ._spooled import newest

if TYPE_CHECKING:
    from ._object_store import ObjectStore


def check_store_options(to: object, *, spool: object, keep_runs: int | None) -> None:
    """Raise `TypeError` or `ValueError` for options of an object store that cannot be meant."""
    if keep_runs is not None:
        check_whole("keep_runs", keep_runs, 1)
    if address_of(to) is None and (spool is not None or keep_runs is not None):
        raise ValueError("spool and keep_runs (--spool, --keep-runs) are for s3://, gs:// and az://: leave them out")


@asynccontextmanager
async def opened(
    to: str | os.PathLike[str],
    *,
    spool: str | os.PathLike[str] | None,
    resume: bool,
    keep_runs: int | None,
    replace: bool,
) -> AsyncGenerator[Destination]:
    """Hold the destination of an export until the block ends."""
    address = address_of(to)
    if address is None:
        yield LocalDestination(Folder(to))
        return
    store = await threaded(_store, address)
    from ._store_run import StoreRun

    place = spool_of(address, spool)
    async with StoreRun(store, place, resume=resume, keep_runs=keep_runs, replace=replace) as run:
        yield run


def _store(address: Address) -> ObjectStore:
    try:
        from ._object_store import ObjectStore
    except ModuleNotFoundError as missing:
        if missing.name != "obstore":
            raise
        raise ConfigurationError(
            f'{address.store} needs obstore, which is not installed: pip install "meitner-aio[object]"'
        ) from None
    return ObjectStore(address)


def local_folder(to: str | os.PathLike[str], spool: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of this machine that holds what an interrupted export to a destination had read."""
    address = address_of(to)
    if address is None:
        return Path(to)
    place = spool_of(address, spool)
    kept = newest(place)
    return place if kept is None else kept.path
