"""The terminal: commands in, exit codes out. No other part of the package imports it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from cyclopts import App, CycloptsError, Group, Parameter

from .. import __version__
from ..errors import MeitnerError
from ._exit import Exit, UsageError, exit_code
from ._interrupted import COMMAND_LINE, notes
from .commands.completion import completion_command
from .commands.doctor import doctor_command
from .commands.export import export_command
from .commands.login import login_command
from .commands.profiles import logout_command, profiles_command
from .commands.purge import purge_command
from .commands.read import count_command, get_command, list_command, search_command
from .commands.reconcile import reconcile_command
from .commands.retire_placements import retire_placements_command
from .commands.sandbox import sandbox_command
from .commands.sync import sync_command
from .rendering.output import discard_output, flush, prepare_streams, say, settle_output
from .rendering.warnings import warnings_said

__all__ = ["Exit", "app", "run"]

app = App(
    name="meitner-aio",
    version=f"meitner-aio {__version__}",
    help="Read the Meitner Directory API, and write to it, from a terminal.\n\n"
    "To see what it does, on synthetic data: meitner-aio export --sandbox --to out\n"
    "To see whether all is set up: meitner-aio doctor",
    help_epilogue="Credentials: MEITNER_CLIENT_CREDENTIALS and MEITNER_CLIENT_SECRET, or a profile,\n"
    "which meitner-aio login makes.\n"
    "Exit codes: 0 complete, 1 error, 2 usage, 3 partial, 4 credentials,\n"
    "5 temporary, 130 interrupted.",
    help_format="plaintext",
    group_parameters=Group("Options", sort_key=0),
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,
)
_SOME = "[RESOURCE...]"
for _command, _name, _arguments in (
    (export_command, "export", f"{_SOME} --to FOLDER"),
    (sync_command, "sync", f"{_SOME} --to FILE"),
    (reconcile_command, "reconcile", "FOLDER"),
    (retire_placements_command, "retire-placements", "--ended TIME"),
    (list_command, "list", "RESOURCE"),
    (search_command, "search", "RESOURCE [--where CONDITION...]"),
    (get_command, "get", "RESOURCE ID"),
    (count_command, "count", _SOME),
    (purge_command, "purge", "FOLDER --older-than TIME"),
    (login_command, "login", ""),
    (logout_command, "logout", ""),
    (profiles_command, "profiles", ""),
    (doctor_command, "doctor", ""),
    (sandbox_command, "sandbox", ""),
    (completion_command, "completion", "[SHELL]"),
):
    _usage = " ".join(filter(None, ("Usage: meitner-aio", _name, _arguments, "[OPTIONS]")))
    app.command(_command, name=_name, sort_key=len(app.resolved_commands()), usage=_usage)


def run(arguments: Iterable[str] | None = None) -> int:
    """Run one command, by default that of the process, and return its exit code. A failure is one line on stderr."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    COMMAND_LINE.set(tuple(typed))
    prepare_streams()
    code = Exit.COMPLETE
    try:
        with warnings_said("meitner_aio.files"):
            code = app(typed, print_error=False, exit_on_error=False, result_action="return_value") or code
        flush()
    except (BrokenPipeError, SystemExit):  # rich, which writes the help, ends the process itself
        discard_output()  # the reader of the output (`| head`) has closed it
    except CycloptsError as wrong:
        return _failed(str(wrong), Exit.USAGE)
    except KeyboardInterrupt as interrupt:
        return _failed("interrupted", Exit.INTERRUPTED, notes(interrupt))
    except UsageError as wrong:
        return _failed(str(wrong), Exit.USAGE)
    except (MeitnerError, OSError) as error:
        return _failed(f"{type(error).__name__}: {error}", exit_code(error), notes(error))
    return code


def _failed(reason: str, code: Exit, hints: Sequence[str] = ()) -> Exit:
    settle_output()
    say(f"meitner-aio: {' '.join(reason.split())}")
    for hint in hints:
        say(hint)
    return code
