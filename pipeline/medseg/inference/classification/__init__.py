"""Probabilities of slices and studies from a classifier."""

from __future__ import annotations

from medseg.inference.classification.card import (
    Calibration,
    ClassifierCard,
    GatePoint,
    load_classifier_card,
    save_classifier_card,
)
from medseg.inference.classification.gate import Gate
from medseg.inference.classification.outputs import (
    SliceOutputs,
    slice_outputs,
    slice_probabilities,
    study_probabilities,
)
from medseg.inference.classification.predictor import SlicePredictor
from medseg.inference.classification.reviewer import SliceReviewer

__all__ = [
    "Calibration",
    "ClassifierCard",
    "Gate",
    "GatePoint",
    "SliceOutputs",
    "SlicePredictor",
    "SliceReviewer",
    "load_classifier_card",
    "save_classifier_card",
    "slice_outputs",
    "slice_probabilities",
    "study_probabilities",
]
