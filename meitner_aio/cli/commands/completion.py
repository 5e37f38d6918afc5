"""The command that teaches a shell to complete the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from .._exit import UsageError
from ..rendering.output import tell, write

if TYPE_CHECKING:
    from cyclopts import App

Shell = Literal["bash", "zsh", "fish", "powershell"]


_BASH = r"""
# Names of fields in bash: after the quote that a condition begins with, one behind the other with commas between, and
# no blank behind a name, for what follows belongs to the word.
_meitner_aio_with_fields() {
  local word previous="${COMP_WORDS[COMP_CWORD-1]}" typed="${COMP_WORDS[COMP_CWORD]}"
  [[ "$typed" == "=" ]] && typed=""
  [[ "$previous" == "=" ]] && previous="${COMP_WORDS[COMP_CWORD-2]}"
  if [[ "$previous" != --fields && "$previous" != --where ]]; then
    _meitner_aio
    return
  fi
  typed="${typed#[\'\"]}"
  COMPREPLY=()
  while IFS= read -r word; do
    word="${word%%[=!~<>]*}"
    [[ "$word" == [[:alpha:]]* && "$word" == "$typed"* ]] && COMPREPLY+=("$word")
  done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD-1}" "$typed" 2>/dev/null)
  compopt -o nospace 2>/dev/null
}
complete -F _meitner_aio_with_fields meitner-aio
"""


def completion_command(
    shell: Annotated[Shell | None, Parameter(help="Default: the shell that this runs in.")] = None,
    /,
    *,
    install: Annotated[
        bool, Parameter(help="Install the script, and load it in the start-up file of the shell.", show_default=False)
    ] = False,
) -> None:
    """Set up tab completion in your shell.

    Completes commands, resources, options and fields. Prints the script:
    with --install it is installed instead.
    To try it in bash: source <(meitner-aio completion bash)

    Example: meitner-aio completion --install
    """
    from cyclopts.completion.detect import ShellDetectionError, detect_shell

    from .. import app

    try:
        chosen = shell or detect_shell()
    except ShellDetectionError:
        raise UsageError("the shell is not known: name bash, zsh, fish or powershell") from None
    if install:
        tell(f"Installed: {_installed(app, chosen)}. Tab completion works in every new {chosen}.")
    else:
        write(app.generate_completion(shell=chosen) + _more(chosen))


def _installed(app: App, shell: Shell) -> str:
    path = app.install_completion(shell=shell)
    with path.open("a", encoding="utf-8") as script:
        script.write(_more(shell))
    return str(path)


def _more(shell: Shell) -> str:
    return _BASH if shell == "bash" else ""
