"""The page about mirrors keeps its word: its examples run."""

from __future__ import annotations

from pages import examples, run


async def test_the_examples_run(meitner, tmp_path, monkeypatch):
    """Twice, as whoever keeps a mirror runs it; `meitner` is an open client."""
    monkeypatch.chdir(tmp_path)
    example = "".join(examples("mirror.md"))
    for _ in range(2):
        names = {"meitner": meitner}
        await run(example, names)
        assert names["report"].complete
