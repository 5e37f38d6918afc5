"""Secrets in the keyring of the system. The only module that knows keyring (extra `keyring`). Blocking.

A keyring may ask its owner for a password before it answers.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from .._wire.validation import strip_traceback
from ..errors import ConfigurationError

_SERVICE = "meitner-aio"


@strip_traceback
def kept(name: str) -> str:
    """Return a secret; `ConfigurationError` where there is none, or no keyring."""
    found = _found(name)
    if not found:
        raise ConfigurationError(
            f"the keyring has no secret {name!r} of {_SERVICE}: run meitner-aio login --profile {name} --keyring",
            missing_credentials=True,
        )
    return found


@contextmanager
def keeping(name: str, secret: str) -> Generator[None]:
    """Keep a secret, in the place of one of the same name, which comes back when the block fails.

    Raises `ConfigurationError` where there is no keyring for it.
    """
    with restoring(name):
        _keep(name, secret)
        yield


@contextmanager
def restoring(name: str) -> Generator[None]:
    """Let a secret be as it was before when the block fails. Raises `ConfigurationError` where there is no keyring."""
    before = _found(name)
    try:
        yield
    except BaseException:
        if before is None:
            forget(name)
        else:
            _keep(name, before)
        raise


@strip_traceback
def _found(name: str) -> str | None:
    with _usable():
        import keyring

        return keyring.get_password(_SERVICE, name)


@strip_traceback
def _keep(name: str, secret: str) -> None:
    with _usable():
        import keyring

        keyring.set_password(_SERVICE, name, secret)
        safe = keyring.get_password(_SERVICE, name) == secret  # a null backend takes all and keeps nothing
    if not safe:
        raise ConfigurationError("the keyring did not keep the secret: keep it in the file, without --keyring")


@strip_traceback
def forget(name: str) -> bool:
    """Remove a secret; False where there is none. Raises `ConfigurationError` where there is no keyring."""
    with _usable():
        import keyring

        if keyring.get_password(_SERVICE, name) is None:
            return False
        keyring.delete_password(_SERVICE, name)
    return True


@contextmanager
def _usable() -> Generator[None]:
    """Say what is wrong with the keyring: of errors that others have made, the kind alone."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if missing.name != "keyring":
            raise
        raise ConfigurationError('the keyring is an extra: pip install "meitner-aio[keyring]"') from None
    except Exception as error:  # noqa: BLE001 - a backend raises what it likes
        kind = type(error).__name__
        raise ConfigurationError(
            f"the keyring of this system cannot be used ({kind}): is there one, and is it unlocked?"
        ) from None
