#!/usr/bin/env python3
"""How many masks of the real cases get a certificate in every form, and how long a case takes.

    python benchmarks/certify.py [--most 40] [--data-sets hippocampus atrium …]

Masks are the reference labels where a data set has them on the scan's grid, else balls at random places; they pass
through `predict` as those of a network do, and are delivered in every form that fits. Needs MEDSEG_DATA.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from medseg.delivery.export import FORMS
from medseg.inference import InputChoice, find_inputs
from medseg.inference.model_identity import ModelIdentity
from medseg.inference.segmentation import predict_cases
from medseg.inference.segmentation.mask_model import Drawing
from medseg.records import Labelmap, Scan
from medseg.runs.segmentation.deliver import DeliverSettings, deliver_masks
from medseg.scans import read_label
from medseg.targets import ExclusiveLabels

BALLS = 12
DICOM_FORMS = tuple(name for name in FORMS if name != "probabilities")
FILE_FORMS = tuple(name for name in DICOM_FORMS if FORMS[name].needs != "dicom")
PICTURE_FORMS = tuple(name for name in DICOM_FORMS if not FORMS[name].needs)


@dataclass(frozen=True)
class RealSet:
    """Real scans with their masks.

    Attributes:
        place: Folder below MEDSEG_DATA.
        forms: Forms that its scans can have; those that fit each case if None.
        channels: Channels of a scan.
        label_of: Path of the label of a scan's file, both from MEDSEG_DATA on; balls if not given.
        folders: Pattern of the folders or files that are inputs of their own.
    """

    place: str
    forms: tuple[str, ...] | None
    channels: tuple[str, ...] = ("image",)
    label_of: Callable[[str], str] | None = None
    folders: str = "."


def _sarcoma_label(path: str) -> str:
    parts = path.split("/")
    return f"sts_sarcoma/nifti/{parts[2]}/{parts[3]}_mask.nii.gz"


def _organ_label(path: str) -> str:
    if "dicom" in path:
        return "ct_organs/example_seg_dicom.nii.gz"
    return f"ct_organs/example_seg{'_mr' if '_mr_' in path else ''}.nii.gz"


SETS = {
    "hippocampus": RealSet(
        "msd_hippocampus/imagesTr", FILE_FORMS, label_of=lambda path: path.replace("imagesTr", "labelsTr")
    ),
    "atrium": RealSet("left_atrium/imagesTr", FILE_FORMS, label_of=lambda path: path.replace("imagesTr", "labelsTr")),
    "nuclei": RealSet("nuclei_2d/images", PICTURE_FORMS, ("red", "green", "blue")),
    "sarcoma": RealSet("sts_sarcoma/dicom", DICOM_FORMS, label_of=_sarcoma_label, folders="*/*/image"),
    "organs": RealSet("ct_organs", FILE_FORMS, label_of=_organ_label, folders="example_?[tr]_sm.nii.gz"),
    "organs, DICOM": RealSet("ct_organs/example_ct_dicom", DICOM_FORMS, label_of=_organ_label),
    "chest CT": RealSet("chest_ct_dicom", DICOM_FORMS),
    "PET": RealSet("pet_with_seg/PET", DICOM_FORMS),
    "edge cases": RealSet("dicom_edge", None, folders="*/anatomical"),
}


class Reference:
    """Draws the reference of each scan, or balls, in place of a network."""

    device = torch.device("cpu")
    seen_cases: tuple[str, ...] = ()
    statistics = None
    member_statistics = (None,)

    def __init__(self, root: Path, chosen: RealSet, count: int) -> None:
        self.root, self.chosen, self.channels = root, chosen, chosen.channels
        self.labels = {"background": 0, **{f"structure {value}": value for value in range(1, count + 1)}}
        self.target = ExclusiveLabels(labels=self.labels)
        self.identities = (ModelIdentity(dataset="reference", manifest_digest="", plan_digest="0" * 64, trained_on=()),)

    def faster(self) -> Reference:
        """The same."""
        return self

    def prepare(self, scan: Scan, **_: Any) -> Prepared:
        """The mask of a scan."""
        origin: Any = scan.origin
        file = origin.file if hasattr(origin, "file") else origin.slices[0].file
        return Prepared(self._mask(scan, Path(file).resolve().relative_to(self.root).as_posix()))

    def _mask(self, scan: Scan, name: str) -> Labelmap:
        if self.chosen.label_of is not None:
            labels, grid = read_label(self.root / self.chosen.label_of(name), case_id=name)
            if grid.shape == scan.geometry.shape:
                return labels.astype(np.uint8)
        return balls(scan)


@dataclass
class Prepared:
    """A mask that is drawn already."""

    mask: Labelmap

    def draw(self, **_: Any) -> Drawing:
        """The mask."""
        return Drawing(self.mask)


def balls(scan: Scan) -> Labelmap:
    """Balls at random places of the grid, one over the other."""
    shape = np.array(scan.geometry.shape)
    random = np.random.default_rng(int(shape.sum()))
    labels = np.zeros(shape, np.uint8)
    for value in range(1, BALLS + 1):
        centre, radius = random.integers(0, shape), max(2, int(shape.max()) // 12)
        low, high = np.maximum(centre - radius, 0), np.minimum(centre + radius + 1, shape)
        box = tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))
        offsets = np.ogrid[tuple(slice(a - c, b - c) for a, b, c in zip(low, high, centre, strict=True))]
        labels[box][sum(one**2 for one in offsets) <= radius**2] = value
    return labels


def main() -> None:
    """Print a line per data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=1000, help="cases of a data set at most")
    parser.add_argument("--data-sets", nargs="+", choices=SETS, default=list(SETS))
    arguments = parser.parse_args()
    data = os.environ.get("MEDSEG_DATA")
    if not data:
        sys.exit("certify.py: MEDSEG_DATA must be the folder of the real scans")
    logging.disable(logging.WARNING)
    print(
        "| data | cases | forms | certified | seconds a case | not certified |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name in arguments.data_sets:
        print(line(name, Path(data).resolve(), arguments.most), flush=True)


def line(name: str, root: Path, most: int) -> str:
    """Predict, deliver and count."""
    chosen = SETS[name]
    inputs = sorted((root / chosen.place).glob(chosen.folders)) if chosen.folders != "." else [root / chosen.place]
    found = find_inputs(inputs, channels=chosen.channels, choice=InputChoice())
    cases = found.cases[:most]
    model: Any = Reference(root, chosen, 130)
    with tempfile.TemporaryDirectory() as place:
        _, failures = predict_cases(model, cases, Path(place) / "masks")
        start = time.perf_counter()
        done = deliver_masks(Path(place) / "masks", DeliverSettings(out=Path(place) / "out", forms=chosen.forms))
        seconds = (time.perf_counter() - start) / max(len(cases) - len(failures), 1)
    reasons = "; ".join(one.reason for one in (*found.failures, *failures, *done.failures))
    count = f"{len(done.delivered)} of {len(cases) + len(found.failures)}"
    forms = len(chosen.forms) if chosen.forms else "default"
    return f"| {name} | {len(cases)} | {forms} | {count} | {seconds:.1f} | {reasons or '–'} |"


if __name__ == "__main__":
    main()
