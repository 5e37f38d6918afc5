"""The terminal: commands in, exit codes out. No other part of the package imports it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

from cyclopts import App, CycloptsError, Group, Parameter

from .. import __version__
from ..errors import AuthenticationError, ConfigurationError, MeitnerError, PermissionDeniedError
from ._exit import Exit, UsageError, exit_code
from ._interrupted import COMMAND_LINE, notes
from ._mistyped import mistyped
from .rendering.loudness import loudness
from .rendering.output import discard_output, flush, prepare_streams, say, settle_output, write

__all__ = ["Exit", "app", "run"]

app = App(
    name="meitner-aio",
    version=f"meitner-aio {__version__}",
    help="Read the Meitner Directory API, and write to it, from a terminal.\n\n"
    "To try it on synthetic data: meitner-aio export --sandbox --to out\n"
    "To save your credentials:    meitner-aio login\n"
    "To check that all is set up: meitner-aio doctor",
    help_epilogue="Credentials come from a profile, which meitner-aio login makes, or from\n"
    "MEITNER_CLIENT_CREDENTIALS and MEITNER_CLIENT_SECRET.\n\n"
    "Exit codes: 0 complete, 1 error, 2 wrong usage, 3 incomplete,\n"
    "4 credentials or permissions, 5 temporary: try again later, 130 interrupted.",
    help_format="plaintext",
    group_parameters=Group("Options", sort_key=0),
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,
)
_MESSAGES = Group("Messages", sort_key=9)
_PLAIN = (MeitnerError, ConfigurationError)
"""Errors whose kind adds nothing to what they say."""
_SOME = "[RESOURCE...]"
_COMMANDS = (
    ("export", f"{_SOME} --to FOLDER", "export:export_command", "Export all records to files."),
    ("sync", f"{_SOME} --to FILE", "sync:sync_command", "Keep an SQLite copy of the directory up to date."),
    ("reconcile", "FOLDER", "reconcile:reconcile_command", "Update the directory from the files of a registry."),
    (
        "retire-placements",
        "--ended TIME",
        "retire_placements:retire_placements_command",
        "Archive student placements that have ended, and delete old archived ones.",
    ),
    ("list", "RESOURCE", "read:list_command", "Show the records of a resource."),
    (
        "search",
        "RESOURCE [--where CONDITION...]",
        "read:search_command",
        "Show the records of a resource that meet all conditions.",
    ),
    ("get", "RESOURCE ID", "read:get_command", "Show one record as JSON."),
    ("count", _SOME, "read:count_command", "Count the records of each resource."),
    ("purge", "FOLDER --older-than TIME", "purge:purge_command", "Delete old exports."),
    ("login", "", "login:login_command", "Ask for credentials, test them, and save them in a profile."),
    ("logout", "", "profiles:logout_command", "Remove a profile, and its secret from the keyring."),
    (
        "profiles",
        "",
        "profiles:profiles_command",
        "List the profiles, their servers, and where their secrets are.",
    ),
    ("doctor", "", "doctor:doctor_command", "Check settings, credentials, server and permissions."),
    ("sandbox", "", "sandbox:sandbox_command", "Serve synthetic data on this machine until Ctrl-C."),
    ("completion", "[SHELL]", "completion:completion_command", "Set up tab completion in your shell."),
)
"""Name, arguments, where the function is, and the first line of its docstring: the list of commands imports none."""

_SUMMARIES = {name: summary for name, _, _, summary in _COMMANDS}

for _place, (_name, _arguments, _function, _summary) in enumerate(_COMMANDS):
    app.command(
        f"{__name__}.commands.{_function}",
        name=_name,
        help=_summary,
        help_epilogue="",
        sort_key=_place,
        usage=" ".join(filter(None, ("Usage: meitner-aio", _name, _arguments, "[OPTIONS]"))),
    )


app.meta.suppress_keyboard_interrupt = False


@app.meta.default
def _launched(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    quiet: Annotated[
        bool,
        Parameter(name=["--quiet", "-q"], help="Print only results and errors.", group=_MESSAGES, show_default=False),
    ] = False,
    verbose: Annotated[
        int,
        Parameter(
            name=["--verbose", "-v"],
            help="Log calls, retries and waits to stderr; -vv also logs each request.",
            group=_MESSAGES,
            count=True,
            show_default=False,
        ),
    ] = 0,
) -> Exit | None:
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other: leave one out")
    from .rendering.warnings import warnings_said

    with loudness(quiet=quiet, verbose=verbose), warnings_said("meitner_aio.files"):
        return _called(app, tokens)


def _called(of: App, tokens: Sequence[str]) -> Exit | None:
    code: Exit | None = of(tokens, print_error=False, exit_on_error=False, result_action="return_value")
    return code


def run(arguments: Iterable[str] | None = None) -> int:
    """Run one command, by default that of the process, and return its exit code. A failure is one line on stderr."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    COMMAND_LINE.set(tuple(typed))
    prepare_streams()
    code = Exit.COMPLETE
    try:
        if typed == ["--version"]:
            write(f"{app.version}\n")  # cyclopts would import rich for it
        else:
            _show_docstring(typed)
            code = _called(app.meta, typed) or code
        flush()
    except (BrokenPipeError, SystemExit):  # rich, which writes the help, ends the process itself
        discard_output()  # the reader of the output (`| head`) has closed it
    except CycloptsError as wrong:
        return _failed(mistyped(wrong), Exit.USAGE)
    except KeyboardInterrupt as interrupt:
        return _failed("interrupted", Exit.INTERRUPTED, notes(interrupt))
    except UsageError as wrong:
        return _failed(str(wrong), Exit.USAGE)
    except (MeitnerError, OSError) as error:
        kind = "" if type(error) in _PLAIN else f"{type(error).__name__}: "
        return _failed(f"{kind}{error}{_remedy(error)}", exit_code(error), notes(error))
    return code


def _remedy(error: Exception) -> str:
    refused = isinstance(error, AuthenticationError | PermissionDeniedError)
    return "; meitner-aio doctor says what to do" if refused else ""


def _show_docstring(typed: Sequence[str]) -> None:
    """Let the page of a command have its docstring, of which the list of all has the first line only."""
    path, _, _ = app.parse_commands(typed)
    if path and path[0] in _SUMMARIES:
        app[path[0]].help = None


def _failed(reason: str, code: Exit, hints: Sequence[str] = ()) -> Exit:
    settle_output()
    say(f"meitner-aio: {' '.join(reason.split())}")
    for hint in hints:
        say(hint)
    return code
