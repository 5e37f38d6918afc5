"""School years, named by the year of their autumn: from 1 July to 30 June."""

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


def school_year(day: date) -> int:
    """Return the school year of a day."""
    return day.year if day.month >= 7 else day.year - 1  # July


def current_term(today: date) -> Term:
    """Return the term that goes on, or the holidays after it."""
    return Term(school_year(today), GradeTerm.HT if today.month >= 7 else GradeTerm.VT, None)  # July


def graded_term(today: date) -> Term:
    """Return the last term whose grades have been given."""
    year = school_year(today)
    if today >= date(year + 1, 6, 12):
        return Term(year, GradeTerm.VT, date(year + 1, 6, 12))
    if today >= date(year, 12, 20):
        return Term(year, GradeTerm.HT, date(year, 12, 20))
    return Term(year - 1, GradeTerm.VT, date(year, 6, 12))
