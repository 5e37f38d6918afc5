"""Runs a harness under atheris: `python tests/fuzz/page.py -max_total_time=60`. The flags are those of libFuzzer.

A harness is a function of bytes that returns for good ones and bad ones alike; whatever it raises is a bug found. Each
also has a `CORPUS`: inputs to begin with, on which the test suite runs every harness without atheris.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

BOUNDS = ("-timeout=2", "-rss_limit_mb=1024", "-max_len=65536")
"""Seconds for one input, and memory for the whole: what takes more is a bug, too."""


def instrumented(name: str) -> AbstractContextManager[object]:
    """Return a block in which imports of the package are instrumented, when the module called `name` is the program."""
    if name != "__main__":
        return nullcontext()
    import atheris

    return atheris.instrument_imports(include=["meitner_aio"])


def run(harness: Callable[[bytes], None], corpus: Iterable[bytes]) -> None:
    """Fuzz until a bug is found, or what the command line says."""
    import atheris

    with TemporaryDirectory() as folder:
        for number, data in enumerate(corpus):
            (Path(folder) / str(number)).write_bytes(data)
        atheris.Setup([sys.argv[0], *BOUNDS, *sys.argv[1:], folder], harness)
        atheris.Fuzz()
