"""Settings that are kept in a file, a profile each, for Python and the command line alike."""
