"""Bars as SVG: nothing but shapes and text, readable in both themes, and true."""

import re
from xml.etree import ElementTree as ET

import pytest
from _svg import A_CHARACTER, MARGIN, THEMES, WIDTH, bars, cut, wrapped
from _tables import Column, Row, Table

SVG = "{http://www.w3.org/2000/svg}"
LONG = "a peer whose name is far longer than any line of a picture that is 480 units wide & <more> than that"


def _table(*values, name="meitner_aio"):
    rows = [Row(name if place == 0 else f"peer {place}", {"cpu": value}) for place, value in enumerate(values)]
    return Table(
        "t", f"Listing 100,000 students & more, {LONG}", [Column("cpu", "CPU")], rows, "cpu", "µs of CPU a row"
    )


def _drawn(told, theme="light"):
    return ET.fromstring(bars(told, theme))


def _lengths(picture, theme="light"):
    colours = {THEMES[theme].ours, THEMES[theme].theirs}
    return [float(one.get("width")) for one in picture.iter(f"{SVG}rect") if one.get("fill") in colours]


@pytest.mark.parametrize("theme", THEMES)
def test_a_picture_needs_nothing_from_elsewhere(theme):
    """No script, no style sheet, no link, no image, no font but the reader's."""
    text = bars(_table(1, 2), theme)
    assert {one.tag.removeprefix(SVG) for one in _drawn(_table(1, 2), theme).iter()} == {"svg", "title", "rect", "text"}
    assert not re.search(r"href|url\(|@|<style|on\w+=", text)
    assert re.findall(r'font-family="([^"]*)"', text) == ["system-ui, sans-serif"]
    assert len(text) < 4000


def test_a_bar_is_as_long_as_its_number():
    """The longest takes the width, the others their part of it; nothing is a sliver that can be seen."""
    assert _lengths(_drawn(_table(10, 5, 2.5, 0))) == [448, 224, 112, 1]


def test_a_picture_of_nothing_but_zeros_is_drawn():
    """A benchmark may find that nothing was refused."""
    assert _lengths(_drawn(_table(0, 0))) == [1, 1]


def test_names_numbers_ratios_and_the_unit_are_there():
    """Also in the title, which is read out to those who do not see the bars."""
    picture = _drawn(_table(2, 5))
    texts = [one.text for one in picture.iter(f"{SVG}text")]
    assert {"meitner_aio", "peer 1", "2.0  (1.00x)", "5.0  (2.50x)", "µs of CPU a row; less is better"} <= set(texts)
    assert picture.find(f"{SVG}title").text.endswith("µs of CPU a row: meitner_aio 2.0; peer 1 5.0")
    assert picture.get("aria-labelledby") == picture.find(f"{SVG}title").get("id")


def test_what_has_no_number_has_no_bar():
    """A peer that could not be measured is no peer that costs nothing."""
    told = _table(1, 2, 3)
    del told.rows[1].values["cpu"]
    assert len(_lengths(_drawn(told))) == 2


def test_no_text_leaves_the_picture_or_runs_into_another():
    """Names are cut before their numbers begin; titles are wrapped."""
    picture = _drawn(_table(123_456_789, 1, name=LONG))
    lines = {}
    for one in picture.iter(f"{SVG}text"):
        width = len(one.text) * float(one.get("font-size")) * A_CHARACTER
        lines.setdefault(one.get("y"), []).append(width)
        assert float(one.get("y")) < float(picture.get("height"))
    assert max(sum(widths) for widths in lines.values()) <= WIDTH - 2 * MARGIN


def test_ours_stand_out():
    """The first row, and all that are this client, have another colour than the rest."""
    told = _table(3, 2, 1)
    told.rows[2].name = "meitner_aio, csv"
    colours = [one.get("fill") for one in _drawn(told).iter(f"{SVG}rect") if one.get("height") == "12"][1::2]
    ours, theirs = THEMES["light"].ours, THEMES["light"].theirs
    assert colours == [ours, theirs, ours]


def _luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one, other):
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_contrast_is_enough(theme):
    """By WCAG 2: 4.5 for text, 3 for shapes that mean something."""
    colours = THEMES[theme]
    assert min(_contrast(colours.paper, text) for text in (colours.ink, colours.faint)) >= 4.5
    assert min(_contrast(colours.paper, shape) for shape in (colours.ours, colours.theirs)) >= 3


def test_texts_are_cut_and_wrapped_by_their_width():
    """A word that is longer than a line has a line of its own."""
    assert cut("abcdef", 6 * 10 * A_CHARACTER, 10) == "abcdef"
    assert cut("abcdef", 5 * 10 * A_CHARACTER, 10) == "abcd…"
    assert wrapped("aa bb cccccccc d", 5 * 10 * A_CHARACTER + 1, 10) == ["aa bb", "cccccccc", "d"]
