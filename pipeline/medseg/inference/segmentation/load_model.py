"""Models of every kind, loaded alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from medseg.inference.segmentation.mask_model import MaskModel
from medseg.inference.segmentation.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from torch import nn


def load_model(
    run: Path, *, weights: str = "last", device: torch.device, build: Callable[[Any], nn.Module] | None = None
) -> MaskModel:
    """Load the model of a run, whatever kind its card names.

    Args:
        run: Folder of the run, or its `model` folder.
        weights: `last`, or `best` for the weights of the best validation.
        device: Device to run on.
        build: Function that builds the untrained network from the card's settings, for a run that was trained with a
            network of the user's own.

    Raises:
        CheckpointError: If card or weights are missing or damaged, or do not fit each other.
    """
    return Predictor.load(run, weights=weights, device=device, build=build)
