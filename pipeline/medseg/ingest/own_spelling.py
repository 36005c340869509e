"""The own spelling of a structure in the name of its mask file or folder."""

from __future__ import annotations

import re
from collections.abc import Collection

from medseg.ingest.structure_name import CAMEL, normalised, pieces

_GONE = "\0"  # stands in no path
_BRACKETS = re.compile(rf"[(\[{{（【]{_GONE}[)\]}}）】]")
_SEPARATOR = r"(?:\s+[-_.]\s+|[-_.\s])?"
_GAP = re.compile(rf"({_SEPARATOR}){_GONE}(?:{_SEPARATOR}{_GONE})*({_SEPARATOR})")


def without_words(name: str, dropped: Collection[str]) -> str:
    """A name without some of its words, otherwise as it is spelt: `mask_Lesion (1)` becomes `Lesion (1)`.

    Two files of one image are two structures, however alike their names are, so nothing but these words may go.

    Args:
        name: Name of a file without its ending, or of a folder.
        dropped: Normalised words to leave out.
    """
    words = [(word, is_word) for piece, is_word in pieces(name) for word in _parts(piece, is_word)]
    left = "".join(_GONE if is_word and _is_dropped(word, dropped) else word for word, is_word in words)
    return _GAP.sub(_joint, _BRACKETS.sub(_GONE, left)).strip()


def readable(name: str) -> str:
    """A name of a file with bytes that are no text written as escapes, so that it can be stored."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def names_structure(name: str) -> bool:
    """Whether a name says more than a number."""
    return any(not word.isdigit() for word in normalised(name).split("_") if word)


def _parts(piece: str, is_word: bool) -> list[str]:
    return CAMEL.split(piece) if is_word else [piece]


def _is_dropped(word: str, dropped: Collection[str]) -> bool:
    parts = [part for part in normalised(word).split("_") if part]
    return bool(parts) and all(part in dropped for part in parts)


def _joint(gap: re.Match[str]) -> str:
    """What joins the words on both sides of dropped ones."""
    is_between = gap.start() > 0 and gap.end() < len(gap.string)
    return (gap[1] or gap[2]) if is_between else ""
