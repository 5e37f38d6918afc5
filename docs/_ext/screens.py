"""What a terminal showed, as SVG: lines of text and bars, light or dark, one screen after another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from rich.text import Text

if TYPE_CHECKING:
    from rich.style import Style

Screen: TypeAlias = tuple[str, ...]
"""The lines of a screen, with the sequences that colour them."""

_PIECE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|[\r\n]|[^\x1b\r\n]+|\x1b")

_THEMES = {
    "light": {
        "page": "#fbfcfd",
        "edge": "#d0d7de",
        "text": "#1f2328",
        "dim": "#59636e",
        "green": "#1a7f37",
        "full": "#729c1f",
        "part": "#c0246b",
        "rest": "#d0d7de",
    },
    "dark": {
        "page": "#0d1117",
        "edge": "#3d444d",
        "text": "#e6edf3",
        "dim": "#9198a1",
        "green": "#3fb950",
        "full": "#8fbf2f",
        "part": "#f92672",
        "rest": "#3d444d",
    },
}
_COLOURS = {"#729c1f": "full", "#f92672": "part", "color(237)": "rest", "color(2)": "green"}
"""Rich's colours, of its bars first, by the names that they have here."""
_FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono','DejaVu Sans Mono',monospace"

_SIZE, _WIDE, _HIGH = 14, 8.4, 20
"""Of a letter: its size, how much it takes of a line, how high a line is."""
_EDGE, _TOP = 16, 30
_BARS = {"━": (0.0, 1.0), "╸": (0.0, 0.5), "╺": (0.5, 1.0)}
"""Which part of its place a character of a bar fills."""

_TYPING, _STAY = 1.0, 1.2
"""Seconds that the command takes to appear, and that each screen but the last stays."""
_STAGES = 3
"""Most screens before the last: what moves for longer than five seconds has to have a way to stop it (WCAG 2.2.2)."""


class _Terminal:
    """What stands on a terminal to which whole lines are written, and erased before they are written again."""

    def __init__(self) -> None:
        self.screens: list[Screen] = []
        """What stood there whenever something was about to be erased."""
        self._lines = [""]
        self._at = 0
        self._fresh = self._returned = False

    def take(self, said: str, number: str | None, code: str | None) -> None:
        """Take a piece of output: a sequence with its number and code, the end of a line, or text."""
        if said == "\n":
            self._at += 1
            self._lines += [""] * (self._at == len(self._lines))
        elif code == "A":
            self.keep()
            self._at -= int(number or 1)
        elif code == "K":
            self.keep()
            self._lines[self._at] = ""
        elif said != "\r" and code in (None, "m") and said != "\x1b":
            self._write(said)
        elif said != "\r" and said not in ("\x1b[?25l", "\x1b[?25h"):  # the cursor goes and comes
            raise ValueError(f"the output has a sequence that is not known here: {said!r}")
        self._returned = said == "\r"

    def _write(self, text: str) -> None:
        if self._returned and self._lines[self._at]:
            raise ValueError("a line was written over without being erased")
        self._lines[self._at] += text
        self._fresh = True

    def keep(self) -> None:
        """Keep what stands there, unless it was kept already."""
        if self._fresh:
            used = [number for number, line in enumerate(self._lines, 1) if line]
            self.screens.append(tuple(self._lines[: used[-1] if used else 0]))
        self._fresh = False


def shown(output: str) -> list[Screen]:
    """Return the screens of a command's output, the last one as it stayed.

    Knows what rich writes; raises `ValueError` for anything else.
    """
    terminal = _Terminal()
    for piece in _PIECE.finditer(output):
        terminal.take(piece[0], piece[1], piece[2])
    terminal.keep()
    return terminal.screens


def words(screen: Screen) -> list[str]:
    """Return the lines of a screen without colours."""
    return [Text.from_ansi(line).plain.rstrip() for line in screen]


def drawn(command: str, screens: Sequence[Screen], theme: str) -> str:
    """Return the SVG: the command, and below it the last screen, after some of those before."""
    *stages, end = screens
    stages = stages[:: -(-len(stages) // _STAGES) or 1]
    prompt = f"$ {command}"
    said = [prompt, *words(end)]
    widest = max(len(line) for line in [*said, *(line for screen in stages for line in words(screen))])
    width, height = round(widest * _WIDE) + 2 * _EDGE, _TOP + _HIGH * (1 + max(map(len, screens))) + _EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        "<title>What the command prints</title><desc>" + escape("\n".join(said)) + "</desc>",
        f"<style>{_styles(_THEMES[theme], len(stages), len(prompt))}</style>",
        f'<rect class="page" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>',
        *(f'<circle class="rest" cx="{_EDGE + 6 + 18 * dot}" cy="16" r="5"/>' for dot in range(3)),
        _group('class="typed"', [prompt], 0),
        *(_group(f'class="s{number}" visibility="hidden"', stage, 1) for number, stage in enumerate(stages)),
        _group('class="last"', end, 1),
    ]
    return "\n".join([*parts, "</svg>\n"])


def _styles(colours: dict[str, str], stages: int, typed: int) -> str:
    """Return the styles. With motion, each screen but the last is shown in its time, once; without, none of them."""
    fills = [f".{name}{{fill:{colours[name]}}}" for name in ("page", "text", "dim", "green", "full", "part", "rest")]
    still = [f"text{{font:{_SIZE}px {_FONT};white-space:pre}}.bold{{font-weight:700}}.page{{stroke:{colours['edge']}}}"]
    moving = [
        "@keyframes type{from{clip-path:inset(0 100% 0 0)}}",
        "@keyframes show{to{visibility:visible}}@keyframes wait{from{visibility:hidden}}",
        f".typed{{animation:type {_TYPING}s steps({typed})}}",
        *(f".s{n}{{animation:show {_STAY}s step-start {_TYPING + n * _STAY:.1f}s}}" for n in range(stages)),
        f".last{{animation:wait {_TYPING + stages * _STAY:.1f}s step-end}}",
    ]
    return "".join([*still, *fills, "@media (prefers-reduced-motion:no-preference){", *moving, "}"])


def _group(look: str, lines: Iterable[str], first: int) -> str:
    runs = (_drawn(run, number) for number, line in enumerate(lines, first) for run in _runs(Text.from_ansi(line)))
    return f"<g {look}>{''.join(runs)}</g>"


class _Run(NamedTuple):
    """Characters of one look."""

    column: int
    text: str
    look: str


def _runs(line: Text) -> Iterator[_Run]:
    """Yield what stands together and looks alike, each at its column, which no font moves."""
    looks = ["text"] * len(line)
    for span in line.spans:
        looks[span.start : span.end] = [_look(span.style)] * (span.end - span.start)
    column = 0
    for (look, _), group in groupby(zip(looks, line.plain, strict=True), key=lambda of: (of[0], of[1] in _BARS)):
        text = "".join(letter for _, letter in group)
        for word in re.finditer(r"\S+(?: \S+)*", text):
            yield _Run(column + word.start(), word[0], look)
        column += len(text)


def _look(style: Style | str) -> str:
    """Return the class of a style. Raises `KeyError` for a colour that has no name here."""
    if isinstance(style, str):
        return "text"
    if style.color is not None and not style.color.is_default:
        return _COLOURS[style.color.triplet.hex if style.color.triplet else style.color.name]
    return "dim" if style.dim else "text bold" if style.bold else "text"


def _drawn(run: _Run, line: int) -> str:
    top, text = _TOP + _HIGH * line, run.text
    if text[0] not in _BARS:
        place = f'x="{_EDGE + run.column * _WIDE:.1f}" y="{top + _SIZE}" textLength="{len(text) * _WIDE:.1f}"'
        return f'<text class="{run.look}" {place} lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
    begin, end = run.column + _BARS[text[0]][0], run.column + len(text) - 1 + _BARS[text[-1]][1]
    place = f'x="{_EDGE + begin * _WIDE:.1f}" y="{top + 8}" width="{(end - begin) * _WIDE:.1f}"'
    return f'<rect class="{run.look}" {place} height="3"/>'
