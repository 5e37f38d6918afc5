"""Tables of benchmarks: what a terminal and the documentation show of them."""

import pytest
from _tables import Column, Facts, Results, Row, Table, as_markdown, as_text, described, ratio, renewed, section


def _table(**choices):
    rows = [
        Row("meitner_aio", {"cpu": 2.0, "rows": 100_000}),
        Row("by hand", {"cpu": 1.5, "rows": 100_000, "ratio": 0.7}),
        Row("official", {"cpu": 50.0}),
    ]
    columns = [Column("cpu", "CPU, µs"), Column("rows", "rows", 0)]
    return Table("listing", "Listing", columns, rows, "cpu", "µs of CPU a row", **choices)


RESULTS = Results(
    Facts("2026-11-29", "CPython 3.11.7", "Linux x86_64, 2 processors", {"msgspec": "0.21"}, "python run.py"),
    [_table(rounds=5, notes=["By hand: no proof."])],
)


def test_text_is_aligned_and_leaves_out_what_was_not_measured():
    """Numbers stand below their headings; a peer without a number has none, and not a zero."""
    assert as_text(_table()).splitlines() == [
        "",
        "Listing",
        "",
        "             CPU, µs     rows   ratio",
        "meitner_aio      2.0  100,000   1.00x",
        "by hand          1.5  100,000   0.70x",
        "official        50.0           25.00x",
    ]


def test_a_ratio_is_that_of_the_rounds_where_there_is_one():
    """Paired ratios are kept; others are to the first row, and to a first row of nothing there is none."""
    told = _table()
    assert [ratio(told, row) for row in told.rows] == [1.0, 0.7, 25.0]
    told.rows[0].values["cpu"] = 0.0
    assert ratio(told, told.rows[2]) is None


def test_markdown_has_a_column_for_each_number():
    """Numbers are set to the right, and every line has as many cells."""
    head, rule, *rows = as_markdown(_table()).splitlines()
    assert head == "|  | CPU, µs | rows | ratio |"
    assert rule == "| --- | ---: | ---: | ---: |"
    assert rows[2] == "| official | 50.0 |  | 25.00x |"
    assert {line.count("|") for line in (head, rule, *rows)} == {5}


def test_a_section_says_what_its_numbers_depend_on():
    """Both pictures, the rounds, what a peer does less, machine, versions, date and command."""
    said = section(RESULTS)
    for needed in (
        'srcset="figures/listing-dark.svg"', 'src="figures/listing-light.svg"', "medians of 5 rounds", "- By hand: no proof.",
        "CPython 3.11.7", "Linux x86_64", "msgspec 0.21", "2026-11-29", "`python run.py`",
    ):  # fmt: skip
        assert needed in said
    assert "**Listing**, one round" in section(Results(RESULTS.facts, [_table()]))


def test_a_description_ends_no_attribute():
    """It stands in `alt`: quotes and angle brackets are left out of it."""
    odd = _table()
    odd.rows[1].name = '"><script>'
    assert not {'"', "<", "&"} & set(described(odd))


def test_only_what_stands_between_the_marks_is_replaced():
    """Text around them stays, and figures that were not made anew stay as they are."""
    page = "a\n<!-- figures: one -->\nold\n<!-- /figures -->\nb\n<!-- figures: two -->\nkept\n<!-- /figures -->\nc\n"
    new = renewed(page, {"one": "new"})
    assert new == page.replace("\nold\n", "\n\nnew\n\n")
    assert renewed(new, {"one": "new"}) == new


def test_a_mark_without_an_end_is_refused():
    """Else the rest of the page would be lost."""
    with pytest.raises(ValueError, match="figures of one have no end"):
        renewed("<!-- figures: one -->\nand the rest of the page", {"one": "new"})
