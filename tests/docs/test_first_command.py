"""The picture of the README's first command shows what that command prints."""

from __future__ import annotations

import re
import sys
from html import unescape

import pytest

if sys.platform == "win32":
    pytest.skip("there are no terminals of this kind", allow_module_level=True)

from record import THEMES, figure, first_command, record
from screens import drawn, shown, words


def drawn_words(svg: str, group: str) -> list[str]:
    """Return the lines of a group of a picture, from what is drawn."""
    found = re.search(f'<g class="{group}"[^>]*>(.*?)</g>', svg, re.DOTALL)
    assert found is not None
    lines: dict[str, str] = {}
    for y, text in re.findall(r'<text [^>]*y="(\d+)"[^>]*>(.*?)</text>', found[1]):
        lines[y] = f"{lines.get(y, '')} {unescape(text)}".strip()
    return list(lines.values())


def without_numbers(lines: list[str]) -> list[str]:
    """Return lines that differ in words only: not in numbers, dates, sizes, times or how wide a column is."""
    text = "\n".join(" ".join(line.split()) for line in lines)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE", text)
    text = re.sub(r"[\d,.]+ (B|kB|MB)\b", "SIZE", text)
    text = re.sub(r"(under )?[\d,.]+ s\b", "TIME", text)
    return re.sub(r"\b[\d,.]+\b", "N", text).splitlines()


def test_the_picture_shows_what_the_command_prints() -> None:
    """Up to numbers; if not, `python docs/_ext/record.py` records it anew. The command is the README's."""
    command = first_command()
    printed = without_numbers(words(record(command)[-1]))
    assert printed[0].startswith("resource rows size time")
    for theme in THEMES:
        svg = figure(theme).read_text(encoding="utf-8")
        assert drawn_words(svg, "typed") == [f"$ {command}"]
        assert without_numbers(drawn_words(svg, "last")) == printed


@pytest.mark.parametrize("theme", THEMES)
def test_the_picture_is_small_and_alone(theme: str) -> None:
    """It asks for nothing from elsewhere, runs nothing, and without motion or styles shows the last screen only."""
    svg = figure(theme).read_text(encoding="utf-8")
    assert len(svg) < 100_000
    assert not re.search(r"<script|@import|@font-face|url\(|href|https?://(?!www\.w3\.org/2000/svg)", svg)
    still, moving = svg.split("@media (prefers-reduced-motion:no-preference){")
    assert "animation" not in still
    assert "animation" in moving
    stages = re.findall(r'<g class="s\d"[^>]*>', svg)
    assert stages
    assert all('visibility="hidden"' in stage for stage in stages)
    assert "visibility" not in re.search(r'<g class="last"[^>]*>', svg)[0]


def test_what_moves_ends_within_five_seconds() -> None:
    """However many screens were recorded; what moves longer would need a way to stop it (WCAG 2.2.2)."""
    svg = drawn("a", [(str(number),) for number in range(40)], "light")
    assert max(float(seconds) for seconds in re.findall(r"wait ([\d.]+)s", svg)) < 5
    assert drawn_words(svg, "last") == ["39"]


def test_bars_are_drawn_where_they_stood() -> None:
    """A bar is no text, which fonts would draw with gaps; text after it keeps its column."""
    svg = drawn("a", [("ab \x1b[38;2;114;156;31m━━\x1b[0m\x1b[38;5;237m╺━\x1b[0m <c>  d",)], "dark")
    assert re.findall(r'<rect class="(full|rest)" x="([\d.]+)" y="58" width="([\d.]+)"', svg) == [
        ("full", "41.2", "16.8"),
        ("rest", "62.2", "12.6"),
    ]
    assert re.findall(r'x="([\d.]+)" y="64"[^>]*>([^<]*)<', svg) == [
        ("16.0", "ab"),
        ("83.2", "&lt;c&gt;"),
        ("125.2", "d"),
    ]


@pytest.mark.parametrize(
    ("output", "screens"),
    [
        ("one\r\ntwo\r\n", [("one", "two")]),
        ("\x1b[?25lone\r\ntwo\r\x1b[2K\x1b[1A\x1b[2Kthree\r\n\x1b[?25h", [("one", "two"), ("three",)]),
        ("one\r\n\r\x1b[1A\x1b[2Kfour", [("one",), ("four",)]),
    ],
)
def test_screens_are_what_stood_there_before_it_was_erased(output: str, screens: list[tuple[str, ...]]) -> None:
    """As rich draws: up, erase, write again."""
    assert shown(output) == screens


@pytest.mark.parametrize("output", ["one\rtwo", "\x1b[5Gone", "\x1b]0;title\x07", "\x1b[?1049h", "one\x1b[2J"])
def test_output_of_another_kind_is_refused(output: str) -> None:
    """Better no picture than a wrong one."""
    with pytest.raises(ValueError, match=r"not known here|without being erased"):
        shown(output)
