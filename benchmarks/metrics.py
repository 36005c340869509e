#!/usr/bin/env python3
"""Dice, HD95 and surface Dice of every organ of a CT, by `case_metrics` and by MONAI's three functions.

    python benchmarks/metrics.py --data "$MEDSEG_DATA" [--shape 256 256 150] [--without-monai]

The reference is the 41-organ label of `ct_organs`, scaled to the shape by its nearest voxels; the mask is the same,
moved by two voxels along i. Prints seconds, the ratio, the largest difference of any number, and the peak memory.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from medseg.evaluation.segmentation import EvaluationContract, case_metrics
from medseg.geometry import Geometry
from medseg.records import Array
from medseg.scans import read_label

_TOLERANCE_MM = 2.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--shape", type=int, nargs=3, default=(256, 256, 150))
    parser.add_argument("--without-monai", action="store_true", help="measure ours alone, as for its memory")
    parser.add_argument("--all", action="store_true", help="every metric, not the three that MONAI is timed on")
    arguments = parser.parse_args()
    label, geometry = _scaled(arguments.data, tuple(arguments.shape))
    mask = np.zeros_like(label)
    mask[2:] = label[:-2]
    names = [int(value) for value in np.unique(label) if value]
    settings = {} if arguments.all else {"metrics": ("dice", "hd95_mm", "surface_dice")}
    contract = EvaluationContract.model_validate(
        {"labels": {str(value): value for value in names}, "tolerances_mm": (_TOLERANCE_MM,), **settings}
    )
    cube = np.zeros((16, 16, 16), label.dtype)
    cube[4:9, 4:9, 4:9] = names[0]
    case_metrics(cube, cube, Geometry((16, 16, 16), geometry.affine), contract, case_id="imports")
    start = time.perf_counter()
    rows = case_metrics(label, mask, geometry, contract, case_id="ct")
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{len(names)} organs, {label.shape}: case_metrics {seconds:.2f} s, at most {memory:.2f} GiB")
    if arguments.without_monai:
        return
    theirs, parts = _monai(label, mask, geometry, names)
    ours = np.array(
        [[row.values[name] for name in ("dice", "hd95_mm", f"surface_dice_{_TOLERANCE_MM:g}mm")] for row in rows]
    )
    spent = sum(parts.values())
    print("MONAI " + ", ".join(f"{name} {value:.2f} s" for name, value in parts.items()) + f", together {spent:.2f} s")
    print(f"ratio {spent / seconds:.1f}; largest difference {np.nanmax(np.abs(ours - theirs)):.2e}")


def _scaled(data: Path, shape: tuple[int, ...]) -> tuple[Array, Geometry]:
    """The organ label on another count of voxels, and its grid."""
    path = next(path for path in sorted(data.joinpath("ct_organs").rglob("*.nii.gz")) if _is_organs(path))
    label, geometry = read_label(path, case_id="ct_organs")
    index = [np.arange(size) * old // size for size, old in zip(shape, label.shape, strict=True)]
    affine = geometry.affine @ np.diag([*(old / size for old, size in zip(label.shape, shape, strict=True)), 1.0])
    i, j, k = shape
    return np.ascontiguousarray(label[np.ix_(*index)]), Geometry((i, j, k), affine)


def _is_organs(path: Path) -> bool:
    """Whether a file is the label of 41 organs."""
    import nibabel

    image = nibabel.load(path)
    return len(np.unique(np.asanyarray(image.dataobj))) == 42


def _monai(label: Array, mask: Array, geometry: Geometry, names: list[int]) -> tuple[Array, dict[str, float]]:
    """MONAI's three numbers of each organ, and the seconds of each function."""
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice

    values = torch.tensor(names)[:, None, None, None]
    truth, guess = ((torch.from_numpy(part.astype(np.int16))[None] == values)[None] for part in (label, mask))
    shared = {"include_background": True, "spacing": list(geometry.spacing_mm)}
    work = {
        "Dice": lambda: compute_dice(guess.float(), truth.float()),
        "HD95": lambda: compute_hausdorff_distance(guess, truth, percentile=95, **shared),
        "surface Dice": lambda: compute_surface_dice(
            guess, truth, class_thresholds=[_TOLERANCE_MM] * len(names), use_subvoxels=True, **shared
        ),
    }
    results, seconds = [], {}
    for name, function in work.items():
        start = time.perf_counter()
        results.append(np.asarray(function())[0])
        seconds[name] = time.perf_counter() - start
    return np.stack(results, axis=1), seconds


if __name__ == "__main__":
    main()
