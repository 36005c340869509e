"""Text in plain letters, digits and signs, with the place that each character came from."""

from __future__ import annotations

import unicodedata

_LAST_OF_LATIN_1 = 0xFF  # its ordinal signs and superscripts are no letters and digits of a date
_SIGNS = {
    sign: plain
    for plain, signs in {
        "/": "\\|\u00a6\u2044\u2215\u29f8",
        ".": "\u00b7\u2022\u2219\u3002\u30fb\ua4f8\uff61\u06d4",
        ",": "\u060c\u066b\u3001",
        "-": "~\u301c\u2212\u00ad",
        "'": "\u2018\u2019\u02bc\u00b4\u2032",
    }.items()
    for sign in signs
}


def plain_spelling(text: str) -> tuple[str, list[int]]:
    """Letters without accents, digits and separators of any script as those of ASCII, and no invisible signs.

    Args:
        text: Text in the composed form of Unicode (NFC).

    Returns:
        The plain text, and the position in `text` of each of its characters, closed by the length of `text`.
    """
    plain, places = [], []
    for place, char in enumerate(text):
        pieces = [_plain(one) for one in _compatible(char)]
        plain += pieces
        places += [place for piece in pieces if piece]
    return "".join(plain), [*places, len(text)]


def _compatible(char: str) -> str:
    """The usual characters that a wide, ligated or squared one stands for."""
    return char if char in _SIGNS or ord(char) <= _LAST_OF_LATIN_1 else unicodedata.normalize("NFKC", char)


def _plain(char: str) -> str:
    """One plain character, or none for a mark or an invisible sign."""
    category = unicodedata.category(char)
    if char in _SIGNS:
        return _SIGNS[char]
    if category == "Pd":
        return "-"
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category[0] == "M" or category == "Cf":
        return ""
    letter, *marks = list(unicodedata.normalize("NFD", char))
    # a Korean syllable comes apart into letters, not into a letter and marks
    return letter if all(unicodedata.combining(mark) for mark in marks) else char
