"""Proposed names of structures in the dataset: one spelling for many, for a person to review."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files
from itertools import groupby

import yaml

_SIGNS = {"+": " plus ", "<": " below ", ">": " above ", "±": " about "}  # a margin or dose is another one without them
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_ACCENTED = ("LATIN ", "GREEK ", "CYRILLIC ")  # scripts whose marks are accents; elsewhere they are letters and vowels
_THAI_AND_LAO = ("\u0e00", "\u0eff")  # a vowel of two parts is one letter there, which no keyboard writes apart
_SIDES = {
    "l": "left", "li": "left", "left": "left", "links": "left", "gauche": "left", "sinistra": "left",
    "izquierdo": "left", "izquierda": "left", "sin": "left", "lt": "left", "linke": "left", "linker": "left",
    "r": "right", "re": "right", "right": "right", "rechts": "right", "droit": "right", "droite": "right",
    "destra": "right", "derecho": "right", "derecha": "right", "rt": "right", "rechte": "right", "rechter": "right",
}  # fmt: skip
MODALITIES = frozenset(
    [
        "ct", "mr", "mri", "mrt", "pet", "pt", "t1", "t2", "t1w", "t2w", "flair", "adc", "dwi", "pd", "cbct",
        "us", "t1c", "t1ce", "t1gd", "t1n", "t2f",
    ]
)  # fmt: skip


def normalised(name: str) -> str:
    """Lower case without accents, words joined by underscores, in any script: `Niere Links` becomes `niere_links`.

    Marks of other scripts are kept, since `バ` is no `ハ`. Signs of a sum or comparison are words, since `PTV+5` and
    `PTV-5` are two structures, and so are pictures such as emoji; all other signs are dropped.
    """
    for sign, word in _SIGNS.items():
        name = name.replace(sign, word)
    plain = _without_accents(_decomposed(CAMEL.sub(" ", name).replace("ß", "ss")))
    return unicodedata.normalize("NFC", "_".join(piece for piece, is_word in pieces(plain.lower()) if is_word))


def pieces(text: str) -> list[tuple[str, bool]]:
    """The words of a text and the signs between them, each with whether it is a word.

    Letters with digits are one word, pictures such as emoji another; a mark belongs to what stands before it.
    """
    kind, kinds = "", []
    for char in text:
        category = unicodedata.category(char)
        if not category.startswith("M"):
            kind = "letters" if char.isalnum() else "picture" if category == "So" or char in _SKIN_TONES else ""
        kinds.append(kind)
    runs = groupby(zip(text, kinds, strict=True), key=lambda pair: pair[1])
    return [("".join(char for char, _ in run), bool(kind)) for kind, run in runs]


def _decomposed(text: str) -> str:
    """The text with marks apart from their letters, and wide, narrow and joined forms as plain letters."""
    first, last = _THAI_AND_LAO
    parts = (char if first <= char <= last else unicodedata.normalize("NFKD", char) for char in text)
    return unicodedata.normalize("NFD", "".join(parts))


def _without_accents(apart: str) -> str:
    """A decomposed text without the marks of Latin, Greek and Cyrillic letters, and of what is no letter or picture."""
    kept, keeps_marks = [], False
    for char in apart:
        category = unicodedata.category(char)
        if not category.startswith("M"):
            is_letter = category.startswith("L") and not unicodedata.name(char, "").startswith(_ACCENTED)
            keeps_marks = is_letter or category == "So"
        elif not keeps_marks:
            continue
        kept.append(char)
    return "".join(kept)


def spelt_out(name: str) -> str:
    """The normalised name with a minus as a word too, for names of one object that differ in their signs alone."""
    return normalised(name.replace("-", " minus ")) or "structure"


def proposed_label(name: str) -> str:
    """The label name for a structure: known synonyms in one language, the side last, without the modality."""
    words = [word for word in normalised(name).split("_") if word]
    while len(words) > 1 and words[-1] in MODALITIES:
        words.pop()
    sides = [_SIDES[word] for word in words if word in _SIDES]
    rest = [word for word in words if word not in _SIDES]
    if len(sides) != 1 or not rest:
        sides, rest = [], words
    stem = "_".join(rest)
    return "_".join([_synonyms().get(stem, stem), *sides]) or "structure"


@cache
def structure_words() -> frozenset[str]:
    """Words that name structures, sides and modalities in any of the known languages."""
    known = {word for name in (*_synonyms(), *_synonyms().values()) for word in name.split("_")}
    return frozenset(known) | frozenset(_SIDES) | MODALITIES


@cache
def _synonyms() -> dict[str, str]:
    """The label of each synonym, from a file that a person can review and extend."""
    content = yaml.safe_load(files("medseg.ingest").joinpath("synonyms.yaml").read_text(encoding="utf-8"))
    return {normalised(synonym): label for label, synonyms in content.items() for synonym in (label, *synonyms)}
