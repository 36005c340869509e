"""Small labelled scans for classifiers, in a store, and a classifier small enough to train in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from medseg.networks.classification import ClassifierConfig
from medseg.preprocess.classification import SliceConfig, StoredSlices
from medseg.preprocess.classification.targets import LabelTargets, SliceTargets, read_targets
from medseg.records import Array, Case
from medseg.targets import SliceClasses
from medseg.training import AugmentConfig
from medseg.training.classification import ClassificationInputs, SliceTrainingConfig

from tests.grids import grid
from tests.preprocess.classification.scans import prepare, slice_config, write_labelled

SLICES = 9
BOTH = SliceClasses(classes=("liver", "spleen"))
_AXCODES = ("RAS", "LPI", "SAR", "LPS", "IPL", "RSP")
STILL = AugmentConfig(
    affine_share=0, gamma_share=0, contrast_share=0, brightness=0, noise_share=0, blur_share=0, low_resolution_share=0
)


def toy_case(root: Path, number: int) -> Case:
    """Noise with a bright liver on four of nine slices and a dark spleen on two; the array runs any way."""
    rng = np.random.default_rng(number)
    geometry = grid((16, 16, SLICES), spacing_mm=(1, 1, 3), axcodes="RAS")
    image, label = rng.normal(0, 0.3, geometry.shape), np.zeros(geometry.shape, np.uint8)
    liver, spleen = rng.integers(0, 3), rng.integers(4, 6)
    label[3:9, 3:9, liver : liver + 4] = 1
    label[10:14, 10:14, spleen : spleen + 2] = 2
    image[label == 1] += 3
    image[label == 2] -= 3
    turned = geometry.reoriented(_AXCODES[number % len(_AXCODES)])
    maps = turned.axis_maps(geometry)
    order = [axis_map.source_axis for axis_map in maps]
    steps = tuple(slice(None, None, -1 if axis_map.scale < 0 else 1) for axis_map in maps)
    image, label = image.transpose(order)[steps], label.transpose(order)[steps]
    return write_labelled(root, f"toy{number}", turned, image=image, label=label, patient=f"p{number}")


def toy_truth(stored: Sequence[StoredSlices], cases: Sequence[Case], targets: SliceClasses) -> dict[str, SliceTargets]:
    """From the label volumes."""
    truth, missing = read_targets(LabelTargets(targets), stored, cases)
    assert missing == {}
    return truth


def classifier_config(**settings: Any) -> ClassifierConfig:
    """A residual net of two stages of one block."""
    shape = {"architecture": "resnet18", "width": 4, "stem": "small", "blocks": (1, 1), "out_channels": 2}
    return ClassifierConfig(**shape | settings)


def training_config(**settings: Any) -> SliceTrainingConfig:
    """Small batches without augmentation."""
    return SliceTrainingConfig(
        **{"batch_size": 8, "learning_rate": 1e-2, "validations": 3, "precision": "fp32", "augment": STILL} | settings
    )


def inputs_of(
    folder: Path,
    training: Sequence[StoredSlices],
    validation: Sequence[StoredSlices],
    truth: Mapping[str, SliceTargets],
    *,
    targets: SliceClasses = BOTH,
    slices: SliceConfig | None = None,
    network: Mapping[str, Any] | None = None,
    **settings: Any,
) -> ClassificationInputs:
    """A training on these cases in a folder of its own."""
    slices = slices or slice_config()
    shape = {"in_channels": slices.channels, "out_channels": len(targets.classes)} | dict(network or {})
    return ClassificationInputs(
        training=training,
        validation=validation,
        truth=truth,
        targets=targets,
        slices=slices,
        network=classifier_config(**shape),
        config=training_config(**settings),
        device=torch.device("cpu"),
        folder=folder,
    )


def known(rows: Sequence[Sequence[int]] | Array, study: Sequence[int] | None = None) -> SliceTargets:
    """Truth by hand; the study's is the largest of its slices' where not given."""
    slices = np.array(rows, np.int8)
    return SliceTargets(slices, np.array(slices.max(axis=0) if study is None else study, np.int8))


__all__ = [
    "BOTH", "SLICES", "STILL", "classifier_config", "inputs_of", "known", "prepare", "toy_case", "toy_truth",
    "training_config",
]  # fmt: skip
