"""Classifiers that know the answer, and their cards."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from medseg.inference.classification import Calibration, ClassifierCard, GatePoint, SlicePredictor
from medseg.networks.classification import ClassifierConfig
from medseg.preprocess.classification import SliceConfig
from medseg.targets import SliceClasses
from torch import Tensor, nn

from tests.preprocess.classification.scans import NONE

CPU = torch.device("cpu")
POINTS = tuple(
    GatePoint(sensitivity=s, threshold=t, reached=s, kept=0.5) for s, t in ((0.9, 0.8), (0.95, 0.5), (0.99, 0.1))
)
_SURE = 8.0


class Knowing(nn.Module):
    """A slice shows class n if a pixel of its middle picture holds n + 1, rounded."""

    def __init__(self, classes: int = 2, context: int = 0) -> None:
        super().__init__()
        self.config = SimpleNamespace(pooling="none")
        self.classes, self.context = classes, context

    def features(self, x: Tensor) -> Tensor:
        middle = x[:, self.context].round()
        shows = [(middle == n + 1).flatten(1).any(dim=1) for n in range(self.classes)]
        return torch.stack([2 * _SURE * s.float() - _SURE for s in shows], dim=1)

    def classify(self, features: Tensor) -> Tensor:
        return features


def card_of(**changes: Any) -> ClassifierCard:
    """The card of a classifier of liver and spleen on axial slices, some fields changed."""
    targets = changes.get("targets", SliceClasses(classes=("liver", "spleen")))
    slices = changes.get("slices", SliceConfig(plane="axial", pixel_mm=1.0, size=(32, 32), normalisation=(NONE,)))
    fields: dict[str, Any] = {
        "medseg_version": "0.1.0",
        "dataset": "made up 1",
        "channels": ("MR",),
        "slices": slices,
        "targets": targets,
        "network": ClassifierConfig(
            in_channels=slices.channels, out_channels=len(targets.classes), width=4, stem="small", blocks=(1,)
        ),
        "shift": (0.0,) * len(targets.classes),
        "calibration": Calibration(cases=4, gate=POINTS, disagreement_limit=0.05),
        "trained_on": ("seen",),
        "manifest_digest": "m" * 64,
        "plan_digest": "p" * 64,
    }
    return ClassifierCard(**fields | changes)


def knowing_predictor(card: ClassifierCard | None = None, network: nn.Module | None = None) -> SlicePredictor:
    """A loaded classifier that knows the answer."""
    card = card or card_of()
    network = network or Knowing(len(card.targets.classes), card.slices.context)
    return SlicePredictor(network, card, device=CPU, precision="fp32")  # type: ignore[arg-type]
