"""Whole volumes out of a network."""

from __future__ import annotations

from medseg.inference.config import InferenceConfig
from medseg.inference.inputs import find_inputs
from medseg.inference.model_card import ModelCard, load_card, save_card
from medseg.inference.predict_cases import CaseInput, predict_cases
from medseg.inference.predictor import Predictor
from medseg.inference.record import PredictionRecord, load_record
from medseg.inference.slab import Slab
from medseg.inference.weights import load_weights, save_weights

__all__ = [
    "CaseInput",
    "InferenceConfig",
    "ModelCard",
    "PredictionRecord",
    "Predictor",
    "Slab",
    "find_inputs",
    "load_card",
    "load_record",
    "load_weights",
    "predict_cases",
    "save_card",
    "save_weights",
]
