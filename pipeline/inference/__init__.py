"""Whole volumes out of a network."""

from __future__ import annotations

from pipeline.inference.config import InferenceConfig
from pipeline.inference.inputs import find_inputs
from pipeline.inference.model_card import ModelCard, load_card, save_card
from pipeline.inference.predict_cases import CaseInput, predict_cases
from pipeline.inference.predictor import Predictor
from pipeline.inference.record import PredictionRecord, load_record
from pipeline.inference.slab import Slab
from pipeline.inference.weights import load_weights, save_weights

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
