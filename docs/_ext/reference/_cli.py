"""The page of the command line, made of the commands themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from cyclopts import App, ArgumentCollection, Group, Parameter
from cyclopts.help import HelpEntry, create_parameter_help_panel

from meitner_aio.cli import app

from ._markdown import code, escaped, fence, joined, table

_COLUMNS = re.compile(r"\S {2,}\S")
_EXAMPLE = re.compile(r"^Examples?: *(?=meitner-aio)", re.MULTILINE)
_COMMAND = re.compile(r"(?<!\n)\n(?=meitner-aio )")


def commands() -> list[str]:
    """Return the names of the commands, in the order in which `--help` lists them."""
    return [name for name in app if not name.startswith("-")]


def options(command: App) -> Iterator[tuple[Group, list[HelpEntry]]]:
    """Yield the groups of arguments of a command with what each takes, as its help does."""
    found: ArgumentCollection = command.assemble_argument_collection(
        default_parameter=Parameter.combine(app.default_parameter)
    )
    groups = {group.name: group for argument in found for group in argument.parameter.group or ()}
    for group in sorted(groups.values(), key=lambda one: (one.sort_key is not None, one.sort_key or 0)):
        inside = found.filter_by(group=group)
        entries = create_parameter_help_panel(group, inside, "plaintext").entries
        if entries:
            yield group, entries


def _option(entry: HelpEntry) -> tuple[str, str]:
    said = escaped(
        str(
            entry.description.primary_renderable
            if hasattr(entry.description, "primary_renderable")
            else entry.description
        )
    )
    choices = f"One of {', '.join(map(code, entry.choices))}." if entry.choices else ""
    default = f"Default: {code(entry.default)}." if entry.default else ""
    return code(", ".join(entry.display_labels_with_metavar)), " ".join(
        filter(None, [said, choices, default, "Required." if entry.required else ""])
    )


def told(docstring: str) -> str:
    """Return the docstring of a command, which is plain text: columns and examples become blocks."""
    return joined(*(_paragraph(one) for one in docstring.strip().split("\n\n")))


def _paragraph(text: str) -> str:
    if _EXAMPLE.search(text):
        before, *examples = _EXAMPLE.split(text)
        return joined(
            _paragraph(before.strip()) if before.strip() else "",
            "For example:",
            fence("\n".join(examples).strip(), "sh"),
        )
    if _COLUMNS.search(text):
        return fence(text, "text")
    before, _, line = text.partition("\nmeitner-aio ")
    return joined(escaped(before), fence(f"meitner-aio {line}", "sh") if line else "")


def _command(name: str) -> str:
    command = app[name]
    doc = inspect.getdoc(command.default_command) or ""
    tables = (
        joined(f"**{group.name}**", table(("Option", "Meaning"), map(_option, entries)))
        for group, entries in options(command)
    )
    usage = (command.usage or "").removeprefix("Usage: ")
    return joined(f"## meitner-aio {name}", fence(usage, "text"), told(doc), *tables)


def page() -> str:
    """Return the page of all commands."""
    listed = (
        (
            f"[`meitner-aio {name}`](#meitner-aio-{name})",
            escaped(inspect.getdoc(app[name].default_command or page) or "").partition("\n")[0],
        )
        for name in commands()
    )
    every = (_option(entry) for _, entries in options(app.meta) for entry in entries)
    return (
        joined(
            "# The command line",
            'What can be done from a terminal: `pip install "meitner-aio[cli]"`, then these; `--help` says the same.',
            table(("Command", "What it does"), listed),
            "## Every command",
            table(("Option", "Meaning"), every),
            told(inspect.cleandoc(app.help_epilogue or "")),
            *map(_command, commands()),
        )
        + "\n"
    )
