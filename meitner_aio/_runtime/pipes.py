"""A pipe whose reader has gone, as one error on every system."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def broken_pipes() -> Generator[None]:
    """Let writing to a standard stream in the block raise `BrokenPipeError`, also where the system says EINVAL.

    That is Windows, whose C runtime has no number for ERROR_NO_DATA (from its documentation; not run on that system).
    Of files EINVAL means something else, so the block must write to nothing but the stream.
    """
    try:
        yield
    except OSError as error:
        if sys.platform == "win32" and error.errno == errno.EINVAL:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None
        raise
