"""Does a head that learns from listed slices help masks that are learned from few labels?

    python benchmarks/multitask.py --data "$MEDSEG_DATA/msd_hippocampus" --masked 16 --steps 300 --out OUT

Three trainings with the same plan, seed and steps (but for the rest of an epoch), validated on the same cases: masks
alone from the few cases with a label; the same with a head of slices; and with the other training cases too, of which
only the labels on each slice are known. Prints the mean Dice of each, the difference to the first with its 95 %
interval over cases, and how well the head finds slices.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

import medseg
import numpy as np
from medseg.evaluation.segmentation.stored import read_metrics
from medseg.manifest import load_manifest, read_case_label, save_manifest, split_fold
from medseg.planning import load_plan
from medseg.records import Case, CaseMetrics, Manifest
from medseg.training.segmentation import steps_per_epoch

FOLDS = 5
DRAWS = 10_000


def listed(case: Case, manifest: Manifest, root: Path, *, with_label: bool) -> Case:
    """The case with the labels that each slice shows, and with or without its label."""
    label, _ = read_case_label(case, manifest, root)
    names = {value: name for name, value in manifest.foreground.items()}
    slices = tuple(tuple(names[value] for value in np.unique(layer) if value) for layer in np.moveaxis(label, 2, 0))
    return case.model_copy(update={"slice_labels": slices, "label": case.label if with_label else None})


def arms(manifest: Manifest, root: Path, *, masked: int, seed: int) -> dict[str, Manifest]:
    """Datasets of the trainings by their names; the first holds the cases with a label alone."""
    order = list(manifest.select("training"))
    random.Random(seed).shuffle(order)  # noqa: S311  # a draw of cases keeps no secret
    cases = [case.model_copy(update={"fold": place % FOLDS}) for place, case in enumerate(order)]
    measured = [listed(case, manifest, root, with_label=True) for case in cases if case.fold == 0]
    learned = [case for case in cases if case.fold != 0]
    few = [listed(case, manifest, root, with_label=True) for case in learned[:masked]]
    others = [listed(case, manifest, root, with_label=False) for case in learned[masked:]]
    of = {"masks": [*few, *measured], "head": [*few, *measured], "head_listed": [*few, *others, *measured]}
    return {name: manifest.model_copy(update={"cases": tuple(some)}) for name, some in of.items()}


def train(name: str, manifest: Manifest, root: Path, plan: Path | None, given: argparse.Namespace, steps: int) -> Any:
    """Train for about so many steps, in whole epochs."""
    out = given.out / name
    out.mkdir(parents=True)
    save_manifest(manifest, out / "dataset.json")
    cases = len(split_fold(manifest, 0)[0])
    each = steps_per_epoch(cases, load_plan(plan).training) if plan else max(1, cases // 3)  # as CPUs are planned
    own = {"head": {"weighting": given.weighting, "weight": given.weight}} if name != "masks" else {}
    result = medseg.train(
        out / "dataset.json", out=out / "run", data_root=root, fold=0, epochs=max(1, round(steps / each)),
        seed=given.seed, preset=None if plan else given.preset, store=given.out / "store", plan=plan, tracking=False,
        head="slice" if name != "masks" else None, changes=own,
    )  # fmt: skip
    print(f"{name}: {cases} training cases, {result.steps} steps in {result.seconds:.0f} s\n{result.summary}")
    print("\n".join(result.notes), flush=True)
    return result


def dice_of(run: Path) -> dict[str, float]:
    """Mean Dice of each validation case over its labels."""
    rows: list[CaseMetrics] = list(read_metrics(run / "validation.csv"))
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row.case_id, []).append(row.values["dice"])
    return {case_id: float(np.nanmean(found)) for case_id, found in values.items()}


def main() -> None:
    """Train and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--masked", type=int, default=16)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--weighting", choices=("fixed", "uncertainty"), default="fixed")
    parser.add_argument("--weight", type=float, default=0.2)
    parser.add_argument("--only", nargs="*", choices=("head", "head_listed"), default=("head", "head_listed"))
    parser.add_argument("--preset", help="Sizes of network, patch and batch.  [default: those of the device]")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    manifest, root = load_manifest(given.data)
    datasets = arms(manifest, root, masked=given.masked, seed=given.seed)
    steps = train("masks", datasets["masks"], root, None, given, given.steps).steps
    alone = dice_of(given.out / "masks" / "run")
    for name in given.only:
        train(name, datasets[name], root, given.out / "masks" / "run" / "plan.yaml", given, steps)
        both = dice_of(given.out / name / "run")
        difference = np.array([both[case_id] - alone[case_id] for case_id in alone])
        draws = np.random.default_rng(0).choice(difference, (DRAWS, len(difference))).mean(axis=1)
        low, high = np.percentile(draws, (2.5, 97.5))
        print(
            f"{name}: mean Dice {np.mean(list(both.values())):.4f}, masks alone {np.mean(list(alone.values())):.4f}, "
            f"difference {difference.mean():+.4f} ({low:+.4f} to {high:+.4f}), {len(difference)} cases",
            flush=True,
        )


if __name__ == "__main__":
    main()
