"""The page about a shared quota keeps its word: its examples run, and its numbers are those of the code."""

from __future__ import annotations

from pages import examples, page, run

from meitner_aio._pipeline import shared_quota
from meitner_aio.sandbox import Sandbox


async def test_the_examples_run(redis_server, monkeypatch, capsys):
    """Against a sandbox and a Redis of the tests' own."""
    async with Sandbox(students=60, schools=4) as sandbox:
        monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", "an-id")
        monkeypatch.setenv("MEITNER_CLIENT_SECRET", "a-secret")
        monkeypatch.setenv("MEITNER_BASE_URL", sandbox.url)
        names = {}
        for example in examples("shared-quota.md"):
            await run(example.replace("redis://localhost:6379", redis_server.url), names)
    assert capsys.readouterr().out.split() == ["60", "4"]


def test_numbers_are_those_of_the_code():
    """Of patience, rests and corrections."""
    text = page("shared-quota.md")
    assert shared_quota._PATIENCE == 0.25
    assert "a quarter of a\n  second" in text
    assert f"{shared_quota._PLENTY:.0f} requests or more left" in text
    assert f"1, 2, 4, ... {shared_quota._LONGEST_REST:.0f} seconds" in text
    assert f"the time of {shared_quota._TURNS} requests" in text
