#!/usr/bin/env python3
"""Seconds and memory of every command on 118 labels, on the grid of a chest CT or in pictures.

    python benchmarks/many_labels.py --out OUT [--kind labels|regions|ignored|pictures] [--cases 3] [--budget 4m]

Labels are 117 made-up structures and the background, on rolled copies of the CT of 512×512×275 voxels in MEDSEG_DATA
(`--kind regions` makes 16 nested regions of them, `ignored` ignores half of the slices, `pictures` needs no CT). Each
command is a process of its own. Masks of a training of minutes show few structures, so the made-up labels, moved by
two voxels, are put in their place before they are evaluated and delivered. The last column is the memory of the
process and those below it together; the course of it is in `OUT/<kind>/<stage>_memory.csv`, what was printed in
`<stage>.log`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.many_parts.made_up import IGNORE, write_pictures, write_volumes
from benchmarks.many_parts.stage import Measured, run_stage

_FORMS = "nifti,seg-nrrd,structures,seg,seg-binary,rtstruct,csv,sr,pdf"
_FORMS_OF = {"regions": _FORMS.replace("seg,seg-binary", "seg-binary"), "pictures": "nifti,structures,csv,pdf"}
_MOVED = 2  # voxels


def main() -> None:
    """Make the data set, run the commands and print a table line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kind", choices=("labels", "regions", "ignored", "pictures"), default="labels")
    parser.add_argument("--cases", type=int, default=3, help="copies of the CT")
    parser.add_argument("--budget", default="4m", help="of the training")
    parser.add_argument("--epochs", help="of the training, in place of the budget, by which it is planned all the same")
    parser.add_argument("--only", nargs="+", help="stages to run, on what earlier ones left")
    given = parser.parse_args()
    place = (given.out / given.kind).resolve()
    series = _series()
    if not (place / "data" / "dataset.json").is_file():
        if given.kind == "pictures":
            write_pictures(place / "data")
        else:
            write_volumes(series, place / "data", cases=given.cases, kind=given.kind)
    print("| stage | seconds | peak of a process, MiB | of all together, MiB |\n| --- | --- | --- | --- |")
    length = ["--epochs", given.epochs] if given.epochs else ["--budget", given.budget]
    for name, arguments in stages(given.kind, given.budget, length, series).items():
        if given.only and name not in given.only:
            continue
        if name in ("evaluate", "deliver"):
            put_structures(place, given.kind, name)
        print(_line(name, run_stage(name.replace(" ", "_"), arguments, folder=place)), flush=True)


def stages(kind: str, budget: str, length: list[str], series: Path) -> dict[str, list[str]]:
    """Arguments of each command by the name of its stage, in order."""
    scans = "data" if kind == "pictures" else str(series)
    return {
        "audit": ["audit", "data"],
        "plan": ["plan", "data", "--budget", budget, "--out", "plan.yaml"],
        "prepare": ["prepare", "data", "--plan", "plan.yaml"],
        "train": ["train", "data", "--out", "run", *length, "--plan", "plan.yaml"],
        "predict": ["predict", "run", "data", "--fold", "0", "--out", "masks"],
        "evaluate": ["evaluate", "data", "--masks", "masks", "--fold", "0", "--out", "evaluation"],
        "report": ["report", "run", "--out", "report"],
        "predict DICOM": ["predict", "run", scans, "--out", "delivered_masks"],
        "deliver": ["deliver", "delivered_masks", "--formats", _FORMS_OF.get(kind, _FORMS), "--out", "delivery"],
    }


def put_structures(place: Path, kind: str, stage: str) -> None:
    """Put the made-up labels, moved by two voxels, in the place of masks; the first case's for DICOM."""
    for path in (place / ("masks" if stage == "evaluate" else "delivered_masks")).glob("*.*"):
        label = place / "data" / path.name.replace("case_", "label_").replace("image_", "label_")
        if kind == "pictures" and path.suffix == ".png":
            _put_picture(path, label)
        elif path.name.endswith(".nii.gz"):
            _put_volume(path, label if label.is_file() else place / "data" / "label_0.nii.gz")


def _put_volume(path: Path, label: Path) -> None:
    import nibabel
    import numpy as np
    from nibabel.orientations import apply_orientation, io_orientation, ornt_transform

    mask, reference = nibabel.load(path), nibabel.load(label)
    turn = ornt_transform(io_orientation(reference.affine), io_orientation(mask.affine))
    moved = np.roll(apply_orientation(np.asanyarray(reference.dataobj), turn), _MOVED, axis=0)
    moved = np.where(moved == IGNORE, 0, moved).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(moved, None, mask.header), path)


def _put_picture(path: Path, label: Path) -> None:
    import numpy as np
    from PIL import Image

    if label.is_file():
        Image.fromarray(np.roll(np.asarray(Image.open(label)), _MOVED, axis=0)).save(path)


def _series() -> Path:
    data = os.environ.get("MEDSEG_DATA")
    if not data:
        sys.exit("many_labels.py: MEDSEG_DATA must be the folder that holds chest_ct_dicom")
    return Path(data) / "chest_ct_dicom"


def _line(name: str, found: Measured) -> str:
    return f"| {name} | {found.seconds:.1f} | {found.peak_bytes / 2**20:,.0f} | {found.tree_bytes / 2**20:,.0f} |"


if __name__ == "__main__":
    main()
