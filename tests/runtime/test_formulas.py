"""Text that a spreadsheet could take for a formula, and how it is told that it is none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meitner_aio._runtime.formulas import any_unsafe, guarded, plain


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+46701234567", "'+46701234567"),
        ("-", "'-"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\uff1d1", "'\uff1d1"),
        ("\t=1", "'\t'=1"),
        ("\r", "'\r"),
        ("\nx", "'\nx"),
        ("'=1", "''=1"),
        ("'\tx", "''\tx"),
        ('"=1', "'\"=1"),
        ("Ek;=1", "Ek;'=1"),
        ('Ek;"=1', "Ek;'\"=1"),
        ("Ek,=1", "Ek,'=1"),
        ("Ek\n-1", "Ek\n'-1"),
        ("Ek\r\n- en\r\n- två", "Ek\r\n'- en\r\n'- två"),
        ("", ""),
        ("'", "'"),
        ("'t Hooft", "'t Hooft"),
        ("Ek-Ask", "Ek-Ask"),
        ("a@b.example", "a@b.example"),
        ("Ek; Ask, Al", "Ek; Ask, Al"),
        ("1=1", "1=1"),
        (" =1", " =1"),
    ],
)
def test_what_could_be_a_formula_gets_an_apostrophe(text: str, safe: str) -> None:
    """Where a part of a cell begins with a sign, and nowhere else."""
    assert (guarded(text), plain(safe)) == (safe, text)


@pytest.mark.parametrize("sign", "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
def test_no_sign_that_owasp_names_is_forgotten(sign: str) -> None:
    """At the start of a cell, bare or behind quotes."""
    assert guarded(f"{sign}x") == f"'{sign}x"
    assert any_unsafe(["Bo", None, f"{sign}x"])


_HOSTILE = st.text(st.sampled_from("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n;'\" ,ax0"), max_size=10)


@settings(max_examples=300, deadline=None)
@given(_HOSTILE | st.text())
def test_the_apostrophes_can_be_taken_away_again(text: str) -> None:
    """Nothing is lost, whatever apostrophes a text had of its own."""
    assert plain(guarded(text)) == text


@settings(max_examples=300, deadline=None)
@given(st.lists(_HOSTILE | st.none()))
def test_a_look_at_many_texts_misses_none(texts: list[str | None]) -> None:
    """It may ask for a look at each where none needs a guard, and never the other way round."""
    assert any_unsafe(texts) >= any(guarded(text) != text for text in texts if text)
