"""How well does a network learn from labels of which most voxels are ignored?

    python benchmarks/ignored_voxels.py --data "$MEDSEG_DATA/msd_hippocampus" --cases 40 --steps 250 --out OUT

Two trainings on the same cases, with the same plan, seed and steps: one on the labels as they are, and one in which a
share of the voxels of the training cases, or of their slices along k, is ignored (`--by slices`). The validation cases
keep their whole labels. Prints the mean Dice of both.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import medseg
import numpy as np
from medseg.manifest import load_manifest, read_case, save_manifest, split_fold
from medseg.planning import load_plan
from medseg.records import Case, Manifest
from medseg.scans import write_scan
from medseg.training.segmentation import steps_per_epoch

FOLDS = 5
IGNORE = 255


def chosen(manifest: Manifest, *, cases: int, seed: int) -> Manifest:
    """Some of the cases, with folds."""
    order = list(manifest.select("training"))
    random.Random(seed).shuffle(order)  # noqa: S311  # a draw of cases keeps no secret
    some = [case.model_copy(update={"fold": place % FOLDS}) for place, case in enumerate(order[:cases])]
    return manifest.model_copy(update={"cases": tuple(some)})


def with_ignored(manifest: Manifest, root: Path, folder: Path, *, share: float, by: str, seed: int) -> Manifest:
    """The manifest with labels of fold 1 and above in which a share is ignored; paths lead from `folder`."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    cases = []
    for case in manifest.cases:
        images = tuple(str((root / name).resolve().relative_to("/")) for name in case.images)
        label = str((root / str(case.label)).resolve().relative_to("/"))
        if case.fold:
            label = str(_ignoring(case, manifest, root, folder, rng, share, by).resolve().relative_to("/"))
        cases.append(case.model_copy(update={"images": images, "label": label}))
    return manifest.model_copy(update={"cases": tuple(cases), "ignore": IGNORE})


def _ignoring(
    case: Case, manifest: Manifest, root: Path, folder: Path, rng: np.random.Generator, share: float, by: str
) -> Path:
    scan, label = read_case(case, manifest, root)
    shape = label.shape if by == "voxels" else (1, 1, label.shape[2])
    ignored = np.broadcast_to(rng.random(shape) < share, label.shape)
    path = folder / f"{case.case_id}.nii.gz"
    write_scan(np.where(ignored, IGNORE, label).astype(np.uint8)[None], scan.geometry, path)
    return path


def train(manifest: Manifest, root: Path, out: Path, *, plan: Path | None, given: argparse.Namespace) -> float:
    """Mean Dice of the validation cases after about so many steps."""
    out.mkdir(parents=True)
    save_manifest(manifest, out / "dataset.json")
    cases = len(split_fold(manifest, 0)[0])
    each = steps_per_epoch(cases, load_plan(plan).training) if plan else max(1, cases // 3)  # as CPUs are planned
    result = medseg.train(
        out / "dataset.json", out=out / "run", data_root=root, fold=0, epochs=max(1, round(given.steps / each)),
        seed=given.seed, preset=None if plan else given.preset,
        store=out / "store", plan=plan, tracking=False,
    )  # fmt: skip
    print(f"{out.name}: {result.steps} steps\n{result.summary}", flush=True)
    return result.summary.means["dice"]


def main() -> None:
    """Train twice and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--by", choices=("voxels", "slices"), default="voxels")
    parser.add_argument("--preset", help="Sizes of network, patch and batch.  [default: those of the device]")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    manifest, root = load_manifest(given.data)
    whole = chosen(manifest, cases=given.cases, seed=given.seed)
    partial = with_ignored(whole, root, given.out / "labels", share=given.share, by=given.by, seed=given.seed)
    full = train(whole, root, given.out / "whole", plan=None, given=given)
    plan = given.out / "whole" / "run" / "plan.yaml"
    part = train(partial, Path("/"), given.out / "partial", plan=plan, given=given)
    print(f"{given.share:.0%} of the {given.by} ignored: Dice {part:.4f}, against {full:.4f}: {part - full:+.4f}")


if __name__ == "__main__":
    main()
