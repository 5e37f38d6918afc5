"""What a script learns from a run. Pure."""

from __future__ import annotations

from enum import IntEnum

from ..errors import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    DestinationError,
    DestinationReason,
    IncompleteListing,
    InternalServerError,
    PermissionDeniedError,
    QuotaExhausted,
    RateLimitError,
)


class UsageError(Exception):
    """The command line or the settings are invalid; nothing was sent."""


class Exit(IntEnum):
    """The exit codes of every command."""

    COMPLETE = 0
    ERROR = 1
    USAGE = 2
    PARTIAL = 3
    """Data was read and written, but not shown to be all of it."""
    AUTH = 4
    """Credentials are missing, wrong or not enough."""
    TEMPORARY = 5
    """Worth another try later, unchanged."""
    INTERRUPTED = 130


_BY_ERROR: dict[type[Exception], Exit] = {
    UsageError: Exit.USAGE,
    ConfigurationError: Exit.AUTH,
    AuthenticationError: Exit.AUTH,
    PermissionDeniedError: Exit.AUTH,
    APIConnectionError: Exit.TEMPORARY,
    RateLimitError: Exit.TEMPORARY,
    InternalServerError: Exit.TEMPORARY,
    QuotaExhausted: Exit.TEMPORARY,
    IncompleteListing: Exit.PARTIAL,
}


_BY_REASON = {
    DestinationReason.CREDENTIALS: Exit.AUTH,
    DestinationReason.FORBIDDEN: Exit.AUTH,
    DestinationReason.UNAVAILABLE: Exit.TEMPORARY,
    DestinationReason.OVERTAKEN: Exit.TEMPORARY,
}


def exit_code(error: Exception) -> Exit:
    """Return the exit code that an error ends a command with."""
    if isinstance(error, DestinationError):
        return _BY_REASON.get(error.reason, Exit.ERROR)
    return next((code for kind, code in _BY_ERROR.items() if isinstance(error, kind)), Exit.ERROR)
