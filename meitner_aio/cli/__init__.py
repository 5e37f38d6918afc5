"""The terminal: commands in, exit codes out. The client, the export and the sandbox know nothing of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from cyclopts import App, CycloptsError, Parameter

from .. import __version__
from ..errors import MeitnerError
from ._exit import Exit, exit_code
from ._export import export_command
from ._output import say, silence
from ._read import count_command, get_command, list_command
from ._sandbox import sandbox_command

__all__ = ["Exit", "app", "run"]

app = App(
    name="meitner-aio",
    version=f"meitner-aio {__version__}",
    help="Read the Meitner Directory API from a terminal.",
    help_epilogue="Credentials come from the environment: MEITNER_CLIENT_CREDENTIALS and MEITNER_CLIENT_SECRET. "
    "With --sandbox there is nothing to set up.\n\n"
    "Exit codes: 0 complete, 1 error, 2 usage, 3 partial, 4 credentials, 5 temporary, 130 interrupted.",
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,
)
app.command(export_command, name="export", sort_key=1)
app.command(list_command, name="list", sort_key=2)
app.command(get_command, name="get", sort_key=3)
app.command(count_command, name="count", sort_key=4)
app.command(sandbox_command, name="sandbox", sort_key=5)


def run(arguments: Iterable[str] | None = None) -> int:
    """Run one command, by default that of the process, and return its exit code. A failure is one line on stderr."""
    code = Exit.COMPLETE
    try:
        code = app(arguments, print_error=False, exit_on_error=False, result_action="return_value") or code
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)  # whoever read the output (`| head`) has had enough
    except CycloptsError as wrong:
        return _failed(str(wrong), Exit.USAGE)
    except KeyboardInterrupt:
        return _failed("interrupted", Exit.INTERRUPTED)
    except (MeitnerError, OSError) as error:
        return _failed(f"{type(error).__name__}: {error}", exit_code(error))
    return code


def _failed(reason: str, code: Exit) -> Exit:
    say(f"meitner-aio: {' '.join(reason.split())}")
    return code
