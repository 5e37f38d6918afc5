"""Where a worker finds the credentials of a tenant: the name of the place, and never a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias, cast

from msgspec import Struct

from .._pipeline.environment import SECRET, SECRET_FILE
from .._profiles.connection import check_profiles
from .._profiles.profile import Profile
from ..client import Meitner
from ..errors import ConfigurationError
from ..tenants._names import check_name, check_names

_PREFIX = re.compile(r"[A-Z][A-Z0-9_]{0,99}")


class FromProfile(Struct, frozen=True):
    """The profile of this name in the `config.toml` of the user that the worker runs as."""

    profile: str

    def check(self) -> None:
        """Raise `TypeError` or `ValueError` for what is no name of a profile."""
        try:
            check_name(self.profile)
        except ValueError:  # what it says repeats the text, which may be a secret in the wrong place
            raise ValueError("FromProfile takes the name of a profile: letters and digits, and in it - _ .") from None

    def client(self) -> Meitner:
        """Return a client; `ConfigurationError` where this machine has no such profile, or not all of it.

        Also where the environment has what belongs to one directory: it would go to every profile.
        """
        check_profiles([self.profile])
        return Meitner(profile=self.profile)


class FromEnvironment(Struct, frozen=True):
    """Variables of the worker that begin with a prefix: `SOLNA` is `SOLNA_CLIENT_SECRET` and so on.

    The rest of the names is that of `MEITNER_CLIENT_CREDENTIALS`, `MEITNER_CLIENT_ID`, `MEITNER_CLIENT_SECRET` (or
    `MEITNER_CLIENT_SECRET_FILE`), `MEITNER_TOKEN_URL` and `MEITNER_BASE_URL`.
    """

    prefix: str = "MEITNER"

    def check(self) -> None:
        """Raise `ValueError` for what no name of a variable begins with."""
        prefix = cast("object", self.prefix)
        if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
            raise ValueError("FromEnvironment takes what the names of variables begin with: A-Z, 0-9 and _")

    def client(self) -> Meitner:
        """Return a client; `ConfigurationError` where the environment has no credentials."""
        kept = Profile(
            client_credentials=self._variable("CLIENT_CREDENTIALS"),
            client_id=self._variable("CLIENT_ID"),
            token_url=self._variable("TOKEN_URL"),
        )
        secret = {SECRET: self._variable("CLIENT_SECRET"), SECRET_FILE: self._variable("CLIENT_SECRET_FILE")}
        auth = kept.auth({name: value for name, value in secret.items() if value})
        if auth is None:
            missing = f"the worker has no {self.prefix}_CLIENT_SECRET, or nothing that belongs to it"
            raise ConfigurationError(missing, missing_credentials=True)
        return Meitner(auth=auth, base_url=self._variable("BASE_URL"))

    def _variable(self, name: str) -> str | None:
        return os.environ.get(f"{self.prefix}_{name}") or None


Source: TypeAlias = FromProfile | FromEnvironment
"""Where a worker finds the credentials of a tenant."""


def check_sources(tenants: object) -> dict[str, Source]:
    """Return where each tenant is found; of names alone, each is that of its profile.

    Raises `TypeError` or `ValueError`, which repeat nothing of what is in the wrong place.
    """
    if isinstance(tenants, str) or not isinstance(tenants, Iterable):
        raise TypeError("tenants are names of profiles, or a mapping of names to FromProfile or FromEnvironment")
    if isinstance(tenants, Mapping):
        found = dict(cast("Mapping[object, object]", tenants))
        check_names(found)
    else:
        names = list(cast("Iterable[object]", tenants))
        check_names(names)
        found = {name: FromProfile(name) for name in names if isinstance(name, str)}
        if len(found) < len(names):
            raise ValueError("a tenant is named twice")
    return {cast("str", name): _checked(name, one) for name, one in found.items()}


def _checked(name: object, one: object) -> Source:
    if not isinstance(one, FromProfile | FromEnvironment):
        raise TypeError(
            f"{name} must be FromProfile(name) or FromEnvironment(prefix), not {type(one).__name__}: clients, "
            "callables and secrets are not sent to a cluster, whose users could read them; its workers make the clients"
        )
    one.check()
    return one
