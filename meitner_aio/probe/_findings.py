"""What a probe found out: one line for each open question."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct


class Finding(Struct, frozen=True):
    """An answer to one question, in a word for programs and in words for people.

    `value` is None where it could not be determined; `answer` then says why.
    """

    question: str
    value: str | None
    answer: str


class Determined(NamedTuple):
    """A determined answer: a word for programs, and words for people."""

    value: str
    answer: str


class Undetermined(Exception):  # noqa: N818 - nothing went wrong: the server, or what is in it, does not show this
    """Why something could not be determined. `refused` is the status with which the server refused what was asked."""

    def __init__(self, why: str, refused: int | None = None) -> None:
        super().__init__(why)
        self.refused = refused


def settled(question: str, determine: Callable[[], Determined]) -> Finding:
    """Return the finding of a question, or why it could not be determined."""
    try:
        return Finding(question, *determine())
    except Undetermined as reason:
        return Finding(question, None, str(reason))
