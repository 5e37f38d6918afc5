"""An async client for the Meitner Directory API."""

__version__ = "0.1.0"
