"""What does a network learn from several raters: one of them, what they are fused into, or one drawn in each patch?

    python benchmarks/several_raters.py --data "$MEDSEG_DATA/msd_hippocampus" --cases 40 --steps 240 --out OUT

Three raters are made up of each label: `large` draws a voxel more all round, `shifted` is a voxel off along i, and
`forgets` leaves the last label out of every third case. Four trainings on the same cases, with the same plan, seed and
steps. The masks of the validation cases are measured against the labels as they were, which no training saw, against
what the raters are fused into, and against the raters.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import medseg
import numpy as np
from medseg.manifest import load_manifest, read_case, save_manifest, split_fold
from medseg.planning import load_plan
from medseg.records import Case, Labelmap, Manifest
from medseg.scans import write_scan
from medseg.training.segmentation import steps_per_epoch
from scipy import ndimage

FOLDS = 5
TRAININGS = ("large", "majority", "staple", "sampled")


def readings(label: Labelmap, *, number: int) -> dict[str, Labelmap]:
    """What the made-up raters draw of a label.

    Args:
        label: The label as it was.
        number: Number of the case.
    """
    grown = ndimage.grey_dilation(label, footprint=ndimage.generate_binary_structure(3, 1))
    large = np.where(label > 0, label, grown)
    shifted = np.zeros_like(label)
    shifted[1:] = label[:-1]
    forgets = np.where(label == label.max(), 0, label) if number % 3 == 0 else label
    return {"large": large, "shifted": shifted, "forgets": forgets}


def read_by_three(manifest: Manifest, root: Path, folder: Path, *, cases: int, seed: int) -> Manifest:
    """Some of the cases with folds, labels and raters; paths lead from the root of the disk."""
    order = list(manifest.select("training"))
    random.Random(seed).shuffle(order)  # noqa: S311  # a draw of cases keeps no secret
    done = []
    for number, case in enumerate(order[:cases]):
        scan, label = read_case(case, manifest, root)
        files = {}
        for name, drawn in readings(label, number=number).items():
            path = folder / name / f"{case.case_id}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_scan(drawn.astype(np.uint8)[None], scan.geometry, path)
            files[name] = _from_root(path)
        images = tuple(_from_root(root / name) for name in case.images)
        changes = {"images": images, "label": _from_root(root / str(case.label)), "raters": files}
        done.append(case.model_copy(update={**changes, "fold": number % FOLDS}))
    return manifest.model_copy(update={"cases": tuple(done)})


def _from_root(path: Path) -> str:
    return path.resolve().relative_to("/").as_posix()


def as_trained(case: Case, choice: str) -> Case:
    """The case without the label as it was: with that of one rater, or with the raters."""
    if choice == "large":
        return case.model_copy(update={"label": (case.raters or {})["large"], "raters": None})
    return case.model_copy(update={"label": None})


def train(manifest: Manifest, choice: str, out: Path, *, plan: Path | None, given: argparse.Namespace) -> Path:
    """The folder of a training's run."""
    out.mkdir(parents=True)
    cases = tuple(as_trained(case, choice) for case in manifest.cases)
    save_manifest(manifest.model_copy(update={"cases": cases}), out / "dataset.json")
    training = len(split_fold(manifest, 0)[0])
    each = steps_per_epoch(training, load_plan(plan).training) if plan else max(1, training // 3)  # as CPUs are planned
    result = medseg.train(
        out / "dataset.json", out=out / "run", data_root=Path("/"), fold=0, epochs=max(1, round(given.steps / each)),
        seed=given.seed, preset=None if plan else given.preset, store=given.out / "store", plan=plan, tracking=False,
        changes={} if choice == "large" else {"training": {"raters": choice}},
    )  # fmt: skip
    print(f"{choice}: {result.steps} steps", flush=True)
    return result.folder


def main() -> None:
    """Train four times and measure against the labels as they were and against the raters."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--preset", help="Sizes of network, patch and batch.  [default: those of the device]")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    manifest, root = load_manifest(given.data)
    read = read_by_three(manifest, root, given.out / "raters", cases=given.cases, seed=given.seed)
    truth, fused = given.out / "truth.json", given.out / "fused.json"
    save_manifest(read, truth)
    save_manifest(read.model_copy(update={"cases": tuple(as_trained(c, "majority") for c in read.cases)}), fused)
    plan = None
    for choice in TRAININGS:
        run = train(read, choice, given.out / choice, plan=plan, given=given)
        plan = plan or run / "plan.yaml"
        masks = given.out / choice / "masks"
        medseg.predict(run, truth, out=masks, fold=0, data_root=Path("/"))
        for name, dataset in (("truth", truth), ("fused", fused)):
            done = medseg.evaluate(
                dataset, masks=masks, out=given.out / choice / name, fold=0, data_root=Path("/"), tracking=False
            )
            print(f"{choice} against {name}:\n{done.summary}\n{done.raters}", flush=True)


if __name__ == "__main__":
    main()
