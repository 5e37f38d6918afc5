"""What a database's pages hold outside of their rows: copies of rows that were moved. Blocking.

The pages are read a block at a time, so that it takes the same memory for a file of any size. Knows the file format of
SQLite (https://www.sqlite.org/fileformat2.html), and no table.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_HEADERS = {2: 12, 10: 8, 13: 8}
"""The kinds of pages that hold values, by their first byte, and how long their headers are. Those of kind 5 hold the
numbers of pages and of rows, which may look like text; nothing else gets into them, for a page is zeroed before it
changes its kind (`secure_delete`)."""
_TEXT = re.compile(rb"[\x20-\xff]{3}")
"""What might be text. Pointers, sizes and other marks of a tree that are left in gaps are not."""
_FILE_HEADER = 100
"""Bytes before the header of the first page."""
_BLOCK = 1 << 20
"""Bytes that are read at a time: whole pages, whatever their size."""


def has_gaps(path: Path) -> bool:
    """Whether the unused part of a page of a database holds text; True, too, where that cannot be found out.

    Some connection of this process has to have it open, in a transaction, and its log has to be empty.
    """
    try:
        return any(_is_dirty(page, start) for page, start in _pages(path))
    except OSError:  # such as where there is no /dev/fd
        return True


def _pages(path: Path) -> Iterator[tuple[memoryview, int]]:
    """Yield each page, and where in it its header is."""
    size, start = 0, _FILE_HEADER
    for block in _blocks(path):
        size = size or _page_size(block)
        view = memoryview(block)
        for at in range(0, len(block), size):
            yield view[at : at + size], start
            start = 0


def _page_size(file: bytes) -> int:
    size = int.from_bytes(file[16:18], "big")
    return 65536 if size == 1 else size


def _is_dirty(page: memoryview, start: int) -> bool:
    """Whether there is text between the pointers to a page's cells and the first of these."""
    header = _HEADERS.get(page[start])
    if header is None:
        return False
    cells = int.from_bytes(page[start + 3 : start + 5], "big")
    end = int.from_bytes(page[start + 5 : start + 7], "big") or 65536
    return _TEXT.search(page[start + header + 2 * cells : end]) is not None


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file that SQLite has open."""
    if sys.platform == "win32":
        with path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                yield block
        return
    there = path.stat()
    handle, at = _open_handle(there), 0
    while block := os.pread(handle, _BLOCK, at):
        yield block
        at += len(block)
    if not os.path.samestat(os.fstat(handle), there):
        raise OSError(f"{path} was closed while it was read")


def _open_handle(file: os.stat_result) -> int:
    """Return a handle that this process has of a file. It is not the caller's to close.

    To open another and close it would end all locks that the process has on the file, SQLite's among them (POSIX).
    """
    for entry in Path("/dev/fd").iterdir():
        try:
            found = os.fstat(int(entry.name))
        except OSError:  # the handle of the listing itself
            continue
        if os.path.samestat(found, file):
            return int(entry.name)
    raise OSError("the file is not open in this process")
