"""Names and numbers as text that any file and screen can show."""

from __future__ import annotations

import unicodedata


def legible(text: str) -> str:
    """The text, with U+FFFD for control characters and for bytes of a file name that are not UTF-8."""
    return "".join("\ufffd" if unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in text)


def in_mm(position: float, digits: int = 1) -> str:
    """A position with a true minus sign; zero has none."""
    text = f"{position:.{digits}f}".replace("-", "−")
    return text.lstrip("−") if set(text) <= set("−0.") else text
