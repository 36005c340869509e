"""Proposed names of structures in the dataset: one spelling for many, for a person to review."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files

import yaml

_APART = re.compile(r"[\W_]+")
_SIGNS = {"+": " plus ", "<": " below ", ">": " above ", "±": " about "}  # a margin or dose is another one without them
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
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

    Signs of a sum or comparison are words, since `PTV+5` and `PTV-5` are two structures; all other signs are dropped.
    """
    for sign, word in _SIGNS.items():
        name = name.replace(sign, word)
    apart = unicodedata.normalize("NFKD", _CAMEL.sub(" ", name).replace("ß", "ss"))
    plain = "".join(char for char in apart if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", _APART.sub("_", plain.lower()).strip("_"))


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
