"""Values and texts as a report shows them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

# The begin of an absolute path, with its scheme, machine or home; addresses of the web and of models are no paths.
_BEGIN = r"(?<![\w./:@+\\~-])(?!(?:https?|models):)(?:(?:[\w.+@-]+:|~[\w.-]*)?/+|[A-Za-z]:[\\/]|\\\\)(?=[^\s/\\])"
_SIGN = r"""(?:[^\s"'`]|'(?=\w))"""  # of a path without spaces; an apostrophe before a letter is in a name
_NAME = r"""(?:[^\s"'`/\\.:,;]|'(?=\w))+"""  # of a folder
# In quotes a path ends where they do, and its names may hold spaces.
_IN_QUOTES = re.compile(rf"""(["'`]){_BEGIN}(?:(?!\1(?!\w))[^\n])*[/\\](?=(?:(?!\1(?!\w))[^\n/\\])*\1)""")
# Elsewhere it ends at a space, unless the next word goes on with it: `/home/Jane Doe/scan.nii.gz`.
_FOLDERS = re.compile(rf"{_BEGIN}(?:{_SIGN}*[/\\])?(?:{_NAME} (?:(?![/\\]){_SIGN})+[/\\](?=\S))*")


def without_folders(text: str) -> str:
    """A text in which every absolute path is cut to the name of its file; a report says nothing of this machine.

    A path with several spaces in one name cannot be told from the words around it where it is not in quotes.
    """
    return _FOLDERS.sub("", _IN_QUOTES.sub(r"\1", text))


def setting_text(value: Any) -> str:
    """A setting in one line: `48 × 28 × 32`, `yes`, `share 0.25, factor 2 × 2 × 2`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {setting_text(item)}" for key, item in value.items() if item is not None) or "none"
    if isinstance(value, list | tuple):
        if value and all(isinstance(item, list | tuple) for item in value):
            return "; ".join(setting_text(item) for item in value)
        is_size = bool(value) and all(isinstance(item, int | float) for item in value)
        return (" × " if is_size else ", ").join(setting_text(item) for item in value) or "none"
    return str(value)


def count(number: int, word: str) -> str:
    """A number with its word: `1 case`, `2 cases`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def some_of(names: Sequence[str], most: int = 8) -> str:
    """The first of many names, and how many follow."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def seconds_text(seconds: float) -> str:
    """A duration in the largest unit that leaves a number above one."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} s"


def memory_text(size_bytes: float) -> str:
    """A size of memory."""
    return f"{size_bytes / 2**30:.2f} GiB"
