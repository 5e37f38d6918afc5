"""What a registry says: files and rows in memory, read, checked and put into the form of the API."""

from __future__ import annotations
