"""Triage: a page and a table of all studies, ranked by probability."""

from __future__ import annotations

from medseg.delivery.classification.triage.key_slices import KeySlice, key_slices
from medseg.delivery.classification.triage.page import save_triage_page
from medseg.delivery.classification.triage.ranking import RankedStudy, rank_by_probability, save_ranking
from medseg.delivery.classification.triage.study import TriageStudy

__all__ = [
    "KeySlice",
    "RankedStudy",
    "TriageStudy",
    "key_slices",
    "rank_by_probability",
    "save_ranking",
    "save_triage_page",
]
