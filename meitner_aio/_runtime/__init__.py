"""What the package needs of Python and the machine: clean-up that stands cancellation, threads, private files."""
