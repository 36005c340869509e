"""Text from outside: names of files, of structures and of people who know no UTF-8."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def printable(text: str) -> str:
    r"""A text that every UTF-8 file and stream takes.

    Args:
        text: Any text; a file name whose bytes are not UTF-8 holds lone surrogates.

    Returns:
        The text with each lone surrogate as an escape such as `\\udce9`, which JSON reads as that surrogate again.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


Text = Annotated[str, AfterValidator(printable)]
"""A name or description that is shown, drawn and written; unlike a path, it need not be what the disk has."""
