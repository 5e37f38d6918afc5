"""From the profile that a call names to an address and the credentials for it. Blocking."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from typing import ParamSpec, TypeVar

from .._pipeline.credentials import Auth, OAuth2
from .._pipeline.environment import ADDRESS, SECRET, has_identity
from .._pipeline.settings import SERVERS, credentials, server_url
from .._wire.validation import strip_traceback
from ..errors import ConfigurationError
from .file import ProfileError, load, load_all, named, refuse_shared
from .place import config_path
from .profile import Profile

P = ParamSpec("P")
T = TypeVar("T")


@strip_traceback
def check_profiles(names: Collection[str]) -> None:
    """Raise `ConfigurationError` for a profile that is not there, and for variables that would go to all of them."""
    if not names:
        return
    _usable(refuse_shared, os.environ)
    profiles = _usable(load_all, Profile)
    for name in names:
        _usable(named, name, profiles)


def _usable(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a call returns; of a profile that cannot be meant, `ConfigurationError`."""
    try:
        return call(*args, **kwargs)
    except ProfileError as wrong:
        raise ConfigurationError(str(wrong)) from None


@strip_traceback
def connection(
    name: str, client_secret: str | None = None, *, server: str = "production", base_url: str | None = None
) -> tuple[str, Auth | OAuth2]:
    """Return the URL of the server and the credentials for it: of the call, else the environment, else the profile.

    A `client_secret` completes the id of the profile. A `server` of "production", which is what a call has that says
    none, leaves it to the profile. Raises `ConfigurationError` for a profile that is not there or cannot be used, where
    there are no credentials, and where a secret would go to a server that neither its own source nor the call names.
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        raise TypeError(f"profile must be the name of a profile, not {type(name).__name__}")
    kept = _usable(load, name, Profile)
    typed = base_url
    if not typed and server != "production":
        typed = SERVERS.get(server) or server_url(server, None, given=True)
    proof: Auth | OAuth2 | None
    if client_secret is None:
        url, proof = kept.url(os.environ, typed, named=True), kept.auth(os.environ)
        if proof is None and has_identity(os.environ):
            proof = credentials(None, None, None)
    else:  # of the environment, only an address that differs from the profile's means something: it is refused
        url = kept.url({ADDRESS: os.environ.get(ADDRESS, "")}, typed, named=True)
        proof = kept.auth({SECRET: client_secret})
    if proof is None:
        raise ConfigurationError(
            f"profile {name!r} of {config_path()} has no complete credentials: meitner-aio login --profile {name!r} "
            "asks for them",
            missing_credentials=True,
        )
    return server_url("production", url or SERVERS["production"], given=True), proof
