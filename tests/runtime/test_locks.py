"""One at a time, with the locks of the system, with a file where it has none, and as on Windows."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from poor_mounts import LOCKLESS, Clock, Msvcrt, on_windows, without_locks

from meitner_aio._runtime import lock_files, locks
from meitner_aio._runtime.locks import hold
from meitner_aio.errors import MeitnerError

Take = Callable[[], Callable[[], None]]

_HOLDER = """
    import errno, fcntl, sys, time
    from pathlib import Path
    from meitner_aio._runtime.locks import hold

    def refused(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    fcntl.flock = refused
    with open(sys.argv[1]) as file:
        release = hold(file.fileno(), Path(sys.argv[2]), "in use")
        print("held", flush=True)
        sys.stdin.read()
        release()
"""
"""A process that holds a lock until its stdin ends."""


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """Return the file that is the lock."""
    return tmp_path / "thing.lock"


@pytest.fixture
def take(tmp_path: Path, beside: Path) -> Iterator[Take]:
    """Return what takes the lock, by a handle of its own, as another process would."""
    (tmp_path / "thing").touch()
    with ExitStack() as closed:

        def taken() -> Callable[[], None]:
            file = closed.enter_context((tmp_path / "thing").open("r+b"))
            return hold(file.fileno(), beside, "thing is in use")

        yield taken


@pytest.fixture
def holder(tmp_path: Path, beside: Path) -> Iterator[Any]:
    """Return a process that holds the lock on a mount without locks."""
    (tmp_path / "thing").touch()
    command = [sys.executable, "-c", textwrap.dedent(_HOLDER), str(tmp_path / "thing"), str(beside)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


@pytest.fixture(params=["locks", "no locks", "windows"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One system after the other."""
    if request.param == "no locks":
        without_locks(monkeypatch)
    elif request.param == "windows":
        on_windows(monkeypatch)
    return str(request.param)


@pytest.mark.usefixtures("system")
def test_one_holds_it_at_a_time(take: Take, beside: Path) -> None:
    """The second is refused, and gets it when the first lets go; nothing is left."""
    release = take()
    with pytest.raises(MeitnerError, match=r"^thing is in use"):
        take()
    release()
    take()()
    assert not beside.exists()


@pytest.mark.parametrize("number", LOCKLESS)
def test_a_mount_without_locks_has_a_file(
    take: Take, beside: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Its owner's alone; the refusal says who holds it and what to remove."""
    without_locks(monkeypatch, number)
    take()
    assert beside.stat().st_mode & 0o777 == 0o600
    with pytest.raises(MeitnerError, match=rf"^thing is in use: process {os.getpid()} on .* UTC; .*remove {beside}$"):
        take()


@pytest.mark.parametrize("number", [errno.EIO, errno.EBADF, errno.EACCES])
def test_a_lock_that_fails_is_an_error(take: Take, beside: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Only what says that there are no locks leads to a file."""
    without_locks(monkeypatch, number)
    with pytest.raises(OSError) as failed:
        take()
    assert (failed.value.errno, beside.exists()) == (number, False)


def test_the_lock_of_a_running_process_is_respected(
    holder: Any, take: Take, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by who has locks: another machine may mount the same share without."""
    with pytest.raises(MeitnerError, match=f"process {holder.pid} on"):
        take()
    without_locks(monkeypatch)
    with pytest.raises(MeitnerError, match=f"process {holder.pid} on"):
        take()
    holder.communicate()
    assert not beside.exists()
    take()()


@pytest.mark.parametrize("locked", [True, False])
def test_the_lock_of_a_killed_process_is_taken_over(
    holder: Any, take: Take, beside: Path, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    """Killed outright, it had no time to remove the file."""
    holder.kill()
    holder.wait()
    assert beside.exists()
    if not locked:
        without_locks(monkeypatch)
    release = take()
    with pytest.raises(MeitnerError):
        take()
    release()
    assert [path.name for path in beside.parent.iterdir()] == ["thing"]


def _changed(beside: Path, **values: object) -> None:
    said = msgspec.json.decode(beside.read_bytes())
    beside.write_bytes(msgspec.json.encode(said | values))


def test_a_number_that_another_process_got_is_seen_through(
    take: Take, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process of that number began at another time: the one that held the lock has ended."""
    without_locks(monkeypatch)
    take()
    _changed(beside, started="1")
    take()


@pytest.mark.parametrize("elsewhere", ["another boot pid:[1]", ""])
def test_of_another_machine_nobody_believes_that_its_process_ended(
    take: Take, beside: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: str
) -> None:
    """A number says nothing of another machine, or of another container: the file stays until a person removes it."""
    without_locks(monkeypatch)
    take()
    _changed(beside, pid=2**22 + 1, machine=elsewhere, host="elsewhere")
    with pytest.raises(MeitnerError, match=rf"on elsewhere, since .*if it has ended, remove {beside}"):
        take()
    beside.unlink()
    take()


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\xff\xfe"])
def test_a_lock_that_says_nothing_is_held(
    take: Take, beside: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """Somebody may be about to write it."""
    without_locks(monkeypatch)
    take()
    beside.write_bytes(content)
    with pytest.raises(MeitnerError, match=f"{beside} says so; if nothing is running, remove it"):
        take()


def test_two_that_take_over_at_once_do_not_both_hold_it(
    take: Take, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one saw the file of the ended process, and finds that of the first in its place."""
    without_locks(monkeypatch)
    take()
    _changed(beside, started="1")
    real, seen = lock_files._holder, []

    def late(path: Path) -> Any:
        found = real(path)
        if not seen:
            seen.append(found)
            take()  # the first is done between the second's look and its removal
        return found

    monkeypatch.setattr(lock_files, "_holder", late)
    with pytest.raises(MeitnerError, match=f"process {os.getpid()}"):
        take()
    assert lock_files._Holder.here().started in beside.read_text()


def test_a_take_over_that_was_killed_is_told_of(take: Take, beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it left is for a person to remove: nobody can tell whether it goes on."""
    without_locks(monkeypatch)
    take()
    _changed(beside, started="1")
    turn = beside.with_name("thing.lock.stale")
    turn.touch(0o600)
    with pytest.raises(MeitnerError, match=f"remove {beside} and {turn}"):
        take()


def test_a_lock_that_somebody_removed_and_another_made_is_left_alone(
    take: Take, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lets go removes their own."""
    without_locks(monkeypatch)
    first = take()
    _changed(beside, pid=1)
    theirs = beside.read_bytes()
    first()
    assert beside.read_bytes() == theirs


def test_a_full_disk_leaves_no_lock(take: Take, beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says nothing would have to be removed by hand."""
    without_locks(monkeypatch)

    class Full:
        def __init__(self, handle: int, *_: object) -> None:
            self.handle = handle

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            os.close(self.handle)

        def write(self, _: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(lock_files.os, "fdopen", Full)
    with pytest.raises(OSError, match="No space"):
        take()
    assert not beside.exists()


def test_who_waits_gets_it_when_it_is_let_go(
    tmp_path: Path, take: Take, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no later than the patience lasts."""
    clock = Clock()
    monkeypatch.setattr(locks, "time", clock)
    release, other = take(), (tmp_path / "thing").open("rb")
    with other:
        _waits(other.fileno(), beside, clock, release, monkeypatch)


def _waits(
    handle: int, beside: Path, clock: Clock, release: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MeitnerError):
        hold(handle, beside, "in use", patience=1.0)
    assert 1.0 <= clock.now < 1.1
    sleep = clock.sleep

    def slept(seconds: float) -> None:
        sleep(seconds)
        release()

    monkeypatch.setattr(clock, "sleep", slept)
    hold(handle, beside, "in use", patience=1.0)


def test_a_forked_process_does_not_let_go_of_it(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it inherited is its parent's."""
    release = take()
    parent = os.getpid()
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: parent + 1)
        release()
    with pytest.raises(MeitnerError):
        take()


# As on Windows.


@pytest.fixture
def msvcrt(monkeypatch: pytest.MonkeyPatch) -> Msvcrt:
    """Locks of bytes."""
    return on_windows(monkeypatch)


def test_windows_locks_a_byte_of_a_file_beside(take: Take, beside: Path, msvcrt: Msvcrt, tmp_path: Path) -> None:
    """Not of the file itself, which others may read meanwhile."""
    release = take()
    found = beside.stat()
    assert list(msvcrt.held) == [(found.st_dev, found.st_ino, 0)]
    release()
    assert not msvcrt.held
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]


def test_windows_frees_what_a_killed_process_held(take: Take, beside: Path, msvcrt: Msvcrt) -> None:
    """The system unlocks the byte; the file that is left is in nobody's way."""
    take()
    msvcrt.held.clear()
    take()
    assert beside.exists()


def test_windows_keeps_a_file_that_somebody_has_opened(
    take: Take, msvcrt: Msvcrt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be removed there, and need not be."""
    release = take()

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "unlink", refused)
    release()
    assert not msvcrt.held
    take()


def test_windows_tells_a_failure_from_a_lock(take: Take, msvcrt: Msvcrt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another number than that of a locked byte is an error, and no handle stays open."""
    handles: list[int] = []
    real = locks.open_private

    def opened(*given: Any) -> int:
        handles.append(real(*given))
        return handles[-1]

    monkeypatch.setattr(locks, "open_private", opened)

    def refused(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(msvcrt, "locking", refused, raising=False)
    with pytest.raises(OSError, match="Input/output"):
        take()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(*handles)


def test_flock_is_what_linux_uses(take: Take, beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are locks there is no file, so that nothing is left when the power fails."""
    calls: list[int] = []
    real = fcntl.flock

    def seen(handle: int, operation: int) -> None:
        calls.append(operation)
        real(handle, operation)

    monkeypatch.setattr(fcntl, "flock", seen)
    release = take()
    assert not beside.exists()
    release()
    assert calls == [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN]
