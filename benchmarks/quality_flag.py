"""Whether a slice classifier finds masks that failed: good masks of the hippocampus, and some with planted failures.

    python benchmarks/quality_flag.py --data "$MEDSEG_DATA/msd_hippocampus" --masks MASKS --classifier RUN

`MASKS` is a folder of `medseg predict --fold 0`, `RUN` one of `medseg classify train --plane coronal --fold 0`. In turn
a label is dropped, half of one is cut away, both are swapped, or the mask is shifted by eight slices.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from medseg.evaluation.classification import failure_auroc
from medseg.evaluation.segmentation import measure_case
from medseg.inference import load_record
from medseg.inference.classification import SlicePredictor
from medseg.inference.classification.quality import check_mask
from medseg.manifest import load_manifest, manifest_target, read_case
from medseg.records import Labelmap
from medseg.scans import read_label

FAILURES = ("drop", "cut", "swap", "shift")
BOUND = 0.8


def main() -> None:
    """Judge every mask as it is and with one failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("data", "masks", "classifier"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    classifier = SlicePredictor.load(arguments.classifier, device=torch.device("cpu"))
    manifest, root = load_manifest(arguments.data)
    target = manifest_target(manifest)
    cases = {case.case_id: case for case in manifest.cases}
    record = load_record(arguments.masks)
    found = []
    for number, entry in enumerate(record.cases if record else ()):
        scan, label = read_case(cases[entry.case_id], manifest, root)
        mask, _ = read_label(arguments.masks / entry.mask, case_id=entry.case_id)
        scores = classifier.scores(scan, case_id=entry.case_id)
        first, second = (axis for axis in range(3) if axis != scores.axis)
        pixel_mm2 = scan.geometry.spacing_mm[first] * scan.geometry.spacing_mm[second]
        for drawn in (mask, failed(mask, FAILURES[number % 4], axis=scores.axis, number=number)):
            quality = check_mask(drawn, scores, classifier.card, target=target, pixel_mm2=pixel_mm2)
            rows = measure_case(label, drawn, target=target, case_id=entry.case_id)
            dice = float(np.mean([row.values["dice"] for row in rows]))
            found.append((quality.disagreement, dice, quality.is_flagged))
    disagreement, dice, flagged = (np.array(column) for column in zip(*found, strict=True))
    power, bad = failure_auroc(disagreement, dice, BOUND), dice < BOUND
    print(f"AUROC {power.auroc:.3f} ({power.low:.3f} to {power.high:.3f}), {power.failed} failed, {power.kept} did not")
    print(f"flagged: {flagged[bad].mean():.0%} of those that failed, {flagged[~bad].mean():.1%} of the others")


def failed(mask: Labelmap, kind: str, *, axis: int, number: int) -> Labelmap:
    """A mask with a failure planted."""
    first, second = 1, 2
    if kind == "swap":
        return np.array([0, second, first], mask.dtype)[mask]
    if kind == "shift":
        return np.roll(mask, 8, axis=axis)
    result = mask.copy()
    if kind == "drop":
        result[mask == (first, second)[number // 4 % 2]] = 0
        return result
    others = tuple(other for other in range(3) if other != axis)
    slices = np.flatnonzero((mask == second).any(axis=others))
    np.moveaxis(result, axis, 0)[slices[: len(slices) // 2]] = 0
    return result


if __name__ == "__main__":
    main()
