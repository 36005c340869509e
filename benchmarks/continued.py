"""Does a run that learns further cases forget its old ones? Updated, trained on the new cases alone, and trained anew.

    python benchmarks/continued.py --data "$MEDSEG_DATA/msd_hippocampus" --old 100 --added 60 --steps 500 250 --out OUT

An order drawn by the seed gives the old cases and those that are added, both in five folds. A run on the old ones is
the start; then, with the same plan and about the same steps: its update on all (`--update`), once more at each peak
rate and share of new cases that is asked for; the run fine-tuned on the new cases alone (`--init`); and a training anew
on all. The validation cases of the fold are predicted by each and measured on their own grids, old and new ones apart.
Prints the mean Dice, and the difference to the start with its interval over patients.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import medseg
import numpy as np
from medseg.evaluation.segmentation import PairedDifference, compare_pair
from medseg.manifest import load_manifest, save_manifest, split_fold
from medseg.planning import Plan, load_plan
from medseg.records import Case, CaseMetrics, Manifest
from medseg.training.segmentation import steps_per_epoch

FOLDS = 5


def datasets(manifest: Manifest, *, old: int, added: int, seed: int) -> tuple[Manifest, Manifest]:
    """The old cases, and these with the added ones; every case has a fold that stays."""
    order = list(manifest.select("training"))
    random.Random(seed).shuffle(order)  # noqa: S311  # a draw of cases keeps no secret
    cases = [case.model_copy(update={"fold": place % FOLDS}) for place, case in enumerate(order[: old + added])]
    first = manifest.model_copy(update={"cases": tuple(cases[:old]), "version": "1"})
    return first, manifest.model_copy(update={"cases": tuple(cases), "version": "2"})


def without_old_training(both: Manifest, old: Manifest, fold: int) -> Manifest:
    """The added cases, and the validation cases of the fold."""
    known = {case.case_id for case in old.cases}
    cases = tuple(case for case in both.cases if case.fold == fold or case.case_id not in known)
    return both.model_copy(update={"cases": cases})


class Trial:
    """Trainings with one plan, measured on the validation cases of both data sets."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        manifest, self.root = load_manifest(arguments.data, data_root=arguments.data_root)
        self.arguments, self.fold = arguments, arguments.fold
        self.old, self.both = datasets(manifest, old=arguments.old, added=arguments.added, seed=arguments.seed)
        self.first, self.more = arguments.steps
        self.plan: Plan | None = load_plan(arguments.plan) if arguments.plan else None
        arguments.out.mkdir(parents=True)
        self.rows: dict[str, list[CaseMetrics]] = {}

    def train(self, name: str, manifest: Manifest, *, steps: int, **choices: Any) -> Path:
        """Train about so many steps, predict the validation cases, and measure them."""
        place: Path = self.arguments.out / name.replace(" ", "_")
        place.mkdir()
        save_manifest(manifest, place / "dataset.json")
        shared: dict[str, Any] = {"data_root": self.root, "tracking": False}
        cases = len(split_fold(manifest, self.fold)[0])
        per_epoch = steps_per_epoch(cases, self.plan.training) if self.plan else cases
        run = medseg.train(
            place / "dataset.json",
            out=place / "run",
            fold=self.fold,
            epochs=max(1, round(steps / per_epoch)),
            seed=self.arguments.seed,
            store=self.arguments.out / "store",
            device=self.arguments.device,
            **shared,
            **choices,
        )
        self.plan = self.plan or load_plan(run.folder / "plan.yaml")
        save_manifest(self.both, place / "measured.json")
        masks = medseg.predict(
            run.folder,
            place / "measured.json",
            out=place / "masks",
            fold=self.fold,
            data_root=self.root,
            device=self.arguments.device,
        )
        result = medseg.evaluate(
            place / "measured.json", masks=masks.folder, out=place / "evaluation", fold=self.fold, **shared
        )
        self.rows[name] = list(result.rows)
        row = {"name": name, "steps": run.steps, "seconds": round(run.seconds), "notes": [*run.notes, *run.warnings]}
        print(json.dumps(row), flush=True)
        for group, cases_of in self.groups().items():
            print(f"  {group}: {self.cell(name, cases_of)}", flush=True)
        return run.folder

    def groups(self) -> dict[str, Sequence[Case]]:
        """Old and new validation cases."""
        known = {case.case_id for case in self.old.cases}
        validation = split_fold(self.both, self.fold)[1]
        return {
            "old": [case for case in validation if case.case_id in known],
            "new": [case for case in validation if case.case_id not in known],
        }

    def cell(self, name: str, cases: Sequence[Case]) -> str:
        """Mean Dice over the cases, and the difference to the start."""
        start, own = (means(self.rows[one], cases) for one in ("start", name))
        entry = compare_pair(start, own, patients={case.case_id: case.patient_id for case in cases})[0]
        return f"{entry.second:.4f}" + ("" if name == "start" else f" ({change(entry)})")


def means(rows: Sequence[CaseMetrics], cases: Sequence[Case]) -> list[CaseMetrics]:
    """A row per case with the mean Dice over its structures."""
    found = []
    for case in cases:
        dice = [row.values["dice"] for row in rows if row.case_id == case.case_id]
        found.append(CaseMetrics(case.case_id, "mean", {"dice": float(np.nanmean(dice))}, 1, 1))
    return found


def change(entry: PairedDifference) -> str:
    """A difference with its interval."""
    return f"{entry.difference:+.4f}, {entry.low:+.4f} to {entry.high:+.4f}"


def table(trial: Trial) -> Iterator[str]:
    """Lines of a Markdown table."""
    groups = trial.groups()
    yield f"| training | Dice of {len(groups['old'])} old cases | Dice of {len(groups['new'])} new cases |"
    yield "| --- | --- | --- |"
    for name in trial.rows:
        yield f"| {name} | {trial.cell(name, groups['old'])} | {trial.cell(name, groups['new'])} |"


def main() -> None:
    """Train one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="dataset.json or its folder")
    parser.add_argument("--data-root", type=Path, help="folder that its paths are relative to")
    parser.add_argument("--old", type=int, default=100, help="cases of the first data set")
    parser.add_argument("--added", type=int, default=60, help="cases that are added")
    parser.add_argument("--steps", type=int, nargs=2, default=[500, 250], help="steps of the start, and of the others")
    parser.add_argument("--plan", type=Path, help="plan of all trainings; that of the start if not given")
    parser.add_argument("--rates", type=float, nargs="*", default=[], help="further peak rates of the update")
    parser.add_argument("--shares", type=float, nargs="*", default=[], help="further shares of new cases")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", type=Path, help="YAML of plan settings to change in the start")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--out", type=Path, required=True, help="new folder of the runs")
    arguments = parser.parse_args()
    trial = Trial(arguments)
    start = trial.train("start", trial.old, steps=trial.first, plan=arguments.plan, config=arguments.config)
    plan, alone = start / "plan.yaml", without_old_training(trial.both, trial.old, trial.fold)
    trial.train("update", trial.both, steps=trial.more, update=start)
    trial.train("new cases alone", alone, steps=trial.more, plan=plan, init=start)
    trial.train("anew", trial.both, steps=trial.more, plan=plan)
    for name, values in (("learning_rate", arguments.rates), ("fresh_share", arguments.shares)):
        for value in values:
            changed = {"training": {name: value}}
            trial.train(f"update {name} {value:g}", trial.both, steps=trial.more, update=start, config=changed)
    print("\n".join(table(trial)))


if __name__ == "__main__":
    main()
