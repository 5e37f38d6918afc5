"""`python -m meitner_aio` and the command `meitner-aio`."""

import sys


def main() -> int:
    """Run the command line and return its exit code. Without the extra `cli`, say how to get it."""
    try:
        from .cli import run
    except ModuleNotFoundError as missing:
        if missing.name != "cyclopts":
            raise
        sys.stderr.write('meitner-aio: the command line is an extra: pip install "meitner-aio[cli]"\n')
        return 1
    return run()


if __name__ == "__main__":
    sys.exit(main())
