"""MEITNER_CLIENT_SECRET_FILE: the secret of a container, and every file that is none."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from canaries import CREDENTIALS, shown, sung

from meitner_aio import ConfigurationError, Meitner
from meitner_aio._pipeline.environment import LARGEST_SECRET, secret_of
from meitner_aio.sandbox import Sandbox

CLIENT, SECRET = CREDENTIALS


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Return what writes the file of the secret, and lets the environment name it."""

    def write(content: bytes) -> Path:
        path = tmp_path / "secret"
        path.write_bytes(content)
        monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", CLIENT)
        monkeypatch.setenv("MEITNER_CLIENT_SECRET_FILE", str(path))
        return path

    return write


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
async def test_the_secret_is_that_of_the_file(mounted, cli, monkeypatch, end) -> None:
    """Without the line end that editors add, in Python and in a shell."""
    mounted(SECRET.encode() + end)
    async with Sandbox(students=3, credentials=CREDENTIALS) as sandbox:
        monkeypatch.setenv("MEITNER_BASE_URL", sandbox.url)
        async with Meitner() as meitner:
            assert await meitner.students.list().count() == 3
        code, out, err = await asyncio.to_thread(cli, "count", "students")
    assert (code, "3" in out, sung(out + err)) == (0, True, [])


def test_the_links_of_a_cluster_are_followed(tmp_path: Path) -> None:
    """Kubernetes mounts a folder that all may write to, in which a link leads to a link to a file that all may read."""
    tmp_path.chmod(0o1777)
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "secret").write_text(SECRET)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "secret").symlink_to("..data/secret")
    assert secret_of({"MEITNER_CLIENT_SECRET_FILE": str(tmp_path / "secret")}) == SECRET


def _nothing(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("content", "change", "reason"),
    [
        (SECRET.encode(), _nothing, "does not exist"),
        (SECRET.encode(), _folder, "is not a regular file"),
        (SECRET.encode(), _pipe, "is not a regular file"),
        (b"", None, "is empty"),
        (b"\r\n", None, "is empty"),
        (SECRET.encode("utf-16"), None, "is not UTF-8"),
        (SECRET.encode() * LARGEST_SECRET, None, "is larger than 8192 bytes"),
        (f"{SECRET}\n{SECRET}\n".encode(), None, "must be printable ASCII"),
    ],
)
async def test_a_file_that_is_no_secret_is_refused(mounted, cli, content, change, reason) -> None:
    """Before a request, exit code 4, in words that show nothing of it."""
    path = mounted(content)
    if change is not None:
        change(path)
    with pytest.raises(ConfigurationError, match=reason) as refused:
        Meitner()
    assert [line for line in shown(refused.value) if sung(line)] == []
    code, out, err = await asyncio.to_thread(cli, "count")
    assert (code, out, reason in " ".join(err.split()), sung(err)) == (4, "", True, [])


def test_a_secret_for_the_name_of_its_file_is_not_shown(monkeypatch) -> None:
    """Whoever mistakes one variable for the other."""
    monkeypatch.setenv("MEITNER_CLIENT_CREDENTIALS", CLIENT)
    monkeypatch.setenv("MEITNER_CLIENT_SECRET_FILE", SECRET)
    with pytest.raises(ConfigurationError, match="does not exist") as refused:
        Meitner()
    assert [line for line in shown(refused.value) if sung(line)] == []


def test_two_secrets_are_refused(mounted, monkeypatch) -> None:
    """Nobody guesses which one is meant; an empty variable is none."""
    mounted(SECRET.encode())
    monkeypatch.setenv("MEITNER_CLIENT_SECRET", "another")
    with pytest.raises(ConfigurationError, match="are both set"):
        Meitner()
    monkeypatch.setenv("MEITNER_CLIENT_SECRET", "")
    assert Meitner()


def test_what_the_call_says_needs_no_file(mounted) -> None:
    """It is not even looked for."""
    mounted(b"").unlink()
    assert Meitner(CLIENT, SECRET)


def test_it_is_a_secret_of_the_environment_to_many_profiles(mounted, cli) -> None:
    """And refused as one: it would go to every server."""
    mounted(SECRET.encode())
    code, _, err = cli("export", "--all-profiles", "--to", "out")
    assert (code, "MEITNER_CLIENT_SECRET_FILE would be that of every profile" in " ".join(err.split())) == (2, True)
