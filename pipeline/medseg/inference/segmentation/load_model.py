"""Models of every kind, loaded alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from medseg.errors import CheckpointError
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
        CheckpointError: If card or weights are missing or damaged, or do not fit each other, or the `best` weights of
            an adopted model are asked for.
    """
    from medseg.inference.nnunet import is_adopted

    if is_adopted(run):
        from medseg.inference.nnunet import load_adopted

        if weights != "last":
            raise CheckpointError(
                f"run {run.name}: must be of a training of medseg for the weights of its {weights} validation, got an "
                "adopted model, which has the weights of the checkpoints that were adopted",
                remedy="take its last weights, as predict does if none are chosen",
            )
        return load_adopted(run, device=device)
    return Predictor.load(run, weights=weights, device=device, build=build)


def load_models(
    runs: Sequence[Path],
    *,
    weights: str = "last",
    device: torch.device,
    build: Callable[[Any], nn.Module] | None = None,
    fast: bool = False,
) -> MaskModel:
    """Load the models of some runs as one, which averages their probabilities.

    Args:
        runs: Folders of runs, or their `model` folders.
        weights: `last`, or `best` for the weights of the best validation.
        device: Device to run on.
        build: As for `load_model`.
        fast: Whether windows overlap by a quarter only and no flipped copies are predicted.

    Raises:
        CheckpointError: If card or weights are missing or damaged, or do not fit each other.
        ConfigError: If the models have different channels or labels, or one of several has a head.
    """
    models = load_each(runs, weights=weights, device=device, build=build, fast=fast)
    if len(models) == 1:
        return models[0]
    from medseg.inference.segmentation.ensemble import Ensemble, check_heads

    check_heads(models)
    return Ensemble(models)


def load_out_of_fold(
    runs: Sequence[Path],
    patients: Mapping[str, str],
    *,
    weights: str = "last",
    device: torch.device,
    build: Callable[[Any], nn.Module] | None = None,
    fast: bool = False,
) -> MaskModel:
    """Load the models of some runs, of which those alone draw a case that were not trained on its patient.

    Args:
        runs: Folders of runs, or their `model` folders.
        patients: Patient of each case of the dataset.
        weights: As for `load_models`.
        device: Device to run on.
        build: As for `load_model`.
        fast: As for `load_models`.

    Raises:
        CheckpointError: If card or weights are missing or damaged, or do not fit each other.
        ConfigError: If the models have different channels or labels.
    """
    from medseg.inference.segmentation.out_of_fold import OutOfFold

    return OutOfFold(load_each(runs, weights=weights, device=device, build=build, fast=fast), patients)


def load_each(
    runs: Sequence[Path],
    *,
    weights: str,
    device: torch.device,
    build: Callable[[Any], nn.Module] | None = None,
    fast: bool = False,
) -> list[MaskModel]:
    """Load the models of some runs, each alone; see `load_models`."""
    models = [load_model(run, weights=weights, device=device, build=build) for run in runs]
    return [model.faster() for model in models] if fast else models
