"""A data set of 117 made-up structures, on a chest CT or in pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

STRUCTURES = 117
REGIONS = 16
IGNORE = 255
_COARSE = 4  # voxels of a step in which the nearest centre is looked for
_RADII_MM = (10.0, 60.0)
_JITTER_MM = 4.0
_SHIFT = 9  # slices by which each case is rolled
_BODY_HU = -300
_PICTURE = 512
_PICTURES = 24
_SEED = 0


def write_volumes(series: Path, folder: Path, *, cases: int, kind: str) -> None:
    """Write copies of one CT, each rolled along its slices, with the same structures at nearly the same places.

    Args:
        series: Folder of the DICOM series.
        folder: Target folder.
        cases: Count of cases.
        kind: `labels`, `regions`, or `ignored`, in which half of the slices of every label are.
    """
    import nibabel

    folder.mkdir(parents=True)
    source = folder / "ct.nii.gz"
    _convert(series, source)
    image = nibabel.load(source)
    hu, affine = np.asanyarray(image.dataobj), image.affine
    entries = []
    for number in range(cases):
        label = structures(hu > _BODY_HU, affine, seed=number)
        if kind == "ignored":
            label[:, :, np.random.default_rng(number).random(label.shape[2]) < 0.5] = IGNORE
        for name, array in (("image", hu), ("label", label)):
            rolled = np.roll(array, _SHIFT * number, axis=2)
            nibabel.save(nibabel.Nifti1Image(rolled, affine), folder / f"{name}_{number}.nii.gz")
        entries.append({"image": f"image_{number}.nii.gz", "label": f"label_{number}.nii.gz"})
    source.unlink()
    _write_manifest(folder, entries, channels=["CT"], kind=kind)


def write_pictures(folder: Path) -> None:
    """Write colour pictures of 117 structures, of which each has a shade of its own beside noise."""
    from PIL import Image

    folder.mkdir(parents=True)
    rng = np.random.default_rng(_SEED)
    shades = rng.integers(40, 255, (STRUCTURES + 1, 3))
    shades[0] = 10
    entries = []
    inside = np.zeros((_PICTURE, _PICTURE, _COARSE), bool)
    inside[24:-24, 24:-24] = True
    for number in range(_PICTURES):
        label = structures(inside, np.diag([0.7, 0.7, 0.7, 1.0]), seed=number)[:, :, 0]
        noisy = shades[label] + rng.normal(0, 12, (*label.shape, 3))
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / f"image_{number}.png")
        Image.fromarray(label).save(folder / f"label_{number}.png")
        entries.append({"image": f"image_{number}.png", "label": f"label_{number}.png"})
    _write_manifest(folder, entries, channels=["red", "green", "blue"], kind="labels")


def structures(body: np.ndarray, affine: np.ndarray, *, seed: int) -> np.ndarray:
    """Balls cut off where another centre is nearer, values 1 to 117, uint8 `(I, J, K)`.

    Args:
        body: Voxels in which structures may lie.
        affine: Affine of the grid, which is not oblique.
        seed: Seed of what differs between cases; the places are otherwise the same.
    """
    from scipy.spatial import cKDTree

    coarse = body[_COARSE // 2 :: _COARSE, _COARSE // 2 :: _COARSE, _COARSE // 2 :: _COARSE]
    mm = _COARSE * np.abs(np.diag(affine)[:3])
    points = np.argwhere(coarse) * mm
    rng = np.random.default_rng(_SEED)
    centres = points[rng.choice(len(points), STRUCTURES, replace=False)]
    radii = np.exp(rng.uniform(*np.log(_RADII_MM), STRUCTURES))
    centres = centres + np.random.default_rng([_SEED, seed]).uniform(-_JITTER_MM, _JITTER_MM, centres.shape)
    distance, nearest = cKDTree(centres).query(points)
    values = np.zeros(coarse.shape, np.uint8)
    values[coarse] = np.where(distance < radii[nearest], nearest + 1, 0)
    for axis, size in enumerate(body.shape):
        values = np.take(values, np.minimum(np.arange(size) // _COARSE, values.shape[axis] - 1), axis=axis)
    return np.where(body, values, np.uint8(0))


def structure_names() -> dict[str, int]:
    """Value of each structure by name."""
    return {f"structure {value:03d}": value for value in range(1, STRUCTURES + 1)}


def _write_manifest(folder: Path, entries: list[dict[str, str]], *, channels: list[str], kind: str) -> None:
    """Write `dataset.json`, in which the last case, or a fifth, validates."""
    folds = max(2, min(5, len(entries)))
    document: dict[str, Any] = {
        "name": f"many_{kind}",
        "version": "1",
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        "labels": {"background": 0, **structure_names()},
        "training": [
            entry | {"case_id": f"case_{number}", "patient_id": f"p{number}", "fold": number % folds}
            for number, entry in enumerate(entries)
        ],
    }
    if kind == "ignored":
        document["ignore"] = IGNORE
    if kind == "regions":
        document |= _regions()
    (folder / "dataset.json").write_text(json.dumps(document, indent=1))


def _regions() -> dict[str, Any]:
    """As many regions as a data set may have, each within the one before it, of seven structures more or less."""
    steps = np.linspace(1, STRUCTURES - 5, REGIONS).astype(int).tolist()
    regions = {f"from {first:03d} on": list(range(first, STRUCTURES + 1)) for first in steps}
    return {"regions": regions, "regions_order": [held[0] for held in regions.values()]}


def _convert(series: Path, path: Path) -> None:
    """Write a DICOM series as NIfTI."""
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
    sitk.WriteImage(sitk.Cast(reader.Execute(), sitk.sitkInt16), str(path))
