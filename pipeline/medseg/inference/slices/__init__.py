"""Probabilities of slices and studies out of a classifier."""

from __future__ import annotations

from medseg.inference.slices.card import (
    Calibration,
    ClassifierCard,
    GatePoint,
    load_classifier_card,
    save_classifier_card,
)
from medseg.inference.slices.gate import Gate
from medseg.inference.slices.outputs import SliceOutputs, slice_outputs, slice_probabilities, study_probabilities
from medseg.inference.slices.slice_overseer import SliceOverseer
from medseg.inference.slices.slice_predictor import SlicePredictor

__all__ = [
    "Calibration",
    "ClassifierCard",
    "Gate",
    "GatePoint",
    "SliceOutputs",
    "SliceOverseer",
    "SlicePredictor",
    "load_classifier_card",
    "save_classifier_card",
    "slice_outputs",
    "slice_probabilities",
    "study_probabilities",
]
