"""Do fewer cases suffice where a training begins with an earlier run? From scratch and fine-tuned, same cases and time.

    python benchmarks/fine_tuning.py --data "$MEDSEG_DATA/left_atrium" --init RUN --cases 5 10 20 --budget 2m --out OUT

RUN is a run of `medseg train`, best on another dataset: cases that it was trained on and that are measured here flatter
it, which is printed. The first N training patients of an order drawn by the seed are trained on (so that 5 are among
the 10); all validation cases of the fold are predicted and measured on their own grids. Prints the mean Dice of each
training, and the mean and range over the seeds.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import medseg
from medseg.configuration import read_yaml
from medseg.manifest import assign_folds, load_manifest, save_manifest, split_fold
from medseg.records import Manifest

STARTS = ("scratch", "fine-tuned")


def with_patients(manifest: Manifest, *, fold: int, patients: int, seed: int) -> Manifest:
    """The validation cases of a fold, and the training cases of some of its patients."""
    training, validation = split_fold(manifest, fold)
    order = sorted({case.patient_id for case in training})
    random.Random(seed).shuffle(order)  # noqa: S311  # a draw of patients keeps no secret
    chosen = set(order[:patients])
    kept = {case.case_id for case in training if case.patient_id in chosen} | {case.case_id for case in validation}
    return manifest.model_copy(update={"cases": tuple(case for case in manifest.cases if case.case_id in kept)})


def measure(start: str, patients: int, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train once, and measure the masks of the validation cases."""
    manifest, root = load_manifest(arguments.data, data_root=arguments.data_root)
    place = arguments.out / f"{start}_{patients}_{seed}"
    place.mkdir(parents=True)
    few = with_patients(assign_folds(manifest), fold=arguments.fold, patients=patients, seed=seed)
    dataset = place / "dataset.json"
    save_manifest(few, dataset)
    shared: dict[str, Any] = {"data_root": root, "tracking": False}
    run = medseg.train(
        dataset,
        out=place / "run",
        fold=arguments.fold,
        budget=arguments.budget if arguments.epochs is None else None,
        epochs=arguments.epochs,
        init=arguments.init if start == "fine-tuned" else None,
        config=read_yaml(arguments.config) if arguments.config else None,
        seed=seed,
        store=arguments.out / "store",
        device=arguments.device,
        **shared,
    )
    masks = medseg.predict(
        run.folder, dataset, out=place / "masks", fold=arguments.fold, data_root=root, device=arguments.device
    )
    result = medseg.evaluate(dataset, masks=masks.folder, out=place / "evaluation", fold=arguments.fold, **shared)
    return {
        "start": start,
        "patients": patients,
        "seed": seed,
        "dice": round(result.summary.means["dice"], 4),
        "steps": run.steps,
        "seconds": round(run.seconds, 1),
        "notes": [*run.notes, *(text for text in run.warnings if "earlier run" in text)],
    }


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Lines of a Markdown table: mean and range of the Dice over the seeds."""
    yield "| training patients | from scratch | fine-tuned |"
    yield "| --- | --- | --- |"
    for patients in sorted({row["patients"] for row in rows}):
        cells = []
        for start in STARTS:
            dice = [row["dice"] for row in rows if (row["patients"], row["start"]) == (patients, start)]
            cells.append(f"{sum(dice) / len(dice):.4f} ({min(dice):.4f} to {max(dice):.4f})")
        yield f"| {patients} | {cells[0]} | {cells[1]} |"


def main() -> None:
    """Run every pair of trainings one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="dataset.json or its folder")
    parser.add_argument("--data-root", type=Path, help="folder that its paths are relative to")
    parser.add_argument("--init", type=Path, required=True, help="earlier run of medseg train")
    parser.add_argument("--cases", type=int, nargs="+", default=[5, 10, 20], help="numbers of training patients")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--budget", default="2m", help="wall clock of each training")
    parser.add_argument("--epochs", type=int, help="length in epochs instead")
    parser.add_argument("--config", type=Path, help="YAML of plan settings to change in both")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--out", type=Path, required=True, help="new folder of the runs and rows.jsonl")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True)
    rows = []
    for seed in arguments.seeds:
        for patients in arguments.cases:
            for start in STARTS:
                rows.append(measure(start, patients, seed, arguments))
                print(json.dumps(rows[-1]), flush=True)
                with (arguments.out / "rows.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
