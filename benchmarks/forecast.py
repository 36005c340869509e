"""How often the forecast of a training holds the truth: made on the way, held against what came.

Each run is read from its `validation_curve.csv`; the forecast is made from the validations up to a share of its steps
and held against the score at its end.

    python benchmarks/forecast.py --at 0.5 RUN RUN ...
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from medseg.runs.run_folder import RunFolder
from medseg.training.forecast import COVERAGE, Forecast, forecast_score

_TOLERANCE = 0.04  # of the steps, since validations are made at the end of an epoch


def read_curve(run: Path) -> list[tuple[int, float]]:
    """Step and score of every validation."""
    with RunFolder(run).validation_curve.open(encoding="utf-8") as file:
        return [(int(row["step"]), float(row["score"])) for row in csv.DictReader(file)]


def forecast_at(curve: list[tuple[int, float]], share: float) -> Forecast | None:
    """The forecast as it was made at a share of the training."""
    end = curve[-1][0]
    known = [(step, score) for step, score in curve if step <= (share + _TOLERANCE) * end]
    return forecast_score([step for step, _ in known], [score for _, score in known], end=end)


def main() -> int:
    """Print a row per run and share, and how often the interval held the truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="Folders of trainings.")
    parser.add_argument("--at", type=float, default=0.5, help="Share of the training.")
    options = parser.parse_args()
    share: float = options.at
    held: list[bool] = []
    print(f"| run | last score at {share:g} | forecast | 80 % interval | at the end | held |")
    print("| --- | --- | --- | --- | --- | --- |")
    for run in options.runs:
        curve = read_curve(run)
        found = forecast_at(curve, share)
        if found is None or found.score is None:
            print(f"| {run.name} | | too few validations | | {curve[-1][1]:.4f} | |")
            continue
        truth, known = curve[-1][1], [s for step, s in curve if step <= (share + _TOLERANCE) * curve[-1][0]]
        held.append(found.score.low <= truth <= found.score.high)
        print(
            f"| {run.name} | {known[-1]:.4f} | {found.score.middle:.4f} | {found.score.low:.4f} to "
            f"{found.score.high:.4f} | {truth:.4f} | {'yes' if held[-1] else 'no'} |"
        )
    print(f"\n{sum(held)} of {len(held)} held, {COVERAGE:.0%} expected\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
