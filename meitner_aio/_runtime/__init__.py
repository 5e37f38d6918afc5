"""Services of Python and the operating system: clean-up that survives cancellation, threads, private files."""
