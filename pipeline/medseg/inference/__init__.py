"""From networks to results on the scans' own grids: the parts that all tasks share."""

from __future__ import annotations

from medseg.inference.card import model_folder
from medseg.inference.inputs import (
    CaseInput,
    FoundInputs,
    InputChoice,
    PassedOver,
    find_inputs,
    input_digest,
    read_input,
)
from medseg.inference.model_cost import ModelCost
from medseg.inference.record import PredictionRecord, load_record
from medseg.inference.slab import Slab
from medseg.inference.source_record import SourceRecord

__all__ = [
    "CaseInput",
    "FoundInputs",
    "InputChoice",
    "ModelCost",
    "PassedOver",
    "PredictionRecord",
    "Slab",
    "SourceRecord",
    "find_inputs",
    "input_digest",
    "load_record",
    "model_folder",
    "read_input",
]
