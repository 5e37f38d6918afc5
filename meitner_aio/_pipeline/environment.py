"""The secret of the environment: a variable, or the file that another variable names, as containers have it. Blocking.

A file of an orchestrator is mounted with owners and permissions that are its own business (Docker mounts one of the
host's user, Kubernetes links below a folder that all may write to), so that these are not judged: whoever sets the
variable says that the file is to be trusted.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from .._wire.validation import strip_traceback
from ..errors import ConfigurationError

ADDRESS = "MEITNER_BASE_URL"
SECRET, SECRET_FILE = "MEITNER_CLIENT_SECRET", "MEITNER_CLIENT_SECRET_FILE"
LARGEST_SECRET = 8192
"""Bytes: no server takes headers that are larger."""


def has_identity(environment: Mapping[str, str]) -> bool:
    """Whether an environment says whose its secret is: an API key, or a client of OAuth2."""
    return bool(environment.get("MEITNER_CLIENT_CREDENTIALS") or environment.get("MEITNER_CLIENT_ID"))


def has_secret(environment: Mapping[str, str]) -> bool:
    """Whether an environment has a secret, or names a file of one. Nothing is read."""
    return bool(environment.get(SECRET) or environment.get(SECRET_FILE))


@strip_traceback
def secret_of(environment: Mapping[str, str]) -> str | None:
    """Return the secret of an environment; None where it has none.

    Raises `ConfigurationError` where it has two, and for a file that is missing, no regular file, empty, too large or
    not UTF-8. Its name is not told: who mistakes the variable for the other puts the secret there.
    """
    named = environment.get(SECRET_FILE)
    if not named:
        return environment.get(SECRET) or None
    if environment.get(SECRET):
        raise ConfigurationError(f"{SECRET} and {SECRET_FILE} are both set: unset one of them")
    what = f"the file that {SECRET_FILE} names"
    try:
        handle = os.open(named, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        why = "does not exist" if isinstance(error, FileNotFoundError | NotADirectoryError) else "cannot be read"
        raise ConfigurationError(f"{what} {why}") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ConfigurationError(f"{what} is not a regular file")
        return secret_text(os.read(handle, LARGEST_SECRET + 1), what)
    finally:
        os.close(handle)


@strip_traceback
def secret_text(data: bytes, what: str) -> str:
    """Return the secret that bytes are, without the line end that editors add; `what` says where they come from.

    Raises `ConfigurationError` for none, for too many, and for what is not UTF-8.
    """
    if len(data) > LARGEST_SECRET:
        raise ConfigurationError(f"{what} is larger than {LARGEST_SECRET} bytes, and so no secret")
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{what} is not UTF-8") from None
    if not text:
        raise ConfigurationError(f"{what} is empty")
    return text
