"""What a slice classifier saves as a gate: hippocampi in long volumes of real, label-free slices.

The Decathlon's hippocampus scans are crops of about 35×50×35 mm. Here each is set at a random place into a stack of
256 coronal slices for training, and of 512 for another trial; the others are label-free slices of other patients of the
same fold, so that a segmenter and a classifier have to tell the structure from real tissue. Then `medseg train`,
`medseg classify train` and `medseg classify gate` run as a user would run them.

    python benchmarks/gate.py --data "$MEDSEG_DATA/msd_hippocampus" --out long --budget 5m
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
from medseg.manifest import assign_folds, load_manifest, read_case, split_fold
from medseg.records import Array, Case, Manifest

SIDE, LENGTH, TRIAL_LENGTH, SEED = 40, 256, 512, 0
TRAINING, VALIDATION = 100, 20


def main() -> None:
    """Make the volumes, train both, and try the gate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budget", default="5m")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True)
    make_dataset(arguments.data, out / "data", length=LENGTH)
    make_dataset(arguments.data, out / "trial", length=TRIAL_LENGTH)
    config = out / "patches.yaml"  # windows as long as the structure, not as the volume
    config.write_text("training: {patch_size: [40, 64, 40]}\ninference: {patch_size: [40, 64, 40]}\n")
    shared = ["--fold", "0", "--budget", arguments.budget, "--no-tracking", "--store", out / "store"]
    run("train", out / "data", "--out", out / "run", "--config", config, *shared)
    run("classify", "train", out / "data", "--plane", "coronal", "--out", out / "classifier", *shared)
    for name in ("data", "trial"):
        trial = ["--fold", "0", "--out", out / f"gate_{name}", "--no-tracking"]
        run("classify", "gate", out / "run", out / "classifier", out / name, *trial)
    masks, check = out / "masks", out / "classifier"
    run("predict", out / "run", out / "data", "--fold", "0", "--check", check, "--out", masks)
    run("evaluate", out / "data", "--masks", masks, "--fold", "0", "--out", out / "evaluation", "--no-tracking")


def run(*arguments: object) -> None:
    """One command, shown and run."""
    command = ["medseg", *map(str, arguments)]
    print("$", *command, flush=True)
    subprocess.run([sys.executable, "-m", "medseg.workflows.cli", *command[1:]], check=True)


def make_dataset(source: Path, folder: Path, *, length: int) -> None:
    """Write long volumes, labels and a manifest with the source's folds."""
    manifest, root = load_manifest(source)
    training, validation = split_fold(assign_folds(manifest), 0)
    entries = []
    rng = np.random.default_rng(SEED)
    for fold, cases in ((1, training[:TRAINING]), (0, validation[:VALIDATION])):
        pairs = [crop(case, manifest, root) for case in cases]
        empty = np.concatenate([image[:, ~label.any(axis=(0, 2))] for image, label in pairs], axis=1)
        for case, (image, label) in zip(cases, pairs, strict=True):
            entries.append(write_case(case, lengthen(image, label, empty, rng, length=length), folder, fold=fold))
    content = {
        "name": "long hippocampus", "channel_names": {"0": "MRI"}, "labels": manifest.labels, "training": entries,
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(content))


def crop(case: Case, manifest: Manifest, root: Path) -> tuple[Array, Array]:
    """Image in its own standard deviations and label, both with sides of `SIDE` voxels."""
    scan, label = read_case(case, manifest, root)
    image = (scan.array[0] - scan.array[0].mean()) / scan.array[0].std()
    return fitted(image, image.min()), fitted(label, 0)


def fitted(array: Array, fill: float) -> Array:
    """Cut or fill the first and last axis about the centre."""
    for axis in (0, 2):
        spare = array.shape[axis] - SIDE
        if spare > 0:
            array = np.take(array, range(spare // 2, spare // 2 + SIDE), axis=axis)
        elif spare < 0:
            pad = [(0, 0)] * 3
            pad[axis] = (-spare // 2, -spare - (-spare // 2))
            array = np.pad(array, pad, constant_values=fill)
    return array


def lengthen(image: Array, label: Array, empty: Array, rng: np.random.Generator, *, length: int) -> tuple[Array, Array]:
    """The crop somewhere among label-free slices; these come in runs, as they follow each other in their scans."""
    start = int(rng.integers(0, length - image.shape[1]))
    first = int(rng.integers(0, empty.shape[1]))
    filler = np.take(empty, range(first, first + length), axis=1, mode="wrap").copy()
    filler[:, start : start + image.shape[1]] = image
    whole = np.zeros(filler.shape, label.dtype)
    whole[:, start : start + image.shape[1]] = label
    return filler, whole


def write_case(case: Case, arrays: tuple[Array, Array], folder: Path, *, fold: int) -> dict[str, object]:
    """Two NIfTI files of 1 mm voxels and the manifest's entry."""
    entry: dict[str, object] = {"case_id": case.case_id, "patient_id": case.patient_id, "fold": fold}
    for key, array in zip(("image", "label"), arrays, strict=True):
        path = folder / f"{key}s" / f"{case.case_id}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.Nifti1Image(array.astype(np.float32 if key == "image" else np.uint8), np.eye(4)).to_filename(path)
        entry[key] = path.relative_to(folder).as_posix()
    return entry


if __name__ == "__main__":
    main()
