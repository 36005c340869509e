"""Coded terms and colours of structures, from a table that people can review."""

from __future__ import annotations

from medseg.delivery.terms.palette import distinct_colours
from medseg.delivery.terms.segments import segments_of, uncoded
from medseg.delivery.terms.table import Term, find_term, read_terms

__all__ = ["Term", "distinct_colours", "find_term", "read_terms", "segments_of", "uncoded"]
