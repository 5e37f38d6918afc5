"""Bars of a table as SVG, in a light and a dark version. Pure; no script, no font but the reader's, nothing to install.

The picture is as wide as 480 of its units and says everything in two sizes of text, so that it is read at 400 pixels as
at 1,200. Names stand above their bars: a long one takes nothing from the bar.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from xml.sax.saxutils import escape

from _tables import Row, Table, described, drawn_column, number, ratio

WIDTH, MARGIN = 480, 16
TEXT, SMALL = 16, 14
LINE, BAR, GAP = 21, 12, 15
A_CHARACTER = 0.58
"""Width of a character of a sans-serif font, at most, as a part of its size."""


class Theme(NamedTuple):
    """Colours, each of enough contrast on the first."""

    paper: str
    ink: str
    faint: str
    track: str
    ours: str
    theirs: str


THEMES = {
    "light": Theme("#ffffff", "#1f2328", "#59636e", "#eaeef2", "#0969da", "#818b98"),
    "dark": Theme("#0d1117", "#f0f6fc", "#9198a1", "#21262d", "#4493f8", "#6e7681"),
}


def bars(table: Table, theme: str) -> str:
    """Return the picture of a table: a bar for each row that has a value, its number and its ratio to the first."""
    colours = THEMES[theme]
    title = wrapped(table.title, WIDTH - 2 * MARGIN, TEXT)
    under = wrapped(f"{table.unit}; less is better", WIDTH - 2 * MARGIN, SMALL)
    top = MARGIN + LINE * (len(title) + len(under)) + GAP // 2
    shown = [row for row in table.rows if table.bars in row.values]
    height = top + len(shown) * (LINE + BAR + GAP) + MARGIN - GAP // 2
    body = [
        *_lines(title, MARGIN + TEXT, f'font-size="{TEXT}" font-weight="600" fill="{colours.ink}"'),
        *_lines(under, MARGIN + LINE * len(title) + SMALL, f'font-size="{SMALL}" fill="{colours.faint}"'),
        *(piece for place, row in enumerate(shown) for piece in _bar(table, row, place, top, colours)),
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-labelledby="t" font-family="system-ui, sans-serif">'
    )
    said = f'<title id="t">{escape(described(table))}</title>'
    paper = f'<rect width="{WIDTH}" height="{height}" rx="6" fill="{colours.paper}"/>'
    return "\n".join([head, said, paper, *body, "</svg>", ""])


def _lines(lines: list[str], top: int, style: str) -> Iterator[str]:
    for place, line in enumerate(lines):
        yield f'<text x="{MARGIN}" y="{top + place * LINE}" {style}>{escape(line)}</text>'


def _bar(table: Table, row: Row, place: int, top: int, colours: Theme) -> Iterator[str]:
    value, longest = row.values[table.bars], max(other.values.get(table.bars, 0) for other in table.rows)
    against = ratio(table, row)
    y, room = top + place * (LINE + BAR + GAP), WIDTH - 2 * MARGIN
    told = number(value, drawn_column(table).digits) + ("" if against is None else f"  ({against:.2f}x)")
    style = f'y="{y + SMALL}" font-size="{SMALL}" fill="{colours.ink}"'
    name = cut(row.name, room - len(told) * SMALL * A_CHARACTER - GAP, SMALL)
    length = max(1.0, room * value / longest) if longest else 1.0
    shape = f'x="{MARGIN}" y="{y + LINE}" height="{BAR}" rx="3"'
    ours = place == 0 or row.name.startswith("meitner_aio")
    yield f'<text x="{MARGIN}" {style}>{escape(name)}</text>'
    yield f'<text x="{WIDTH - MARGIN}" text-anchor="end" {style}>{escape(told)}</text>'
    yield f'<rect {shape} width="{room}" fill="{colours.track}"/>'
    yield f'<rect {shape} width="{length:.1f}" fill="{colours.ours if ours else colours.theirs}"/>'


def _characters(width: float, size: int) -> int:
    return int(width / (size * A_CHARACTER) + 1e-9)


def cut(text: str, width: float, size: int) -> str:
    """Return the text, shortened to a width."""
    most = _characters(width, size)
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def wrapped(text: str, width: float, size: int) -> list[str]:
    """Return the text in lines of a width."""
    most, lines = _characters(width, size), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) > most and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
