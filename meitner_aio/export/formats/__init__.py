"""One module a format: rows in, bytes of a file out."""
