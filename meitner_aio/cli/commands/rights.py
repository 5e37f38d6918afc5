"""Which resources may be read with the credentials at hand. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ... import errors
from ...resources import RESOURCES
from .check import Check

Rights = Mapping[str, errors.MeitnerError | None]
"""By resource, why it could not be read; None where it could. What is not there was not asked for."""


def right(error: errors.MeitnerError | None) -> str:
    """Return a word on one resource, for programs: allowed, refused or failing."""
    if error is None:
        return "allowed"
    return "refused" if isinstance(error, errors.PermissionDeniedError) else "failing"


def rights(answers: Rights) -> list[Check]:
    """Return which resources may be read, which are refused and which fail: a line for each that there are."""
    if not answers:
        return []
    allowed, refused, failing = (_those(answers, word) for word in ("allowed", "refused", "failing"))
    unasked = [name for name in RESOURCES if name not in answers]
    found: list[Check] = []
    if allowed:
        everything = len(allowed) == len(RESOURCES)
        found.append(Check("readable", "ok", f"all {len(allowed)} resources" if everything else ", ".join(allowed)))
    if refused:
        which = "every resource" if len(refused) == len(RESOURCES) else ", ".join(refused)
        found.append(
            Check(
                "refused",
                "fail",
                which,
                "Ask Meitner for the permission to read them (status 403), or name only the other resources.",
            )
        )
    if failing:
        named = ", ".join(f"{name} ({_why(answers[name])})" for name in failing)
        found.append(Check("failing", "fail", named, "Try again later. If it stays so, ask Meitner."))
    if unasked:
        found.append(
            Check("not checked", "warn", ", ".join(unasked), "They were left out because of the problem above.")
        )
    return found


def _those(answers: Rights, word: str) -> list[str]:
    return [name for name, error in answers.items() if right(error) == word]


def _why(error: errors.MeitnerError | None) -> str:
    if isinstance(error, errors.APIStatusError):
        return str(error.status_code)
    if isinstance(error, errors.QuotaExhausted):
        return "the quota is spent"
    return "no answer" if isinstance(error, errors.APIConnectionError) else "not a list of records"
