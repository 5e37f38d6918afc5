"""`python -m meitner_aio` and the command `meitner-aio`."""

import sys

from . import __version__


def main() -> int:
    """Run the command line and return its exit code. Without the extra `cli`, say the version and what is missing."""
    try:
        from .cli import run
    except ModuleNotFoundError as missing:
        if missing.name not in ("cyclopts", "rich"):
            raise
        advice = f'the command line needs {missing.name}, which is not installed: pip install "meitner-aio[cli]"'
        sys.stderr.write(f"meitner-aio {__version__}: {advice}\n")
        return 0 if sys.argv[1:] == ["--version"] else 1
    return run()


if __name__ == "__main__":
    sys.exit(main())
