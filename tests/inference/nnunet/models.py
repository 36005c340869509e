"""The models and scans of which nnU-Net's own masks are kept in `masks_of_nnunet.npz`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from medseg.geometry import Geometry
from medseg.records import Scan
from scipy import ndimage

from tests.inference.nnunet.folders import Made, configuration_of, write_folder

REGIONS = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "rim": 3}
LOWRES = Made(patch=(12, 12, 12), spacing=(4.0, 4.0, 4.0), schemes=("ZScoreNormalization",), channels=("MR",), seed=8)
MODELS: dict[str, Made] = {
    "two_folds": Made(folds=("0", "1"), mirror=(0, 1, 2), transpose=(1, 0, 2)),
    "residual": Made(
        is_residual=True, channels=("MR", "CT"), schemes=("ZScoreNormalization", "CTNormalization"),
        masked=(True, False), mirror=(1,), seed=4,
    ),
    "slices": Made(
        patch=(12, 16), spacing=(1.5, 1.25), schemes=("ZScoreNormalization",), mirror=(0, 1), transpose=(2, 0, 1),
        seed=5,
    ),
    "thick": Made(
        patch=(6, 16, 16), spacing=(7.0, 1.1, 1.1), schemes=("RescaleTo01Normalization",), kernel=(1, 3, 3),
        stride=(1, 2, 2), seed=6,
    ),
    "regions": Made(labels=REGIONS, order=(1, 2, 3), schemes=("NoNormalization",), seed=7),
}  # fmt: skip
CASCADE = "cascade"
NAMES = (*MODELS, CASCADE)


def write_model(name: str, place: Path) -> Path:
    """Write the folder of a model, and that of a cascade's first stage beside it."""
    if name != CASCADE:
        return write_folder(place / name, MODELS[name])
    full = Made(schemes=("ZScoreNormalization",), channels=("MR",), seed=9, extra={"previous_stage": "3d_lowres"})
    low = configuration_of(LOWRES) | {"next_stage": "3d_cascade_fullres"}
    write_folder(place / "nnUNetTrainer__nnUNetPlans__3d_lowres", LOWRES, configuration="3d_lowres")
    target = place / "nnUNetTrainer__nnUNetPlans__3d_cascade_fullres"
    return write_folder(target, full, configuration="3d_cascade_fullres", others={"3d_lowres": low})


def scan_for(name: str) -> Scan:
    """The scan that a model sees: smooth noise with a rim of zeros and a hole, on a tilted grid."""
    channels = len(MODELS[name].channels) if name in MODELS else 1
    shape = (26, 28, 9) if name == "thick" else (26, 22, 24)
    rng = np.random.default_rng(channels)
    array = np.zeros((channels, *shape), np.float32)
    for channel in array:
        noise = sum(ndimage.gaussian_filter(rng.normal(size=shape), width) * width**1.5 for width in (1, 2, 4))
        channel[1:-2, 2:-1, 1:-1] = (noise * 150 / np.std(noise) + 20)[1:-2, 2:-1, 1:-1]
        channel[8:11, 9:12, 3:5] = 0
    return Scan(array.round(), _grid(shape, thickness_mm=5.0 if name == "thick" else 2.25))


def _grid(shape: tuple[int, ...], *, thickness_mm: float) -> Geometry:
    angle = np.radians(15.0)
    turned = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, -1]])
    affine = np.eye(4)
    affine[:3, :3] = turned @ np.diag([1.25, 1.5, thickness_mm])
    affine[:3, 3] = (12.0, -40.0, 7.0)
    i, j, k = shape
    return Geometry((i, j, k), affine)
