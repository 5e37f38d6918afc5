"""What a registry's rows have wrong, and what was put right on the way. Names places, never values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from ...errors import mask

MOST_PROBLEMS = 1000
"""Problems that are kept one by one; the rest is counted."""


class Problem(Struct, frozen=True):
    """What keeps a row, or a whole file, from being used. Holds no value of it."""

    resource: str
    file: str
    """The name of the file in its folder; the name of the resource where rows were given in memory."""
    line: int
    """The first line of the row, from 1; the number of the row, from 1, in Parquet and in memory."""
    field: str
    """A column as a registry names it (`student.identity_number`), or nothing where it is about the whole row."""
    message: str
    proposal: str = ""
    """What would help, where that is known."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" + (f" {self.field}" if self.field else "")
        return f"{place}: {self.message}" + (f"; {self.proposal}" if self.proposal else "")


class NoteKind(StrEnum):
    """What was changed in a value, or is odd about one that is used nevertheless."""

    TRIMMED = "trimmed"
    """Blanks around a text were dropped."""
    COMPOSED = "composed"
    """Letters made of two characters became one (NFC)."""
    NUMBER_FORM = "number_form"
    """An identity number was written without a dash, or otherwise than `YYYYMMDD-NNNN`."""
    CENTURY = "century"
    """The century of an identity number was worked out."""
    DATE_FORM = "date_form"
    """A date was written otherwise than `YYYY-MM-DD`."""
    BOOLEAN_FORM = "boolean_form"
    """True or false was said in another word."""
    INTEGER_FORM = "integer_form"
    """A whole number was written with a fraction of zero."""
    NUMBER_AS_TEXT = "number_as_text"
    """A number stood where a text belongs: zeros that it began with are lost."""
    CHOICE_SPELLING = "choice_spelling"
    """A choice was written in other letters than the API's."""
    ID_CASE = "id_case"
    """An id had capital letters."""
    REPEATED_ITEM = "repeated_item"
    """A list named something twice."""
    BLANK_ROW = "blank_row"
    """A row had no value at all, and was passed over."""
    CHECK_DIGIT = "check_digit"
    """The last digit of an identity number does not fit the others."""
    TEMPORARY_NUMBER = "temporary_number"
    """An identity number ends in letters: the API documents digits only, and may refuse it."""
    DAMAGED_TEXT = "damaged_text"
    """A letter may have been lost in an earlier conversion."""

    @property
    def is_warning(self) -> bool:
        """Whether a person should look at it: nothing was put right."""
        return self in _WARNINGS


_WARNINGS = frozenset({NoteKind.CHECK_DIGIT, NoteKind.TEMPORARY_NUMBER, NoteKind.DAMAGED_TEXT})


class Note(Struct, frozen=True):
    """How often something was changed or was odd in a column, and where first."""

    kind: NoteKind
    resource: str
    field: str
    count: int
    file: str
    line: int

    def __str__(self) -> str:
        place = f"{self.resource} {self.field}" if self.field else self.resource
        return f"{place}: {self.kind.value.replace('_', ' ')} ({self.count:,}, first at {self.file}:{self.line})"


class UnfitError(Exception):
    """Raised for a value that cannot mean what its column means. Caught where the value is, so it goes no further."""

    def __init__(self, message: str, proposal: str = "") -> None:
        """Keep what is wrong, and what would help."""
        super().__init__(message)
        self.message = message
        self.proposal = proposal


class Flaw(NamedTuple):
    """What is wrong with a row, before it is known where that is."""

    field: str
    message: str
    proposal: str = ""


class UnreadableFileError(Exception):
    """Raised for a file of which no row can be used."""

    def __init__(self, *flaws: Flaw, line: int = 1) -> None:
        """Keep what is wrong, and on which line."""
        super().__init__(flaws[0].message)
        self.flaws = flaws
        self.line = line


class Findings:
    """Collects problems and notes in bounded memory."""

    def __init__(self) -> None:
        """Begin with none."""
        self.problems: list[Problem] = []
        self.problem_counts: Counter[str] = Counter()
        self._notes: dict[tuple[NoteKind, str, str], list[int]] = {}
        self._first: dict[tuple[NoteKind, str, str], tuple[str, int]] = {}

    def refuse(self, resource: str, file: str, line: int, flaws: Iterable[Flaw]) -> None:
        """Add what is wrong at a place."""
        for flaw in flaws:
            self.problem_counts[resource] += 1
            if len(self.problems) < MOST_PROBLEMS:
                told = (mask(flaw.message), mask(flaw.proposal))
                self.problems.append(Problem(resource, mask(file), line, flaw.field, *told))

    def note(self, resource: str, file: str, line: int, changes: Iterable[tuple[str, NoteKind]]) -> None:
        """Add what was changed at a place."""
        for field, kind in changes:
            key = (kind, resource, field)
            if key in self._notes:
                self._notes[key][0] += 1
            else:
                self._notes[key], self._first[key] = [1], (mask(file), line)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was noted, in the order in which it was first seen."""
        return tuple(Note(*key, count, *self._first[key]) for key, (count,) in self._notes.items())
