"""The page about offline clients and journals keeps its word: its examples run."""

from __future__ import annotations

import pytest
from pages import examples, run

from meitner_aio.sandbox import Sandbox


async def test_the_examples_run(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With credentials in the environment; what was put offline is there once, and a copy answers as the server does."""
    monkeypatch.chdir(tmp_path)
    async with Sandbox(students=2) as sandbox:
        for name, value in zip(("CLIENT_CREDENTIALS", "CLIENT_SECRET"), sandbox.credentials, strict=True):
            monkeypatch.setenv(f"MEITNER_{name}", value)
        monkeypatch.setenv("MEITNER_BASE_URL", sandbox.url)
        names: dict[str, object] = {}
        writing, copying = examples("offline.md")
        await run(writing, names)
        outbox = names["outbox"]
        assert (outbox.sent, outbox.failures, outbox.kept) == (1, [], 0)  # type: ignore[attr-defined]
        assert [one.operation for one in sandbox.requests] == ["students.create"]
        assert list(tmp_path.iterdir()) == []
        await run(copying, names)
        wanted = sum(row.last_name == "Ek" for row in sandbox.records("students"))
    assert capsys.readouterr().out.splitlines()[-1] == str(wanted)
