"""Opens every file that holds secrets or rows; refuses one that anybody but its owner or root may write. Blocking.

Where another user may write, a file can be planted, swapped for a link, or be a pipe that never ends. So every folder
on the path must belong to the user or root and be writable by nobody else. A file is opened without following links and
without blocking, and only if it is a regular file. A sticky folder, such as `/tmp`, may be on the path, because users
cannot replace each other's files there; it may not hold the file itself.

There is no race between the check of a folder and the use of a file in it: only the owner or root could swap the file.
So a library that opens by name, as SQLite does, may open a file that passed `check_file`.

Windows has no owners and permissions of this kind: only files that are not regular are refused there. Where a file
system keeps no permissions, `permissions` says so once.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from ..errors import ConfigurationError
from .permissions import remedy, restrict

_MOST_LINKS = 40
_SAFELY = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))  # those that this system has


def check_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the real path of a folder; `ConfigurationError` if others may write to it, or could replace it.

    Links on the path are followed where nobody else could have made them. Raises `OSError` if the folder does not
    exist.
    """
    last = _end_of(Path(folder))
    found = last.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{last} is not a folder")
    _check(last, found)
    return last


def check_makeable(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the folders that `make_folder` would make, the innermost first. Raises what it would; makes nothing."""
    path = Path(folder).absolute()
    missing: list[Path] = []
    while not os.path.lexists(path):
        missing.append(path)
        path = path.parent
    if not missing:
        check_folder(path)
        return missing
    last = _end_of(path)
    _check(last, last.stat(), sticky=True)
    return missing


def make_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the real path of a checked folder; missing folders are made with mode 0700, whatever the umask."""
    for one in reversed(check_makeable(folder)):
        try:
            one.mkdir(mode=0o700)
        except FileExistsError:  # another process made it: checked below
            continue
        restrict(one, 0o700)
    return check_folder(folder)


def open_private(path: str | os.PathLike[str], flags: int = os.O_RDONLY, *, follow: bool = False) -> int:
    """Return a descriptor of a regular file that only its owner may change, in a folder that passes `check_folder`.

    A file opened for writing must be the user's own, and gets mode 0600; O_CREAT makes it with that mode. A link is
    refused, unless `follow` is set: then its target, and the path to it, must pass. Raises `ConfigurationError` for a
    file that cannot be trusted, and `OSError` for one that does not exist.
    """
    path = _end_of(Path(path)) if follow else Path(path)
    path = check_folder(path.parent) / path.name
    writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
    try:
        handle = os.open(path, flags & ~os.O_TRUNC | _SAFELY, 0o600)
    except FileExistsError:  # O_EXCL: nothing was opened
        raise
    except OSError:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise ConfigurationError(f"{path} is a link or not a regular file: remove it") from None
        raise
    try:
        _admit(os.fstat(handle), path, writes=writes)
        if writes:
            restrict(path, 0o600, handle)
        if flags & os.O_TRUNC:
            os.ftruncate(handle, 0)
    except BaseException:
        os.close(handle)
        raise
    return handle


def read_private(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file; raises what `open_private` raises."""
    with open(open_private(path), "rb") as file:
        return file.read()


def check_file(path: str | os.PathLike[str], *, writes: bool = False) -> bool:
    """Whether a file exists; raises what `open_private` raises for one that fails. With `writes` it gets mode 0600.

    It is not opened: closing a file drops every lock that this process has on it, including SQLite's (POSIX).
    """
    path = Path(path)
    try:
        path = check_folder(path.parent) / path.name
        _admit(path.lstat(), path, writes=writes)
        if writes:
            restrict(path, 0o600)
    except FileNotFoundError:  # a journal of SQLite comes and goes
        return False
    return True


def _admit(found: os.stat_result, path: Path, *, writes: bool) -> None:
    """Refuse a file that is not regular, or that others may have written. With `writes` it must be the user's own."""
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"{path} is a link or not a regular file: remove it")
    _check(path, found, root=not writes)


def _check(path: Path, found: os.stat_result, *, sticky: bool = False, root: bool = True) -> None:
    """Refuse what another user owns or may write to. `sticky` lets sticky folders pass."""
    if sys.platform == "win32":
        return
    if found.st_uid != os.geteuid() and not (root and found.st_uid == 0):
        raise ConfigurationError(f"{path} belongs to another user: use a folder of your own")
    if stat.S_ISLNK(found.st_mode):  # the permissions of a link mean nothing
        return
    if _others_may_write(path, found) and not (sticky and found.st_mode & stat.S_ISVTX):
        raise ConfigurationError(f"others may write to {path}: {remedy(path, found.st_dev, 'go-w')}")


def _others_may_write(path: Path, found: os.stat_result) -> bool:
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and (_names_others(path) or not _is_alone(found))


def _names_others(path: Path) -> bool:
    """Whether a POSIX ACL gives rights to others: the group bits are then the mask of all its entries."""
    if sys.platform != "linux":
        return False
    try:
        return bool(os.getxattr(path, "system.posix_acl_access", follow_symlinks=False))
    except OSError:  # there is none, or the file system has none
        return False


def _is_alone(found: os.stat_result) -> bool:
    """Whether a group has no member but the owner, as the private groups that many systems give their users.

    There the usual umask is 002, so that every folder of a user is writable by that group. OpenSSH on Debian decides
    the same way.
    """
    if sys.platform == "win32":
        return False
    import grp
    import pwd

    try:
        owner, group = pwd.getpwuid(found.st_uid), grp.getgrgid(found.st_gid)
    except KeyError:
        return False
    own = group.gr_gid == owner.pw_gid and group.gr_name == owner.pw_name
    if not own or set(group.gr_mem) - {owner.pw_name}:
        return False
    # A group does not list the users whose primary group it is.
    return all(one.pw_uid == owner.pw_uid for one in pwd.getpwall() if one.pw_gid == group.gr_gid)


def _end_of(path: Path) -> Path:
    """Return where a path leads, after checking every folder on it."""
    *above, last = _way(path)
    for folder in above:
        _check(folder, folder.stat(), sticky=True)
    return last


def _way(path: Path) -> Iterator[Path]:
    """Yield every place that decides where a path leads, from the root down, links followed; the last is its target."""
    left = list(reversed(path.absolute().parts))
    here, links = Path(left.pop()), 0
    yield here
    while left:
        step = here / left.pop()
        found = step.lstat()
        if not stat.S_ISLNK(found.st_mode):
            here = here.parent if step.name == ".." else step
            yield here
            continue
        links += 1
        if links > _MOST_LINKS:
            raise ConfigurationError(f"{path} leads through more than {_MOST_LINKS} links")
        _check(step, found)
        target = Path(step.readlink())
        left.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
        if target.is_absolute():
            here = Path(target.anchor)
