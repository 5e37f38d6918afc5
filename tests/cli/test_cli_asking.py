"""Questions before something is changed."""

from __future__ import annotations

import io
import os
import pty
import sys

import pytest

from meitner_aio.cli._asking import agreed


@pytest.mark.parametrize(("answer", "so"), [(b"n\n", False), (b"y\n", True)])
def test_what_was_typed_before_a_question_does_not_answer_it(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, so: bool
) -> None:
    """A key that was pressed while a plan was being made agrees to nothing, and refuses nothing."""
    ours, theirs = pty.openpty()

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            os.write(ours, answer)
            return super().write(text)

    with os.fdopen(theirs, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys, "stderr", Screen())
        os.write(ours, b"n\n" if so else b"y\n")
        assert agreed("Carry out 6 actions?") is so
    os.close(ours)
