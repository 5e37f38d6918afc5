"""Carries out a proposal: each action is guarded, and its intent is on the disk before it is sent."""

from __future__ import annotations
