"""What type checkers say of declarations: the good ones pass, and of the bad ones each line is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_typing import CHECKERS, MARK

FOLDER = Path(__file__).parents[1] / "typing"


@pytest.mark.parametrize("checker", CHECKERS.values(), ids=CHECKERS)
def test_good_declarations_are_accepted(checker):
    """Every declaration and call type-checks, and what it gives has its type."""
    assert checker(FOLDER / "good_declare.py") == {}


@pytest.mark.parametrize("checker", CHECKERS.values(), ids=CHECKERS)
def test_bad_declarations_are_refused(checker):
    """Each wrong line is an error on its own line, and nothing else is."""
    path = FOLDER / "bad_declare.py"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert checker(path).keys() == {number for number, line in enumerate(lines, 1) if MARK in line}
