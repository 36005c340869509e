"""Numbers for people."""

from __future__ import annotations

import math


def plain(value: float) -> str:
    """Three significant digits without an exponent: `0.0042`, `1.5`, `93`, `1,230`; infinity is `inf`."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}"
