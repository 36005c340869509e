"""From results to numbers."""

from __future__ import annotations
