"""What lines of a log look like."""

import re

TIMED = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d [A-Z+-][\w+-]*  ")
"""The time that a line begins with, by the clock of this machine, and its zone."""
