#!/usr/bin/env python3
"""Dice of a plan, and of changes of it, after a fixed count of steps: learning without the machine's speed.

    python benchmarks/plan_at_steps.py PLAN DATASET --steps 2016 --folds 0 1 2 --out steps.jsonl
    python benchmarks/plan_at_steps.py PLAN DATASET --steps 2016 --change '{"training": {"learning_rate": 0.002}}' …

Runs on a GPU if there is one. A line of JSON per fold: mean volume Dice over labels of the fold's validation cases on
their native grid, steps and seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from medseg.errors import PipelineError
from medseg.evaluation.segmentation import summarise
from medseg.manifest import assign_folds, load_manifest, manifest_target, split_fold
from medseg.planning import load_plan, override_plan
from medseg.preprocess.segmentation import prepare_cases
from medseg.training import StepBudget
from medseg.training.engine import run_task
from medseg.training.segmentation import SegmentationInputs, SegmentationTask


def train_fold(arguments: argparse.Namespace, change: dict[str, Any], fold: int) -> dict[str, Any]:
    """Train one fold and measure it."""
    manifest, root = load_manifest(arguments.dataset, data_root=arguments.data_root)
    plan = override_plan(load_plan(arguments.plan), change, source="--change")
    prepared = [
        prepare_cases(cases, manifest, root, config=plan.preprocess, store=arguments.store)
        for cases in split_fold(assign_folds(manifest), fold)
    ]
    config = plan.training.model_copy(update={"seed": fold, "validations": 1})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        inputs = SegmentationInputs(
            *(part.cases for part in prepared),
            manifest_target(manifest),
            plan.network,
            config,
            plan.inference,
            device,
            Path(folder),
        )
        result = run_task(SegmentationTask(inputs), StepBudget(arguments.steps))
    return {
        "plan": str(arguments.plan),
        "change": change,
        "fold": fold,
        "dice": round(summarise(result.rows).means["dice"], 4),
        "cases": [len(part.cases) for part in prepared],
        "not_prepared": [failure.case_id for part in prepared for failure in part.failures],
        "steps": result.steps,
        "seconds": round(time.monotonic() - start, 1),
        "device": device.type,
    }


def main() -> None:
    """Print and append a line per fold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, metavar="PLAN", help="plan.yaml of a run, or of medseg plan")
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="a dataset.json or its folder")
    parser.add_argument("--data-root", type=Path, help="folder of the scans, if not the manifest's")
    parser.add_argument(
        "--store", type=Path, default=Path("medseg_store"), help="prepared cases (default medseg_store)"
    )
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--folds", type=int, nargs="+", default=[0], help="each is also the seed (default 0)")
    parser.add_argument("--change", type=json.loads, default={}, help="settings of the plan to change, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines to append to")
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    for fold in arguments.folds:
        try:
            line = json.dumps(train_fold(arguments, arguments.change, fold))
        except PipelineError as error:
            sys.exit(f"plan_at_steps.py: {error}")
        print(line, flush=True)
        with arguments.out.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
