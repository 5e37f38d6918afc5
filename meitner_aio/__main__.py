"""`python -m meitner_aio` and the command `meitner-aio`."""

import sys


def main() -> int:
    """Run the command line; return its exit code. Without the libraries of the extra `cli`, say how to get them."""
    try:
        from .cli import run  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as missing:
        if missing.name not in ("cyclopts", "rich"):
            raise
        sys.stderr.write('meitner-aio: the command line needs more libraries: pip install "meitner-aio[cli]"\n')
        return 1
    return run()


if __name__ == "__main__":
    sys.exit(main())
