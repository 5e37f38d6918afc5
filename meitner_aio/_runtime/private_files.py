"""Opens every file that holds secrets or rows; refuses one that anybody but its owner or root may write. Blocking.

Where another user may write, a file can be planted, swapped for a link, or be a pipe that never ends. So each folder
on the way is the owner's or root's and not writable by others, and a file is opened without following links, without
waiting, and only when it is a regular one. In a folder for everybody (`/tmp`, which is sticky) nobody replaces what
others have: such a one may be on the way, and may not hold the file.

Between the check of a folder and the use of a file in it lies no race: whoever could swap the file is the owner, or
root. So a library that opens by name, as SQLite does, may open what `check_file` let pass.

Windows has neither owners nor permissions of this kind: there only what is no regular file is refused.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from ..errors import ConfigurationError

_MOST_LINKS = 40
_SAFELY = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))  # those that this system has


def check_folder(folder: str | os.PathLike[str]) -> Path:
    """Return where a folder really is; `ConfigurationError` where others may write to it, or could swap it.

    Links on the way are followed when whoever may write is the only one who could have made them. Raises `OSError`
    for a folder that is not there.
    """
    last = _end_of(Path(folder))
    found = last.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{last} is no folder")
    _check(last, found)
    return last


def check_makeable(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the folders that `make_folder` would make, the innermost first. Raises what it would, and makes none."""
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
    """Return where a checked folder really is; what is missing is made for the owner alone, whatever the umask."""
    for one in reversed(check_makeable(folder)):
        try:
            one.mkdir(mode=0o700)
        except FileExistsError:  # somebody else made it: checked below
            continue
        one.chmod(0o700)
    return check_folder(folder)


def open_private(path: str | os.PathLike[str], flags: int = os.O_RDONLY, *, follow: bool = False) -> int:
    """Return a handle of a regular file that only its owner may change, in a folder that passes `check_folder`.

    One that is opened to be written is ours, and 0600 from now on; O_CREAT makes one that is. A link is refused, unless
    to `follow` it: then it is the file that it leads to, and the way there, that have to pass. Raises
    `ConfigurationError` for what may not be trusted, and `OSError` for what is not there.
    """
    path = _end_of(Path(path)) if follow else Path(path)
    path = check_folder(path.parent) / path.name
    writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
    try:
        handle = os.open(path, flags & ~os.O_TRUNC | _SAFELY, 0o600)
    except FileExistsError:  # O_EXCL: whatever has the name, it was not opened
        raise
    except OSError:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise ConfigurationError(f"{path} is a link, or no regular file: remove it") from None
        raise
    try:
        _admit(os.fstat(handle), path, writes=writes)
        if writes and sys.platform != "win32":
            os.fchmod(handle, 0o600)
        if flags & os.O_TRUNC:
            os.ftruncate(handle, 0)
    except BaseException:
        os.close(handle)
        raise
    return handle


def read_private(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file that passes `open_private`; raises what it raises."""
    with open(open_private(path), "rb") as file:
        return file.read()


def check_file(path: str | os.PathLike[str], *, writes: bool = False) -> bool:
    """Whether there is a file, which then passes as `open_private` lets pass what it opens; with `writes` it is 0600.

    It is not opened, for to close a file ends all locks that this process has on it, SQLite's among them (POSIX).
    """
    path = Path(path)
    try:
        path = check_folder(path.parent) / path.name
        _admit(path.lstat(), path, writes=writes)
        if writes and sys.platform != "win32":
            path.chmod(0o600)
    except FileNotFoundError:  # a journal of SQLite's comes and goes
        return False
    return True


def _admit(found: os.stat_result, path: Path, *, writes: bool) -> None:
    """Refuse a file that is not regular, or that others may have written; one that is to be written must be ours."""
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"{path} is a link, or no regular file: remove it")
    _check(path, found, root=not writes)


def _check(path: Path, found: os.stat_result, *, sticky: bool = False, root: bool = True) -> None:
    """Refuse what another user owns or may write to; `sticky` folders pass: nobody replaces there what others have."""
    if sys.platform == "win32":
        return
    if found.st_uid != os.geteuid() and not (root and found.st_uid == 0):
        raise ConfigurationError(f"{path} belongs to another user: use a place of your own")
    if stat.S_ISLNK(found.st_mode):  # the permissions of a link mean nothing
        return
    if _others_may_write(path, found) and not (sticky and found.st_mode & stat.S_ISVTX):
        raise ConfigurationError(f"others may write to {path}: chmod go-w {path}")


def _others_may_write(path: Path, found: os.stat_result) -> bool:
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and (_names_others(path) or not _is_alone(found))


def _names_others(path: Path) -> bool:
    """Whether an ACL (POSIX) gives rights to others: the group's bits are then the mask of all of them."""
    if sys.platform != "linux":
        return False
    try:
        return bool(os.getxattr(path, "system.posix_acl_access", follow_symlinks=False))
    except OSError:  # there is none, or the file system has none
        return False


def _is_alone(found: os.stat_result) -> bool:
    """Whether a group has nobody in it but the owner, as the private groups have that many systems give their users.

    There the usual umask is 002, and every folder of a user's writable by that group. As OpenSSH judges it on Debian.
    """
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
    """Return where a path leads, once everything before its end was checked."""
    *above, last = _way(path)
    for folder in above:
        _check(folder, folder.stat(), sticky=True)
    return last


def _way(path: Path) -> Iterator[Path]:
    """Yield every place that decides where a path leads, from the root down, links followed; the last is its end."""
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
            raise ConfigurationError(f"{path} is behind too many links")
        _check(step, found)
        target = Path(step.readlink())
        left.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
        if target.is_absolute():
            here = Path(target.anchor)
