"""Prepared phantoms on a coarse grid, and a training small enough to run in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from medseg.cohort import SERIAL
from medseg.inference.segmentation import InferenceConfig
from medseg.networks import NetworkConfig
from medseg.phantom import LABELS
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.segmentation import StoredCase, prepare_cases
from medseg.records import Manifest
from medseg.targets import ExclusiveLabels
from medseg.training.segmentation import SegmentationInputs, TrainingConfig

PATCH = (16, 16, 16)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small train ten times slower where threads wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def prepared(cohort: tuple[Manifest, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredCase, ...]:
    """Three phantoms on a grid of 12 mm, about 26×18×17 voxels."""
    manifest, root = cohort
    config = PreprocessConfig(
        axcodes="RAS", spacing_mm=(12.0, 12.0, 12.0), normalisation=(ChannelNormalisation(kind="zscore"),)
    )
    cases, failures = prepare_cases(
        manifest.cases[:3], manifest, root, config=config, store=tmp_path_factory.mktemp("store"), executor=SERIAL
    )
    assert failures == ()
    return cases


@pytest.fixture
def build_inputs(prepared: tuple[StoredCase, ...], tmp_path: Path) -> Callable[..., SegmentationInputs]:
    """A function that makes a training on two phantoms, validated on the third, in a folder of its own."""

    def build(
        name: str = "run",
        *,
        validation: int = 1,
        device: str = "cpu",
        network: dict[str, Any] | None = None,
        inference: dict[str, Any] | None = None,
        **settings: Any,
    ) -> SegmentationInputs:
        shape: dict[str, Any] = {
            "spatial_dims": 3,
            "in_channels": 1,
            "out_channels": len(LABELS),
            "channels": (4, 8),
            "strides": ((1, 1, 1), (2, 2, 2)),
            "kernels": ((3, 3, 3), (3, 3, 3)),
            "blocks": (1, 1),
            "decoder_blocks": (1,),
        }
        config: dict[str, Any] = {
            "patch_size": PATCH,
            "batch_size": 2,
            "patches_per_case": 2,
            "validations": 3,
            "precision": "fp32",
        }
        return SegmentationInputs(
            training=prepared[:2],
            validation=prepared[2 : 2 + validation],
            target=ExclusiveLabels(labels=LABELS),
            network=NetworkConfig(**shape | (network or {})),
            config=TrainingConfig(**config | settings),
            inference=InferenceConfig(**{"patch_size": PATCH, "overlap": 0.25} | (inference or {})),
            device=torch.device(device),
            folder=tmp_path / name,
        )

    return build
