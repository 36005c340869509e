"""The update of a finished run: which cases are new to it, and what it forgets and gains."""

from __future__ import annotations
