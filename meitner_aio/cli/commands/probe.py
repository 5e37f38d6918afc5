"""What a probe found out about a server, and how a person sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from ... import __version__
from ...drift import differences
from ...probe import Answer, Asker, Finding, Undetermined, openapi, probe
from ..rendering.amounts import counted
from ..rendering.output import columns, wrapped, write, write_table

_SHOWN = 100
"""Differences that are shown to people; a document with more of them is of another API."""


class Drift(Struct, frozen=True):
    """How the server's openapi.json compares with this version."""

    compared: bool
    reason: str = ""
    """Why it could not be compared."""
    differences: list[str] = []


class Probed(Struct, frozen=True):
    """All that was found out."""

    requests: int
    findings: list[Finding]
    drift: Drift


async def probed(asker: Asker, answers: Mapping[str, Answer], sleep: Callable[[float], Awaitable[object]]) -> Probed:
    """Ask the open questions, and compare what the server says of itself."""
    findings = await probe(asker, answers, sleep=sleep)
    try:
        drift = Drift(compared=True, differences=differences(await openapi(asker)))
    except Undetermined as reason:
        drift = Drift(compared=False, reason=str(reason))
    return Probed(asker.requests, findings, drift)


def draw_probe(found: Probed) -> None:
    """Write a line for each question, then a line for each difference. `?` means undetermined."""
    rows = [["question", "", "answer"]]
    rows += ([one.question, "" if one.value is not None else "?", one.answer] for one in found.findings)
    lines = found.drift.differences
    if not found.drift.compared:
        rows.append(["openapi.json", "?", found.drift.reason])
    else:
        said = f"{counted(len(lines), 'difference')} from" if lines else "agrees with"
        rows.append(["openapi.json", "", f"{said} what meitner-aio {__version__} expects"])
    more = [f"and {counted(len(lines) - _SHOWN, 'difference')} more; --json shows all"] if len(lines) > _SHOWN else []
    spent = f"{counted(found.requests, 'request')} sent, all of them reads"
    note = "\n".join(filter(None, (wrapped([*lines[:_SHOWN], *more]), f"\n{spent}" if lines else spent)))
    write("\n")
    write_table(rows, styles={"?": "yellow"}, wrapped=frozenset({2}), note=f"\n{note}", width=columns())
