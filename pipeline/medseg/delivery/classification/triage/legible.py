"""Names and numbers as text that any file and screen can show."""

from __future__ import annotations

import math
import unicodedata


def legible(text: str) -> str:
    """The text, with U+FFFD for control characters and for bytes of a file name that are not UTF-8."""
    return "".join("\ufffd" if unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in text)


def in_mm(position: float, digits: int = 1, *, extent: float = math.inf) -> str:
    """A position with a true minus sign; zero has none.

    Args:
        position: Position in millimetres.
        digits: Decimals; as many more are shown as two positions need to differ within the extent.
        extent: Extent of the scan in millimetres.
    """
    more = max(0, math.ceil(math.log10(10 / extent))) if 0 < extent < 10 else 0
    text = f"{position:.{digits + more}f}".replace("-", "−")
    return text.lstrip("−") if set(text) <= set("−0.") else text
