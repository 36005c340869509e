"""What structures are called, coded and coloured, in every picture, page and file: a table that people can review."""

from __future__ import annotations

from medseg.terms.palette import distinct_colours, hex_code
from medseg.terms.segments import segments_of, uncoded
from medseg.terms.structure_colours import structure_colours
from medseg.terms.table import Term, find_term, read_terms

__all__ = [
    "Term",
    "distinct_colours",
    "find_term",
    "hex_code",
    "read_terms",
    "segments_of",
    "structure_colours",
    "uncoded",
]
