"""The page about offline clients and journals keeps its word: its example runs."""

from __future__ import annotations

import pytest
from pages import examples, run

from meitner_aio.sandbox import Sandbox


async def test_the_example_runs(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With credentials in the environment; what was put offline is there once."""
    monkeypatch.chdir(tmp_path)
    async with Sandbox(students=2) as sandbox:
        for name, value in zip(("CLIENT_CREDENTIALS", "CLIENT_SECRET"), sandbox.credentials, strict=True):
            monkeypatch.setenv(f"MEITNER_{name}", value)
        monkeypatch.setenv("MEITNER_BASE_URL", sandbox.url)
        names: dict[str, object] = {}
        await run("".join(examples("offline.md")), names)
        outbox = names["outbox"]
        assert (outbox.sent, outbox.failures, outbox.kept) == (1, [], 0)  # type: ignore[attr-defined]
        assert [one.operation for one in sandbox.requests] == ["students.create"]
    assert list(tmp_path.iterdir()) == []
