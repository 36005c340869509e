"""What a mask and its model cost, in words that a person reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_UNITS = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


def cost_rows(cost: Mapping[str, Any]) -> dict[str, str]:
    """The costs that an evaluation knows, as text by caption.

    Args:
        cost: The field `cost` of `summary.json`; a value that is missing or null has no row.
    """
    known = {caption: (cost.get(key), text) for key, (caption, text) in _ROWS.items()}
    return {caption: text(value) for caption, (value, text) in known.items() if value is not None}


def large_number(value: float) -> str:
    """A count in three digits or so: `12,345`, `5.6 million`, `31.2 billion`."""
    for size, name in _UNITS:
        if value >= 0.99995 * size:  # which rounds to 1.0
            return f"{value / size:,.1f} {name}"
    return f"{value:,.0f}"


_ROWS: dict[str, tuple[str, Callable[[float], str]]] = {
    "seconds_per_case": ("Seconds per case", lambda seconds: f"{seconds:.1f}"),
    "peak_memory_bytes": ("Peak memory", lambda count: f"{count / 2**30:.1f} GiB"),
    "parameters": ("Parameters", large_number),
    "multiply_adds_per_window": ("Multiply-adds per window", large_number),
    "training_minutes": ("Training", lambda minutes: f"{minutes:.1f} min"),
}
