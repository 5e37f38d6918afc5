"""Which directory an offline client would ask if it were online: the one that the journal of its outbox is for."""

from __future__ import annotations

from collections.abc import Callable

from .._pipeline.credentials import ApiKey, Auth, OAuth2
from .._pipeline.identity import Reader, reader_at
from .._pipeline.settings import server_url
from ..errors import ConfigurationError


def directory_of(
    connection: Callable[[str | None, str | None], tuple[str, Auth | OAuth2]],
    client_id: str | None,
    secret: str | None,
    *others: object,
    server: str,
    base_url: str | None,
    insecure: bool,
) -> Reader | None:
    """Return the directory of a connection, without asking anybody; None where nothing says which.

    No secret is needed: a `client_id` says enough. What the environment says badly is an error only where the call
    names a directory, by these or by `others` that are not None.
    """
    try:
        url, auth = connection(client_id, secret)
    except ConfigurationError as error:
        named = server != "production" or any(one is not None for one in (client_id, secret, base_url, *others))
        if named and not error.missing_credentials:
            raise
        if client_id is None or not error.missing_credentials:
            return None
        url, auth = server_url(server, base_url, given=False, insecure=insecure), ApiKey(client_id, "offline")
    return reader_at(url, auth)
