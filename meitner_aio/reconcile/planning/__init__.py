"""What would bring the directory to a desired state: the present is read and compared, and nothing is written."""

from __future__ import annotations
