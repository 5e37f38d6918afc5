"""What was typed and fits no command, as a line that says what to type instead. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from cyclopts import (
    Argument,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    Token,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

_SHEETS = frozenset({"excel", "xls", "xlsx"})
_NUMBERS = {int: "a whole number", float: "a number"}


def mistyped(wrong: CycloptsError) -> str:
    """Return what is wrong with a command line that cannot be parsed, and what would do."""
    typed = wrong.root_input_tokens or ()
    match wrong:
        case MissingArgumentError(argument=Argument() as lacking):
            said = _missing(lacking, typed)
        case UnknownOptionError(token=Token(keyword="--where"), command_chain=("list",)):
            said = "list takes no --where: search does, and otherwise does the same"
        case UnknownCommandError(unused_tokens=[str(first), *_]) if first.startswith("-"):
            said = f"options stand behind the command: meitner-aio COMMAND {first.partition('=')[0]} ..."
        case CoercionError(token=Token(value=value), argument=Argument(name="--format")) if value in _SHEETS:
            said = f"{wrong} For Excel there is --excel instead."
        case RepeatArgumentError(token=Token(keyword="--profile")):
            said = "--profile is given once; for many, export and sync take --profile 'kommun-*' or --all-profiles"
        case CoercionError(token=Token(keyword="--server", value=value)) if "://" in value:
            said = "--server takes a name, production or staging: for a URL there is --base-url"
        case CoercionError(token=Token(keyword=str(option)), target_type=type() as kind) if kind in _NUMBERS:
            said = f"{option} takes {_NUMBERS[kind]}"
        case UnusedCliTokensError(unused_tokens=[str(first), *_]):
            # Behind a condition it may be part of a name, and stderr a log that others read.
            quotes = "a condition with a blank needs quotes, --where 'last_name=von Ek'"
            private = any(word.startswith("--where") for word in typed)
            said = f"a word too many: {quotes if private else repr(first)}"
        case _:
            said = str(wrong)
    return said


def _missing(lacking: Argument, typed: Sequence[str]) -> str:
    if lacking.name in typed:
        return f"{lacking.name} needs a value"
    positional = lacking.field_info.kind is inspect.Parameter.POSITIONAL_ONLY
    return f"{lacking.name} is missing{':' if positional else '.'} {lacking.parameter.help or ''}"
