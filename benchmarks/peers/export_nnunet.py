#!/usr/bin/env python3
"""Write the training cases of a dataset as nnU-Net reads them, with medseg's fold as nnU-Net's only split.

    python benchmarks/peers/export_nnunet.py DATASET --number 4 --name Hippocampus --out nnunet

Makes `nnunet/raw/Dataset004_Hippocampus`, in which all instances of a picture are one label, and
`nnunet/splits/Dataset004_Hippocampus.json`. The labels of volumes must be numbered without gaps, as nnU-Net wants them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from medseg.atomic import write_json
from medseg.manifest import assign_folds, load_manifest, read_case, split_fold
from medseg.origin import PictureOrigin
from medseg.records import Case, Manifest
from medseg.scans import write_mask, write_picture, write_scan


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--number", type=int, required=True, help="nnU-Net's number of the dataset")
    parser.add_argument("--name", required=True, help="nnU-Net's name of it")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    manifest, root = load_manifest(arguments.dataset, data_root=arguments.data_root)
    manifest = assign_folds(manifest)
    name = f"Dataset{arguments.number:03d}_{arguments.name}"
    folder = arguments.out / "raw" / name
    cases = manifest.select("training")
    endings = {_write_case(case, manifest, root, folder) for case in cases}
    (ending,) = endings
    document = {
        "channel_names": {str(index): channel for index, channel in enumerate(manifest.channels)},
        "labels": dict(manifest.labels),
        "numTraining": len(cases),
        "file_ending": ending,
    }
    write_json(folder / "dataset.json", document)
    training, validation = split_fold(manifest, arguments.fold)
    split = {"train": [case.case_id for case in training], "val": [case.case_id for case in validation]}
    write_json(arguments.out / "splits" / f"{name}.json", [split])
    print(f"{folder}: {len(training)} training and {len(validation)} validation cases")


def _write_case(case: Case, manifest: Manifest, root: Path, folder: Path) -> str:
    """Write one case and return the ending of its files."""
    image, label = read_case(case, manifest, root)
    mask = (label > 0).astype(np.uint8) if manifest.instances else label
    write_mask(mask, image, folder / "labelsTr", case_id=case.case_id)
    if isinstance(image.origin, PictureOrigin):
        write_picture(image.array.astype(np.uint8), folder / "imagesTr" / f"{case.case_id}_0000.png")
        return ".png"
    for channel, array in enumerate(image.array):
        path = folder / "imagesTr" / f"{case.case_id}_{channel:04d}.nii.gz"
        write_scan(array[None], image.geometry, path)
    return ".nii.gz"


if __name__ == "__main__":
    main()
