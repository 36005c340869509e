"""Probabilities of slices and studies from a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medseg.lazy import lazy_names

if TYPE_CHECKING:
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
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "Calibration": "card",
            "ClassifierCard": "card",
            "Gate": "gate",
            "GatePoint": "card",
            "SliceOutputs": "outputs",
            "SlicePredictor": "predictor",
            "SliceReviewer": "reviewer",
            "load_classifier_card": "card",
            "save_classifier_card": "card",
            "slice_outputs": "outputs",
            "slice_probabilities": "outputs",
            "study_probabilities": "outputs",
        },
    )

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
