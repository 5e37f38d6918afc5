"""Which directory files are of: who read which server, as a digest from which neither can be told.

What identifies a client is the id that the server gave it (`Client-ID`, the `client_id` of OAuth2), not its secret:
secrets are rotated, and the directory stays the same. An auth object of the caller's may say its id as `client_id`, or
show one in its headers; where it does neither, all that they show identifies itself: another token is another reader.

The digest is salted, and slow to make: who has the files can neither compare them with those of another folder nor try
out a list of ids. Knows no file.
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
from .credentials import ApiKey, Secret

_VERSION = "meitner_aio 1"
"""Of what is digested, and how."""
_ROUNDS = 20_000
"""Of PBKDF2: some ten milliseconds, once for an export."""
_CLIENT = "client-id"
_PORTS = {"https": ":443", "http": ":80"}


class Stamp(Struct, frozen=True):
    """What files say of the directory that they are of."""

    server: str
    """Its address without a scheme, for people; the sandbox's size and seed."""
    salt: str
    digest: str
    """Of the server and who read it. Both in hexadecimal digits."""


class Reader:
    """Who reads which server. Shows the server, and nobody who."""

    __slots__ = ("_digests", "_salt", "_who", "place", "server")

    def __init__(self, place: str, who: Mapping[str, str], how: str = "") -> None:
        """Read the server at `place`, an address for people, as the one whom these headers prove.

        What is read in another way, as under pseudonyms, is of another directory: `how` is said beside its address.
        """
        self.place = place
        self.server = place + how
        self._who = Secret(_named(self.server, who), "auth")
        self._salt = os.urandom(16).hex()
        self._digests: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Reader of {self.server}>"

    def stamp(self, salt: str | None = None) -> Stamp:
        """Return the stamp of files that this reader writes; with a new salt unless one is given. Blocking."""
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
    """Return one word for a server and the headers that prove a reader: of these the id, if there is one."""
    shown = {name.lower(): value for name, value in who.items()}
    shown = {_CLIENT: shown[_CLIENT]} if _CLIENT in shown else shown
    return msgspec.json.encode([_VERSION, server, sorted(shown.items())]).hex()


async def reader_of(meitner: object, how: str = "") -> Reader | None:
    """Return who reads what through a client; None for an object that is none and so cannot tell.

    Asks an auth object of the caller's for its headers, and nobody else for anything.
    """
    core: Any = getattr(meitner, "_core", None)
    if core is None:
        return None
    auth, place = core.auth, address(core.place)
    if isinstance(auth, ApiKey | BearerAuth):
        return Reader(place, {_CLIENT: auth.secrets()[0].reveal()}, how)
    named = getattr(auth, "client_id", None)
    return Reader(place, {_CLIENT: named} if isinstance(named, str) else await auth.headers(), how)


def address(place: str) -> str:
    """Return the URL of a server as people say it: without what is the same for all."""
    parts = urlsplit(place)
    if parts.scheme not in _PORTS:
        return place
    return parts.netloc.lower().removesuffix(_PORTS[parts.scheme]) + parts.path.rstrip("/")


def check(reader: Reader | None, stamp: Stamp | None, what: str, remedy: str = "export to another folder") -> None:
    """Raise `MeitnerError`, which ends with the `remedy`, unless `what` has the stamp of the directory read. Blocking.

    What does not say which directory it is of can only be gone on with by who does not say it either.
    """
    if reader is None and stamp is None:
        return
    if reader is None or stamp is None:
        known = "another one" if stamp is None else f"another one than {stamp.server}"
        problem = f"{what} may be of another directory: nothing says that it is not {known}"
    elif reader.wrote(stamp):
        return
    elif reader.server == stamp.server:
        problem = f"{what} was read from {stamp.server} with other credentials, so it may be another organisation's"
    else:
        problem = f"{what} is of another directory: it was read from {stamp.server}, and this is {reader.server}"
    raise MeitnerError(f"{problem}; two directories do not mix, {remedy}")
