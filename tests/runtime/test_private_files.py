"""Opening private files: what others may have made, swapped or planted is refused, and no open blocks."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meitner_aio import ConfigurationError
from meitner_aio._runtime.private_files import (
    check_file,
    check_folder,
    check_makeable,
    make_folder,
    open_private,
    read_private,
)
from meitner_aio.cli._profile import Profile, config_path, load

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither owners nor permissions like these"),
    pytest.mark.usefixtures("company"),
]

SOMEBODY = 4711
NEW = os.O_RDWR | os.O_CREAT


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give a test each mask that a service may run under."""
    request.getfixturevalue("tmp_path")  # made before the mask
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Return what makes a file another user's: who may not give it away becomes another one."""

    def give(path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, SOMEBODY, -1, follow_symlinks=False)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)

    return give


def _closed(handle: int) -> os.stat_result:
    """Return what a handle leads to, and close it."""
    try:
        return os.fstat(handle)
    finally:
        os.close(handle)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_what_is_made_is_for_the_owner_alone(tmp_path: Path) -> None:
    """The file 0600, each new folder above it 0700, whatever the umask."""
    folder = make_folder(tmp_path / "a" / "b")
    os.close(open_private(folder / "file", NEW | os.O_EXCL))
    assert [_mode(path) for path in (tmp_path / "a", folder, folder / "file")] == [0o700, 0o700, 0o600]
    assert make_folder(folder) == folder


def test_what_is_written_is_for_the_owner_alone_from_now_on(tmp_path: Path) -> None:
    """A file of one's own that everybody may read becomes 0600; one that is only read stays."""
    path = tmp_path / "file"
    path.write_text("before")
    path.chmod(0o644)
    os.close(open_private(path))
    assert _mode(path) == 0o644
    assert _closed(open_private(path, os.O_WRONLY | os.O_APPEND)).st_size == 6
    assert _mode(path) == 0o600
    assert _closed(open_private(path, os.O_RDWR | os.O_TRUNC)).st_size == 0


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_TRUNC, NEW])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, mode: int, flags: int) -> None:
    """And left as it is."""
    path = tmp_path / "planted"
    path.write_text("theirs")
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"others may write to .*planted: run chmod go-w {path}"):
        open_private(path, flags)
    assert (path.read_text(), _mode(path)) == ("theirs", mode)


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_TRUNC])
def test_a_file_of_another_user_is_refused(tmp_path: Path, give_away: Callable[[Path], None], flags: int) -> None:
    """However closed it is to others."""
    path = tmp_path / "theirs"
    path.write_text("theirs")
    path.chmod(0o600)
    give_away(path)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        open_private(path, flags)
    assert path.stat().st_size == 6


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR, NEW, os.O_WRONLY | os.O_APPEND])
@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, kind: str, flags: int) -> None:
    """A link leads where its owner wants, and a pipe would be waited for until somebody writes."""
    path, elsewhere = tmp_path / "odd", tmp_path / "elsewhere"
    if kind == "fifo":
        os.mkfifo(path, 0o600)
    elif kind == "folder":
        path.mkdir(mode=0o700)
    else:
        path.symlink_to(elsewhere)
        if kind == "link":
            elsewhere.touch(mode=0o600)
    with pytest.raises(ConfigurationError, match="odd"):
        open_private(path, flags)
    assert elsewhere.exists() == (kind == "link")


@pytest.mark.parametrize(
    ("name", "members", "private"),
    [("anna", [], True), ("anna", ["anna"], True), ("anna", ["bo"], False), ("staff", [], False)],
)
def test_a_group_of_ones_own_is_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, members: list[str], *, private: bool
) -> None:
    """Where the umask is 002, each user has a group of that name, and may write by it to what is his own."""
    own = pwd.getpwuid(os.geteuid())
    monkeypatch.setattr(pwd, "getpwuid", lambda _: pwd.struct_passwd(("anna", *own[1:])))
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group((name, "x", gid, members)))
    folder = tmp_path / "projects"
    folder.mkdir()
    folder.chmod(0o775)
    if private:
        assert check_folder(folder) == folder
        folder.chmod(0o777)
    with pytest.raises(ConfigurationError, match="others may write"):
        check_folder(folder)


def test_whose_first_group_it_is_may_write_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group does not list them: an account made with the group of another one writes by it."""
    own = pwd.getpwuid(os.geteuid())
    anna = pwd.struct_passwd(("anna", *own[1:]))
    service = pwd.struct_passwd(("service", "x", SOMEBODY, own.pw_gid, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: anna)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group(("anna", "x", gid, [])))
    monkeypatch.setattr(pwd, "getpwall", lambda: [anna])
    tmp_path.chmod(0o770)
    assert check_folder(tmp_path) == tmp_path
    monkeypatch.setattr(pwd, "getpwall", lambda: [anna, service])
    with pytest.raises(ConfigurationError, match="others may write"):
        check_folder(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="lists of rights are read on Linux only")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_list_of_rights_is_no_private_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Where it names another user, the mode shows the most that anybody named may do as the rights of the group."""
    own = pwd.getpwuid(os.geteuid())
    monkeypatch.setattr(pwd, "getpwuid", lambda _: pwd.struct_passwd(("anna", *own[1:])))
    monkeypatch.setattr(pwd, "getpwall", list)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group(("anna", "x", gid, [])))
    path = tmp_path / kind
    if kind == "file":
        path.touch(mode=0o600)
    else:
        path.mkdir(mode=0o700)
    look: Callable[[], object] = (lambda: read_private(path)) if kind == "file" else (lambda: check_folder(path))
    path.chmod(0o760)
    look()
    nobody = 2**32 - 1
    entries = [(0x01, 7, nobody), (0x02, 6, SOMEBODY), (0x04, 0, nobody), (0x10, 6, nobody), (0x20, 0, nobody)]
    listed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", listed)
    except OSError:
        pytest.skip("this file system keeps no lists")
    with pytest.raises(ConfigurationError, match="others may write"):
        look()


@pytest.mark.parametrize("above", [0, 1])
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, above: int, mode: int) -> None:
    """The one of the file and the ones above it: who may write there may swap what is in it."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True, mode=0o700)
    for each in (tmp_path / "a", folder):
        each.chmod(0o700)
    (folder / "file").touch(mode=0o600)
    os.close(open_private(folder / "file"))
    [folder, folder.parent][above].chmod(mode)
    for call in (
        lambda: open_private(folder / "file"),
        lambda: check_folder(folder),
        lambda: make_folder(folder / "c"),
    ):
        with pytest.raises(ConfigurationError, match="others may write"):
            call()
    assert not (folder / "c").exists()


def test_a_folder_of_another_user_is_refused(tmp_path: Path, give_away: Callable[[Path], None]) -> None:
    """Its owner may do with it what he likes."""
    (tmp_path / "theirs").mkdir(mode=0o700)
    give_away(tmp_path / "theirs")
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        check_folder(tmp_path / "theirs")


def test_a_folder_for_everybody_may_be_on_the_way_and_holds_nothing(tmp_path: Path) -> None:
    """As /tmp is: nobody replaces there what others have, and everybody may plant what is not there yet."""
    everybodys = tmp_path / "everybodys"
    everybodys.mkdir()
    everybodys.chmod(0o1777)
    assert make_folder(everybodys / "mine") == everybodys / "mine"
    with pytest.raises(ConfigurationError, match="others may write"):
        check_folder(everybodys)


def test_a_link_of_ones_own_on_the_way_is_followed_and_judged_by_where_it_leads(
    tmp_path: Path, give_away: Callable[[Path], None]
) -> None:
    """The folders behind it, too; and one that somebody else made is not."""
    behind = tmp_path / "behind" / "folder"
    behind.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to("behind/../behind/folder")
    assert check_folder(link) == behind
    behind.parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match="others may write"):
        check_folder(link)
    behind.parent.chmod(0o700)
    give_away(link)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        check_folder(link)


def test_links_in_a_circle_have_an_end(tmp_path: Path) -> None:
    """Not an endless way."""
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ConfigurationError, match="more than 40 links"):
        check_folder(tmp_path / "a")


def test_what_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    """An absent file is an error of its own."""
    for path in (tmp_path / "none", tmp_path / "none" / "file"):
        with pytest.raises(FileNotFoundError):
            open_private(path)
    (tmp_path / "file").touch(mode=0o600)
    with pytest.raises(NotADirectoryError):
        open_private(tmp_path / "file" / "file")


# Files that a library opens by name.


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "writable", "absent", "good"])
def test_a_file_is_judged_alike_whoever_opens_it(tmp_path: Path, kind: str) -> None:
    """By name or by handle: the same are refused, and one of one's own is closed to others when it is to be written."""
    path = tmp_path / "file"
    if kind == "absent":
        assert not check_file(path)
        assert not check_file(tmp_path / "none" / "file")
        with pytest.raises(FileNotFoundError):
            read_private(path)
        return
    if kind in ("writable", "good"):
        path.write_text("mine")
        path.chmod(0o666 if kind == "writable" else 0o644)
    else:
        {"link": lambda: path.symlink_to("none"), "fifo": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    if kind == "good":
        assert (check_file(path), _mode(path), read_private(path)) == (True, 0o644, b"mine")
        assert (check_file(path, writes=True), _mode(path)) == (True, 0o600)
        return
    for look in (check_file, read_private):
        with pytest.raises(ConfigurationError, match=r"others may write|not a regular file"):
            look(path)


def test_a_file_that_goes_while_it_is_judged_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal of another writer, say."""
    path, lstat = tmp_path / "file", Path.lstat

    def gone(self: Path) -> os.stat_result:
        found = lstat(self)
        if self == path:
            path.unlink()
        return found

    path.touch(mode=0o600)
    monkeypatch.setattr(Path, "lstat", gone)
    assert not check_file(path, writes=True)


def test_to_judge_a_file_ends_no_lock(tmp_path: Path) -> None:
    """A process that closes a file gives up all its locks on it (POSIX): SQLite would write beside another writer."""
    import fcntl

    path = tmp_path / "file"
    path.touch(mode=0o600)
    with path.open("rb+") as mine:
        fcntl.lockf(mine, fcntl.LOCK_EX)
        assert check_file(path, writes=True)
        child = os.fork()
        if not child:
            try:
                with path.open("rb+") as theirs:
                    fcntl.lockf(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os._exit(3)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def test_what_would_be_made_is_known_before_it_is(tmp_path: Path) -> None:
    """Who will need a folder can ask first: nothing is made, and what would be refused is."""
    wanted = tmp_path / "a" / "b"
    assert check_makeable(wanted) == [wanted, wanted.parent]
    assert list(tmp_path.iterdir()) == []
    make_folder(wanted)
    assert check_makeable(wanted) == []
    wanted.chmod(0o777)
    for one in (wanted, wanted / "c"):
        with pytest.raises(ConfigurationError, match="others may write"):
            check_makeable(one)


# The file of settings.


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return where the settings are: a profile without a secret, which says where those of the environment go."""
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    path = config_path()
    make_folder(path.parent)
    path.write_text('[default]\nbase_url = "https://directory.example/v1"\n')
    path.chmod(0o644)
    return path


def test_settings_that_others_may_have_written_are_refused(settings: Path, give_away: Callable[[Path], None]) -> None:
    """Also those without a secret."""
    assert load(None) == Profile(base_url="https://directory.example/v1")
    for path in (settings, settings.parent):
        before = _mode(path)
        path.chmod(0o666 | before)
        with pytest.raises(ConfigurationError, match="others may write"):
            load(None)
        path.chmod(before)
    assert load(None).base_url
    give_away(settings)
    with pytest.raises(ConfigurationError, match="another user"):
        load(None)


def test_settings_that_are_a_pipe_are_not_waited_for(settings: Path) -> None:
    """Refused, at once."""
    settings.unlink()
    os.mkfifo(settings, 0o600)
    with pytest.raises(ConfigurationError, match="not a regular file"):
        load(None)


def test_settings_behind_a_link_are_judged_where_they_are(settings: Path, tmp_path: Path) -> None:
    """Whoever keeps settings elsewhere may link to them; a folder of everybody's is no place for them."""
    elsewhere = tmp_path / "dotfiles"
    elsewhere.mkdir(mode=0o700)
    settings.rename(elsewhere / "meitner.toml")
    settings.symlink_to(elsewhere / "meitner.toml")
    assert load(None).base_url
    elsewhere.chmod(0o777)
    with pytest.raises(ConfigurationError, match="others may write"):
        load(None)
