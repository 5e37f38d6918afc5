"""The command that teaches a shell to complete the others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from .._exit import UsageError
from ..rendering.output import say

if TYPE_CHECKING:
    from cyclopts import App

Shell = Literal["bash", "zsh", "fish", "powershell"]


def completion_command(
    shell: Annotated[Shell | None, Parameter(help="By default the one that this runs in.")] = None,
    /,
    *,
    install: Annotated[
        bool, Parameter(help="Put it where the shell looks, and into its start-up file.", show_default=False)
    ] = False,
) -> None:
    """Teach your shell to complete commands, resources and options.

    Writes the script that does it.
    To try it in bash: source <(meitner-aio completion bash)
    To keep it: meitner-aio completion --install
    """
    from cyclopts.completion.detect import ShellDetectionError, detect_shell

    from .. import app

    try:
        chosen = shell or detect_shell()
    except ShellDetectionError:
        raise UsageError("which shell? bash, zsh, fish or powershell") from None
    if install:
        say(f"{_installed(app, chosen)}: a new {chosen} completes meitner-aio")
    else:
        sys.stdout.write(app.generate_completion(shell=chosen))


def _installed(app: App, shell: Shell) -> str:
    return str(app.install_completion(shell=shell))
