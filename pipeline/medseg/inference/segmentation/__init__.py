"""Masks on the scans' own grids from a segmentation network."""

from __future__ import annotations

from medseg.inference.segmentation.card import ModelCard, load_card, save_card
from medseg.inference.segmentation.config import InferenceConfig
from medseg.inference.segmentation.predict_cases import predict_cases
from medseg.inference.segmentation.predictor import Predictor

__all__ = [
    "InferenceConfig",
    "ModelCard",
    "Predictor",
    "load_card",
    "predict_cases",
    "save_card",
]
