"""The page about plans keeps its word: its example runs."""

from __future__ import annotations

import planning
from pages import examples, page, run

from meitner_aio.reconcile import HoldReason

world = planning.world


async def test_the_example_runs(world, tmp_path, monkeypatch, capsys):
    """From a folder with one file; `meitner` is an open client."""
    world.student(2)
    (tmp_path / "registry").mkdir()
    lines = ["identity_number;first_name;last_name", f"{planning.NUMBERS[1]};Bo;Ek", f"{planning.NUMBERS[2]};Eva;Ek"]
    (tmp_path / "registry" / "students.csv").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (example,) = examples("plans.md")
    await run(example, {"meitner": world.meitner})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "1 students to create, 2 requests"
    assert [line.split()[3] for line in said[1:]] == ["unowned"]


def test_every_reason_has_its_line():
    """A reason that the page lacks is one that nobody can look up."""
    assert [reason for reason in HoldReason if f"`{reason.value}`" not in page("plans.md")] == []
