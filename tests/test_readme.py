"""The README keeps its word: it is short, and its first two commands are those of a fresh machine."""

from __future__ import annotations

from pages import blocks, page


def test_the_readme_is_short() -> None:
    """It makes one want the library; what explains is on the pages, see tests/docs."""
    assert page("README.md").count("\n") <= 300


def test_the_first_two_commands_are_those_of_a_fresh_machine() -> None:
    """The first sets up and exports the sandbox, the second sets up and runs every test; neither needs more than venv."""
    first, second, *_ = (block.text for block in blocks("README.md", "sh"))
    assert "export --sandbox" in first
    assert "-m pytest" in second
    for block in (first, second):
        commands = block.strip().splitlines()
        assert commands[0] == "python3 -m venv .venv"
        assert all(command.startswith((".venv/bin/", "python3 -m venv")) for command in commands)
