"""What a script learns from a run. Pure."""

from __future__ import annotations

from enum import IntEnum

from .. import errors


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
    errors.ConfigurationError: Exit.AUTH,
    errors.AuthenticationError: Exit.AUTH,
    errors.PermissionDeniedError: Exit.AUTH,
    errors.APIConnectionError: Exit.TEMPORARY,
    errors.RateLimitError: Exit.TEMPORARY,
    errors.InternalServerError: Exit.TEMPORARY,
    errors.QuotaExhausted: Exit.TEMPORARY,
    errors.IncompleteListing: Exit.PARTIAL,
}


_BY_REASON = {
    errors.DestinationReason.CREDENTIALS: Exit.AUTH,
    errors.DestinationReason.FORBIDDEN: Exit.AUTH,
    errors.DestinationReason.UNAVAILABLE: Exit.TEMPORARY,
    errors.DestinationReason.OVERTAKEN: Exit.TEMPORARY,
}


def exit_code(error: Exception) -> Exit:
    """Return the exit code that an error ends a command with."""
    if isinstance(error, errors.DestinationError):
        return _BY_REASON.get(error.reason, Exit.ERROR)
    return next((code for kind, code in _BY_ERROR.items() if isinstance(error, kind)), Exit.ERROR)
