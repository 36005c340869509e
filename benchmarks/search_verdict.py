"""How often a search names a trial better than the plan, where none is and where all are, on made-up scores.

    python -m benchmarks.search_verdict --searches 300

A score is the setting's, plus what the seed of the training changes in all patients at once, plus what it changes in
each. The best two of 20 trials that score above the plan are trained again, as the plan is, and the verdict is
`medseg.runs.search.scores`' own.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from medseg.evaluation.segmentation import write_metrics
from medseg.records import CaseMetrics
from medseg.runs.search.record import SearchFolder, repeat_name
from medseg.runs.search.scores import contests

PATIENTS, TRIALS, FINALISTS = 20, 20, 2
SEED_SD = 0.01


def main() -> None:
    """Print a row per spread over patients, number of seeds and advantage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=300)
    options = parser.parse_args()
    print(
        "| spread over patients | new seeds | advantage of every trial | a trial is named |\n| --- | --- | --- | --- |"
    )
    for patient_sd in (0.01, 0.03):
        for repeats in (1, 2, 3):
            for gain in (0.0, 3 * SEED_SD):
                rng = np.random.default_rng(0)
                won = sum(_is_named(rng, patient_sd, repeats, gain) for _ in range(options.searches))
                print(f"| {patient_sd} | {repeats} | {gain:g} | {100 * won / options.searches:.0f} % |", flush=True)


def _is_named(rng: np.random.Generator, patient_sd: float, repeats: int, gain: float) -> bool:
    """A search in which every trial but the plan has the same advantage."""

    def train(gain: float) -> np.ndarray:
        scores: np.ndarray = gain + rng.normal(0, SEED_SD) + rng.normal(0, patient_sd, PATIENTS)
        return scores

    means = [train(gain if number else 0.0).mean() for number in range(TRIALS)]
    better = [number for number in np.argsort(means)[::-1].tolist() if means[number] > means[0]][:FINALISTS]
    with tempfile.TemporaryDirectory() as place:
        folder = SearchFolder(Path(place))
        for number in (0, *better):
            for repeat in range(1, repeats + 1):
                scores = 0.7 + train(gain if number else 0.0)
                rows = [CaseMetrics(f"c{n}", "all", {"dice": float(one)}, 9, 9) for n, one in enumerate(scores)]
                write_metrics(rows, folder.scores(repeat_name(number, repeat)))
        return any(one.is_won for one in contests(folder, better, repeats=repeats, patients={}))


if __name__ == "__main__":
    main()
