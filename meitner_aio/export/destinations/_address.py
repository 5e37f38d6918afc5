"""Addresses of object stores, and the local folder in which an export to one is made. Pure."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

STORES = {"s3": "S3", "gs": "Google Cloud Storage", "az": "Azure Blob Storage"}
"""Schemes, and whose they are."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
"""Two characters at least: one is a drive. One slash, because a `Path` makes one of two."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]")
_SEGMENT = re.compile(r"[A-Za-z0-9!_.*'()=,+-]+")
"""Characters that every store takes as they are, and no shell or URL reads otherwise."""


class Address(NamedTuple):
    """A place in an object store: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`."""

    scheme: str
    bucket: str
    """Of Azure, the container; the account is in the environment."""
    prefix: str
    """Without slashes around it; empty for the whole bucket."""

    @classmethod
    def of(cls, text: str) -> Address:
        """Return the address; `ValueError`, which repeats none of it, for what is none."""
        scheme, _, rest = text.partition("://")
        bucket, _, prefix = rest.partition("/")
        if scheme not in STORES or not _BUCKET.fullmatch(bucket):
            raise ValueError(
                "an address is s3://bucket/prefix, gs://bucket/prefix or az://container/prefix, as a str, and nothing "
                "else: credentials come from the variables or the profile of the store"
            )
        prefix = prefix.removesuffix("/")
        segments = prefix.split("/") if prefix else []
        if not all(_SEGMENT.fullmatch(one) and one not in (".", "..") for one in segments):
            raise ValueError(
                f"the prefix after {scheme}://{bucket}/ takes names of ASCII letters, digits and !_.*'()=,+- with one "
                "slash between them"
            )
        return cls(scheme, bucket, prefix)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")

    @property
    def store(self) -> str:
        """The name of the store, for people."""
        return STORES[self.scheme]

    @property
    def folder(self) -> str:
        """A name of a folder that no other address has."""
        return f"{self.scheme}-{self.bucket}-{sha256(str(self).encode()).hexdigest()[:12]}"


def scheme_of(to: str) -> str | None:
    """Return the scheme of what looks like an address; None for the name of a folder."""
    found = _SCHEME.match(to)
    return None if found is None else found[1]


def address_of(to: object) -> Address | None:
    """Return the address that a destination is; None for a folder or a stream. `ValueError` for no good one."""
    return Address.of(to) if isinstance(to, str) and scheme_of(to) in STORES else None


def spool_of(address: Address, spool: str | os.PathLike[str] | None) -> Path:
    """Return the folder in which exports to an address are made: in `spool`, else where programs keep their state."""
    return (_usual(os.environ) if spool is None else Path(spool)) / address.folder


def _usual(environment: Mapping[str, str]) -> Path:
    if sys.platform == "win32":
        base, name = environment.get("LOCALAPPDATA"), "AppData/Local"
    else:
        base, name = environment.get("XDG_STATE_HOME"), ".local/state"
    usual = Path(base) if base and Path(base).is_absolute() else Path.home() / name
    return usual / "meitner-aio" / "exports"
