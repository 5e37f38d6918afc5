"""The page about the Data Export API keeps its word: its example runs, its commands exist."""

from __future__ import annotations

import re
import shlex

from pages import examples, page, run

from meitner_aio.resources import DATA_EXPORT

(EXAMPLE,) = examples("data-export.md")


async def test_the_example_runs(capsys):
    """It reads several pages twice, counts, and shows no child."""
    await run(EXAMPLE, {"__name__": "docs"})
    missed, counted, grade = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d+\.\d% of 1,\d{3} lessons were missed \(stable\)", missed)
    assert re.fullmatch(r"\d+ results by criterion", counted)
    assert "first_name=***" in grade


def test_the_page_begins_with_code():
    """Before anything is explained."""
    assert page("data-export.md").index("```python") < 300


def test_every_command_of_the_page_runs(cli, tmp_path, monkeypatch):
    """Against a sandbox, from a folder of its own."""
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^meitner-aio (.*)$", page("data-export.md"), re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        code, out, _ = cli(*shlex.split(command), "--sandbox", "--students", "20")
        assert (code, bool(out)) == (0, True)


def test_every_resource_is_named():
    """None is forgotten."""
    assert all(f"`{name}`" in page("data-export.md") for name in DATA_EXPORT)
