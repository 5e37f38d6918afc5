"""School years as seen from one day."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from ...resources.grade_elementaries import GradeTerm


class Term(NamedTuple):
    """A term of the school year that began in the autumn of `year`."""

    year: int
    term: GradeTerm
    graded: date | None
    """The day on which its grades were given; None while it goes on."""


class Calendar:
    """School years are named by the year of their autumn and turn on 1 July."""

    def __init__(self, today: date) -> None:
        self.today = today
        self.year = today.year if today.month > 6 else today.year - 1  # June

    def start(self, year: int) -> date:
        """Return the first day of a school year; no later than today, even in the summer before the lessons."""
        return date(year, 8, 18) if date(year, 8, 18) <= self.today else date(year, 7, 1)

    def end(self, year: int) -> date:
        """Return the last day of a school year."""
        return date(year + 1, 6, 30)

    def current_term(self) -> Term:
        """Return the term that goes on, or the holidays after it."""
        return Term(self.year, GradeTerm.HT if self.today.year == self.year else GradeTerm.VT, None)

    def graded_term(self) -> Term:
        """Return the last term whose grades have been given."""
        spring, autumn = date(self.year + 1, 6, 12), date(self.year, 12, 20)
        if spring <= self.today:
            return Term(self.year, GradeTerm.VT, spring)
        if autumn <= self.today:
            return Term(self.year, GradeTerm.HT, autumn)
        return Term(self.year - 1, GradeTerm.VT, date(self.year, 6, 12))
