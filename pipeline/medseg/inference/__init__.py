"""From networks to results on the scans' own grids: the parts that all tasks share."""

from __future__ import annotations

from medseg.inference.card import model_folder
from medseg.inference.inputs import CaseInput, find_inputs
from medseg.inference.model_cost import ModelCost
from medseg.inference.record import PredictionRecord, load_record
from medseg.inference.slab import Slab

__all__ = [
    "CaseInput",
    "ModelCost",
    "PredictionRecord",
    "Slab",
    "find_inputs",
    "load_record",
    "model_folder",
]
