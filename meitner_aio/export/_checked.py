"""Checks the options of an export that is to run later, for one directory or for many. No I/O."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ._run import check_writing
from ._selection import Selection, chosen
from .destinations._opening import check_store_options

if TYPE_CHECKING:
    from ..client import Meitner


def check_options(
    meitner: Meitner,
    resources: Iterable[str],
    *,
    to: str | os.PathLike[str],
    format: str | None = None,
    page_size: int | None = None,
    where: Mapping[str, object] | None = None,
    since: datetime | None = None,
    fields: Sequence[str] | None = None,
    limit: int | None = None,
    resume: bool = False,
    excel: bool = False,
    on_invalid: str = "raise",
    spool: str | os.PathLike[str] | None = None,
    keep_runs: int | None = None,
    **_others: object,
) -> None:
    """Raise the `TypeError` or `ValueError` that `export` would raise before any I/O, for any client alike."""
    selection = Selection.of(where, since, fields, limit=limit, page_size=page_size, on_invalid=on_invalid)
    chosen(meitner, resources, selection, where)
    check_writing(to, format, resume=resume, excel=excel)
    check_store_options(to, spool=spool, keep_runs=keep_runs)
