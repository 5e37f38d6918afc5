"""Metrics of a service in Prometheus' text format, in a file that node_exporter's textfile collector reads.

Times and numbers by resource: no personal data, so that the file is readable by all (0644), the collector above all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from .._runtime.durable import remove, replace

Labels = tuple[tuple[str, str], ...]

_MODE = 0o644
_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_ESCAPED_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})


class Family(NamedTuple):
    """All samples of one name. Units are seconds and rows."""

    name: str
    kind: str
    """gauge or counter; the name of a counter ends in `_total`."""
    help: str
    samples: Mapping[Labels, float]


def text_of(families: Iterable[Family], common: Labels = ()) -> str:
    """Return families in the text format, those without samples left out; every sample has the labels in `common`."""
    return "".join(_family(one, common) for one in families if one.samples)


def _family(family: Family, common: Labels) -> str:
    lines = [f"# HELP {family.name} {family.help.translate(_ESCAPED_HELP)}", f"# TYPE {family.name} {family.kind}"]
    lines += [f"{family.name}{_braced((*common, *labels))} {value!r}" for labels, value in family.samples.items()]
    return "".join(f"{line}\n" for line in lines)


def _braced(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in labels)
    return f"{{{pairs}}}" if pairs else ""


def write(path: Path, text: str) -> None:
    """Put a text in the place of a file: who reads meanwhile reads the one before. Blocking.

    Raises `OSError`, and `MeitnerError` where another program holds the file.
    """
    beside = path.with_name(f".{path.name}.tmp")  # not *.prom, which the collector would read
    remove(beside)  # that of a process that was killed
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb") as file:
            file.write(text.encode())
        beside.chmod(_MODE)  # whatever the umask
        replace(beside, path)
    except BaseException:
        remove(beside)
        raise
