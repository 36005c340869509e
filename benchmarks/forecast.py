"""How often the forecast of a training holds the truth: made on the way, held against what came.

Each run's `validation_curve.csv` holds every validation with the forecast as it was made then; the one at a share of
the training's validations is held against the score at its end.

    python benchmarks/forecast.py --at 0.5 RUN RUN ...
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from medseg.runs.run_folder import RunFolder
from medseg.training.forecast import COVERAGE


def read_curve(run: Path) -> list[dict[str, float]]:
    """Step, score and forecast of every validation."""
    with RunFolder(run).validation_curve.open(encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def made_at(curve: list[dict[str, float]], share: float) -> dict[str, float] | None:
    """The last validation in a share of all of them, which are evenly spread over the budget."""
    known = curve[: round(share * len(curve))]
    return known[-1] if known and known[-1]["forecast"] == known[-1]["forecast"] else None


def main() -> int:
    """Print a row per run, and how often the interval held the truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="Folders of trainings.")
    parser.add_argument("--at", type=float, default=0.5, help="Share of the training's validations.")
    options = parser.parse_args()
    held: list[bool] = []
    print(f"| run | score at {options.at:g} | forecast | 80 % interval | at the end | held |")
    print("| --- | --- | --- | --- | --- | --- |")
    for run in options.runs:
        curve = read_curve(run)
        truth, found = curve[-1]["score"], made_at(curve, options.at)
        if found is None:
            print(f"| {run.name} | | none yet | | {truth:.4f} | |")
            continue
        low, high = found["forecast_low"], found["forecast_high"]
        held.append(low <= truth <= high)
        print(
            f"| {run.name} | {found['score']:.4f} | {found['forecast']:.4f} | {low:.4f} to {high:.4f} | {truth:.4f} | "
            f"{'yes' if held[-1] else 'no'} |"
        )
    print(f"\n{sum(held)} of {len(held)} held, {COVERAGE:.0%} expected\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
