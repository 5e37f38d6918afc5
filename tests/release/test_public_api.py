"""The public API changes only on purpose: all of it is written down, and compared."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import public_api
import pytest

WRITTEN = Path(__file__).with_name("public_api.txt")


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="Pythons print annotations differently: 3.11 is compared")
def test_the_public_api_is_as_written_down() -> None:
    """Each name, signature, field and member that users may rely on; a difference is shown line by line."""
    old, new = WRITTEN.read_text(encoding="utf-8").splitlines(), public_api.api().splitlines()
    changed = list(difflib.unified_diff(old, new, "written", "now", lineterm="", n=1))
    renew = "python tests/support/public_api.py > tests/release/public_api.txt"
    assert not changed, "\n".join([f"say so in CHANGELOG, and write it down: {renew}", *changed])


def test_every_module_that_users_may_import_is_written_down() -> None:
    """A folder or file of the package whose name has no underscore, but the command line and what it alone uses."""
    package = Path(public_api.__file__).parents[2] / "meitner_aio"
    public = {path.stem for path in package.iterdir() if path.suffix in ("", ".py") and not path.name.startswith("_")}
    assert public - set(public_api.MODULES) == {
        "cli",
        "client",
        "drift",
        "error_response",
        "plain",
        "portal_outbox",
        "probe",
        "resources",
    }


def test_a_changed_signature_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parameter less, a new default or another type is another line."""
    from meitner_aio.portal import Portal

    def run(self: object, coroutine: object, timeout: float = 1.0) -> object:
        return None

    before = public_api.api().splitlines()
    monkeypatch.setattr(Portal, "run", run)
    after = public_api.api().splitlines()
    assert set(after) - set(before) == {"    def run(self: object, coroutine: object, timeout: float = 1.0) -> object"}
