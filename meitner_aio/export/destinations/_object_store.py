"""Objects in S3, Google Cloud Storage and Azure Blob Storage. The only module that imports obstore.

Every error is a `DestinationError` without a trace of the library's own, which quotes what the store said.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, TypedDict, TypeVar, cast
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import AzureStore, GCSStore, S3Store

from ..._pipeline.settings import is_loopback
from ..._runtime.private_files import open_private
from ...errors import DestinationError, DestinationReason
from ..formats.written import Stopped
from ._address import Address
from ._aws_profile import Keys, has_credentials, profile_keys
from ._refusals import Kind, is_no_bucket, meaning, no_credentials

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode, UpdateVersion
    from obstore.store import ClientConfig, RetryConfig, S3Config

T = TypeVar("T")
_Store: TypeAlias = S3Store | GCSStore | AzureStore

PART = 8 << 20
"""Bytes of a part of an upload: S3 takes 10,000 parts at most, of at least five MiB."""
_AT_ONCE = 3
"""Parts on their way at the same time; memory holds one more."""
_TRIES = 2
"""Uploads of a file: one whose last answer was lost cannot be completed again, only repeated."""
_LARGEST = 16 << 20
"""Bytes of a manifest at most."""
RETRY: RetryConfig = {
    "max_retries": 8,
    "retry_timeout": timedelta(minutes=2),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=20), "base": 2},
}
"""Of a request whose answer is a 5xx or does not come."""
CLIENT: ClientConfig = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(minutes=2)}

_ROLE_SECONDS = 2.0
"""Seconds for a connection to what knows the role of a machine, which is on the same host."""
_VARIABLES = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
"""What the names of each store's own variables begin with."""


class _Listing(Protocol):
    """What is called of obstore to list: its own types name a library that is not needed."""

    def list(self, store: _Store, prefix: str) -> AsyncIterator[Sequence[ObjectMeta]]: ...
    async def list_with_delimiter_async(self, store: _Store) -> _Folders: ...


class _Folders(TypedDict):
    common_prefixes: Sequence[str]


_listing = cast("_Listing", obstore)


class Found(NamedTuple):
    """A small object, and which version of it that is."""

    data: bytes
    version: dict[str, str]
    """What makes a later put replace this one and no other."""
    changed: datetime
    """When it was put there, by the store's clock."""


class Object(NamedTuple):
    """An object of a listing."""

    path: str
    changed: datetime


class ObjectStore:
    """The objects below an address. Paths are relative to it."""

    def __init__(self, address: Address) -> None:
        """Find credentials; nothing is sent to the store. `DestinationError` where there are none. Blocking."""
        self.address = address
        if address.scheme == "s3" and not has_credentials(os.environ) and not _has_role(os.environ):
            raise no_credentials(address)
        failed: DestinationError
        try:
            self._store = _opened(address)
        except (exceptions.BaseError, ValueError, OSError):  # its text may quote what is wrong with a key
            failed = no_credentials(address)
        else:
            return
        raise failed

    def __repr__(self) -> str:
        return f"<ObjectStore at {self.address}>"

    async def read(self, path: str) -> Found | None:
        """Return a small object; None when there is none."""
        return await self._called(self._read(path), "read")

    async def _read(self, path: str) -> Found | None:
        try:
            got = await obstore.get_async(self._store, path)
        except FileNotFoundError as missing:
            if is_no_bucket(str(missing)):
                raise
            return None
        meta = got.meta
        if meta["size"] > _LARGEST:
            raise DestinationError(f"{path} in {self.address} is no manifest: it has {meta['size']:,} bytes")
        known = {"e_tag": meta["e_tag"], "version": meta["version"]}
        version = {name: value for name, value in known.items() if value}  # stores refuse a version of None
        return Found(bytes(await got.bytes_async()), version, meta["last_modified"])

    async def put(self, path: str, data: bytes) -> None:
        """Put a small object, whatever was there."""
        await self._called(obstore.put_async(self._store, path, data, use_multipart=False), "write")

    async def swap(self, path: str, data: bytes, replaced: dict[str, str] | None) -> bool:
        """Put a small object in place of one version of it, None for where there is none. Whether that was there."""
        mode: PutMode = "create" if replaced is None else cast("UpdateVersion", replaced)
        try:
            await self._called(obstore.put_async(self._store, path, data, mode=mode, use_multipart=False), "write")
        except _ConflictError:
            return False
        return True

    async def upload(self, path: str, file: Path, stop: threading.Event) -> None:
        """Put a file in parts, whole or not at all. Once `stop` is set it is aborted, and `Stopped` raised.

        Not to be cancelled: an upload that is cancelled while a part travels leaves its parts in the store.
        """
        for attempt in range(1, _TRIES + 1):
            try:
                size = await self._called(self._upload(path, file, stop), "write")
                found = await self._called(obstore.head_async(self._store, path), "read")
            except DestinationError as error:
                if error.reason is not DestinationReason.UNAVAILABLE or attempt == _TRIES:
                    raise
            else:
                if found["size"] == size:
                    return
        raise DestinationError(
            f"{self.address.store} keeps {path} in {self.address} with another size than it was sent: run again",
            reason=DestinationReason.UNAVAILABLE,
        )

    async def _upload(self, path: str, file: Path, stop: threading.Event) -> int:
        size = 0
        with os.fdopen(await asyncio.to_thread(open_private, file), "rb", buffering=0) as source:
            async with obstore.open_writer_async(
                self._store, path, buffer_size=PART, max_concurrency=_AT_ONCE
            ) as writer:
                while data := await asyncio.to_thread(source.read, PART):
                    if stop.is_set():
                        raise Stopped
                    await writer.write(data)
                    size += len(data)
                if stop.is_set():
                    raise Stopped
        return size

    async def has(self, path: str, size: int) -> bool:
        """Whether there is an object of so many bytes."""
        try:
            return (await self._called(obstore.head_async(self._store, path), "read"))["size"] == size
        except _MissingError:
            return False

    async def folders(self) -> list[str]:
        """Return the names before the first slash of the paths of all objects."""
        found = await self._called(_listing.list_with_delimiter_async(self._store), "list")
        return sorted(one.rstrip("/").rpartition("/")[2] for one in found["common_prefixes"])

    async def objects(self, folder: str) -> list[Object]:
        """Return what is below a folder, at any depth."""
        return await self._called(self._objects(folder), "list")

    async def _objects(self, folder: str) -> list[Object]:
        pages = [page async for page in _listing.list(self._store, folder)]
        return [Object(one["path"], one["last_modified"]) for page in pages for one in page]

    async def remove(self, paths: Sequence[str]) -> None:
        """Remove objects; one that is gone already is no error."""
        if paths:
            try:
                await self._called(obstore.delete_async(self._store, list(paths)), "delete")
            except _MissingError:
                return

    async def _called(self, call: Awaitable[T], doing: str) -> T:
        """Return what a call returns, or raise what its error means; the original is dropped, and with it its text."""
        try:
            return await call
        except (exceptions.BaseError, OSError, ValueError) as error:
            kind = _kind(error)
            failed = meaning(self.address, kind, str(error), doing)
        if failed.reason is not DestinationReason.NO_BUCKET and kind in _TOLD_APART:
            failed = _TOLD_APART[kind](failed.message, reason=failed.reason)
        raise failed


class _MissingError(DestinationError):
    """There is no such object."""


class _ConflictError(DestinationError):
    """An object is there that was not to be replaced, or no longer the one that was."""


_TOLD_APART = {Kind.MISSING: _MissingError, Kind.CONFLICT: _ConflictError}


def _kind(error: Exception) -> Kind:
    for kind, errors in _KINDS.items():
        if isinstance(error, errors):
            return kind
    return Kind.OTHER


_KINDS: dict[Kind, tuple[type[Exception], ...]] = {
    Kind.MISSING: (FileNotFoundError,),
    Kind.CONFLICT: (exceptions.AlreadyExistsError, exceptions.PreconditionError),
    Kind.UNAUTHENTICATED: (exceptions.UnauthenticatedError,),
    Kind.FORBIDDEN: (exceptions.PermissionDeniedError,),
    Kind.FAILED: (exceptions.GenericError, exceptions.JoinError, OSError),
}
"""The first that fits: a missing object is an `OSError`, too."""


def _opened(address: Address) -> _Store:
    prefix = address.prefix or None
    keys = profile_keys(os.environ) if address.scheme == "s3" else Keys()
    client: ClientConfig = {**CLIENT, "allow_http": _is_on_this_machine(address, os.environ, keys.get("endpoint"))}
    match address.scheme:
        case "s3":
            config = cast("S3Config", keys)
            return S3Store(address.bucket, prefix=prefix, config=config, client_options=client, retry_config=RETRY)
        case "gs":
            return GCSStore(address.bucket, prefix=prefix, client_options=client, retry_config=RETRY)
        case _:
            return AzureStore(address.bucket, prefix=prefix, client_options=client, retry_config=RETRY)


def _is_on_this_machine(address: Address, environment: Mapping[str, str], endpoint: str | None) -> bool:
    """Whether a store is reached without TLS, on this machine. `DestinationError` for one that is elsewhere."""
    named = {
        name: value
        for name, value in environment.items()
        if name.startswith(_VARIABLES[address.scheme]) and "ENDPOINT" in name and "METADATA" not in name
    }
    named |= {"endpoint_url of the profile": endpoint} if endpoint else {}
    plain = {name: urlsplit(value).hostname or "" for name, value in named.items() if value.lower().startswith("http:")}
    for name, host in plain.items():
        if not is_loopback(host):
            raise DestinationError(
                f"{name} must be https: what is exported to {address} is personal and would travel in the clear"
            )
    return bool(plain)


def _has_role(environment: Mapping[str, str]) -> bool:
    """Whether there is something to ask for the role of this machine: else that takes minutes to find out."""
    place = urlsplit(environment.get("AWS_METADATA_ENDPOINT") or "http://169.254.169.254")
    try:
        socket.create_connection((place.hostname, place.port or 80), timeout=_ROLE_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True
