"""What a benchmark found, as a table: text for a terminal, Markdown for the documentation. Pure: measures nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import msgspec


class Column(msgspec.Struct, frozen=True):
    """One number of each row: its key there, its heading with the unit, and its digits behind the point."""

    key: str
    head: str
    digits: int = 1


class Row(msgspec.Struct):
    """One peer and its numbers; one that it lacks is left out."""

    name: str
    values: dict[str, float]


class Table(msgspec.Struct):
    """Peers side by side. The first row is this client, or what the others are compared to."""

    name: str
    title: str
    columns: list[Column]
    rows: list[Row]
    bars: str
    """The column that is drawn, and whose ratios to the first row are told."""
    unit: str
    """What a bar counts: `µs of CPU a row`."""
    rounds: int = 1
    notes: list[str] = []
    drawn: bool = True
    """Whether there is a picture of it."""


class Facts(msgspec.Struct):
    """What numbers depend on."""

    date: str
    python: str
    machine: str
    libraries: dict[str, str]
    command: str
    size: str = "full"


class Results(msgspec.Struct):
    """What one run of one benchmark found."""

    facts: Facts
    tables: list[Table]


def number(value: float | None, digits: int) -> str:
    """Return a number as it is read: thousands apart, nothing for what was not measured."""
    return "" if value is None else f"{value:,.{digits}f}"


def drawn_column(table: Table) -> Column:
    """Return the column of the bars."""
    return next(column for column in table.columns if column.key == table.bars)


def ratio(table: Table, row: Row) -> float | None:
    """Return how a row compares to the first one; by rounds, where the table was made so."""
    if "ratio" in row.values:
        return row.values["ratio"]
    first, value = table.rows[0].values.get(table.bars), row.values.get(table.bars)
    return value / first if first and value is not None else None


def _cells(table: Table) -> Iterator[list[str]]:
    yield ["", *(column.head for column in table.columns), "ratio"]
    for row in table.rows:
        against = ratio(table, row)
        numbers = [number(row.values.get(column.key), column.digits) for column in table.columns]
        yield [row.name, *numbers, "" if against is None else f"{against:.2f}x"]


def as_text(table: Table) -> str:
    """Return the table for a terminal."""
    lines = list(_cells(table))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    told = [_line(cells, widths) for cells in lines]
    return "\n".join(chain([f"\n{table.title}", ""], told, table.notes))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()


def as_markdown(table: Table) -> str:
    """Return the table for the documentation."""
    head, *rows = _cells(table)
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def told_facts(facts: Facts) -> str:
    """Return the facts as two lines."""
    libraries = ", ".join(f"{name} {version}" for name, version in facts.libraries.items())
    return f"{facts.python}, {facts.machine}\n{libraries}"


def section(results: Results, figures: str = "figures") -> str:
    """Return what the documentation says of one benchmark: pictures, tables, and what the numbers depend on."""
    parts = [part for table in results.tables for part in _of_table(table, figures)]
    facts = results.facts
    parts.append(f"`{facts.command}`, {facts.date}: {told_facts(facts).replace(chr(10), '; ')}.")
    return "\n\n".join(parts)


def _of_table(table: Table, figures: str) -> Iterator[str]:
    rounds = f", medians of {table.rounds} rounds" if table.rounds > 1 else ", one round"
    yield f"**{table.title}**{rounds}"
    if table.drawn:
        light, dark = (f"{figures}/{table.name}-{theme}.svg" for theme in ("light", "dark"))
        yield (
            f'<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="{dark}">\n'
            f'  <img src="{light}" width="600" alt="{described(table)}">\n</picture>'
        )
    yield as_markdown(table)
    if table.notes:
        yield "\n".join(f"- {note}" for note in table.notes)


def described(table: Table) -> str:
    """Return what the picture shows, for those who do not see it."""
    column = drawn_column(table)
    bars = [
        f"{row.name} {number(row.values[table.bars], column.digits)}" for row in table.rows if table.bars in row.values
    ]
    return f"{table.title}, {table.unit}: {'; '.join(bars)}".replace('"', "'").replace("<", "").replace("&", "and")


def renewed(page: str, sections: dict[str, str]) -> str:
    """Return a page with what stands between `<!-- figures: NAME -->` and `<!-- /figures -->` replaced.

    What has no section stays as it is.
    """
    end = "<!-- /figures -->"
    head, *parts = page.split("<!-- figures: ")
    told = [head]
    for part in parts:
        name, _, rest = part.partition(" -->")
        inside, closed, after = rest.partition(end)
        if not closed:
            raise ValueError(f"the figures of {name} have no end: {end} is missing")
        made = f"\n\n{sections[name]}\n\n" if name in sections else inside
        told.append(f"<!-- figures: {name} -->{made}{end}{after}")
    return "".join(told)
