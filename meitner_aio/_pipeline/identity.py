"""Identifies the directory that files were read from: a digest of server and client id that reveals neither.

A client is identified by the id that the server gave it (`Client-ID`, the `client_id` of OAuth2), not by its secret:
secrets are rotated, and the directory stays the same. An auth object of the caller's may have its id as `client_id`, or
in its headers; if it has neither, all its headers identify it, so that another token is another reader.

The digest is salted and slow to compute: someone who has the files can neither compare them with those of another
folder nor try out a list of ids. Reads and writes no file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from hmac import compare_digest
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from ..errors import MeitnerError
from .authentication import BearerAuth
from .credentials import ApiKey, Auth, OAuth2, Secret

_VERSION = "meitner_aio 1"
"""Version of what is digested, and how."""
_ROUNDS = 20_000
"""Rounds of PBKDF2: about ten milliseconds, once for an export."""
_CLIENT = "client-id"
_PORTS = {"https": ":443", "http": ":80"}


class Stamp(Struct, frozen=True):
    """What files record of the directory that they were read from."""

    server: str
    """Its address without a scheme, for people; size and seed of a sandbox."""
    salt: str
    digest: str
    """Digest of server and reader. Both are hexadecimal."""


class Reader:
    """A reader of one server. Its `repr` shows the server, never the client id."""

    __slots__ = ("_digests", "_salt", "_who", "place", "server")

    def __init__(self, place: str, who: Mapping[str, str], how: str = "") -> None:
        """Read the server at `place`, an address for people, as the client that the headers `who` identify.

        Data changed on reading, as by pseudonyms, is of another directory: `how` is added to the address.
        """
        self.place = place
        self.server = place + how
        self._who = Secret(_named(self.server, who), "auth")
        self._salt = os.urandom(16).hex()
        self._digests: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Reader of {self.server}>"

    def stamp(self, salt: str | None = None) -> Stamp:
        """Return the stamp of files that this reader writes, with its own salt unless one is given. Blocking."""
        salt = salt or self._salt
        return Stamp(self.server, salt, self._digest(salt))

    def wrote(self, stamp: Stamp) -> bool:
        """Whether files with this stamp are of the same directory. Blocking."""
        return compare_digest(self._digest(stamp.salt).encode(), stamp.digest.encode())

    def _digest(self, salt: str) -> str:
        if salt not in self._digests:
            from hashlib import pbkdf2_hmac

            digest = pbkdf2_hmac("sha256", self._who.reveal().encode(), salt.encode(), _ROUNDS)
            self._digests[salt] = digest.hex()
        return self._digests[salt]


def _named(server: str, who: Mapping[str, str]) -> str:
    """Return one text for a server and a reader's headers; of these only the id, if there is one."""
    shown = {name.lower(): value for name, value in who.items()}
    shown = {_CLIENT: shown[_CLIENT]} if _CLIENT in shown else shown
    return msgspec.json.encode([_VERSION, server, sorted(shown.items())]).hex()


async def reader_of(meitner: object, how: str = "") -> Reader | None:
    """Return the reader behind a client; None for an object that is no client.

    Calls `headers()` of an auth object of the caller's that has no `client_id`; sends nothing.
    """
    core: Any = getattr(meitner, "_core", None)
    return None if core is None else Reader(address(core.place), await _who(core.auth), how)


async def quota_key(place: str, auth: Auth) -> str:
    """Return the name of the quota of these credentials: 64 hexadecimal digits, equal on every host. Blocking.

    Its salt is fixed, because hosts cannot agree on one; it is as slow to compute as the others.
    """
    from hashlib import pbkdf2_hmac

    named = _named(address(place), await _who(auth))
    return pbkdf2_hmac("sha256", named.encode(), b"meitner_aio quota 1", _ROUNDS).hex()


async def _who(auth: Auth) -> Mapping[str, str]:
    """Return the headers that identify a client."""
    named = _named_by(auth)
    return await auth.headers() if named is None else {_CLIENT: named}


def _named_by(auth: Auth | OAuth2) -> str | None:
    if isinstance(auth, ApiKey | BearerAuth):
        return auth.secrets()[0].reveal()
    named: object = auth.client_id.reveal() if isinstance(auth, OAuth2) else getattr(auth, "client_id", None)
    return named if isinstance(named, str) else None


def reader_at(place: str, auth: Auth | OAuth2) -> Reader | None:
    """Return who would read a server with these credentials; None where only headers, which are not asked for, tell."""
    named = _named_by(auth)
    return None if named is None else Reader(address(place), {_CLIENT: named})


def address(place: str) -> str:
    """Return the URL of a server for people: without scheme and default port."""
    parts = urlsplit(place)
    if parts.scheme not in _PORTS:
        return place
    return parts.netloc.lower().removesuffix(_PORTS[parts.scheme]) + parts.path.rstrip("/")


def check(reader: Reader | None, stamp: Stamp | None, what: str, remedy: str = "export to another folder") -> None:
    """Raise `MeitnerError`, which ends with the `remedy`, unless `what` has the stamp of the directory read. Blocking.

    Files without a stamp can only be continued by a client without an identity.
    """
    if reader is None and stamp is None:
        return
    if reader is None or stamp is None:
        silent = f"{what} does not" if stamp is None else f"{what} is of {stamp.server}, and this client does not"
        problem = f"{silent} say which directory it is of"
    elif reader.wrote(stamp):
        return
    elif reader.server == stamp.server:
        problem = f"{what} was read from {stamp.server} with other credentials, so it may be another organisation's"
    else:
        problem = f"{what} is of another directory: it was read from {stamp.server}, and this is {reader.server}"
    raise MeitnerError(f"{problem}; two directories do not mix, {remedy}")
