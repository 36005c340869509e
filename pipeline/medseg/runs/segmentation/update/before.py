"""The validation of the weights that an update begins with: `before.json`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from medseg.atomic import write_json
from medseg.errors import CheckpointError
from medseg.preprocess.segmentation import StoredCase
from medseg.records import CaseMetrics
from medseg.runs.progress import Progress
from medseg.training.ignite_log import make_engine
from medseg.training.segmentation import SegmentationInputs
from medseg.training.segmentation.task import SegmentationTask

_SHARE = 0.1  # of a wall-clock budget
_GOLDEN = 0.6180339887498949  # whose multiples spread most evenly


def measure_before(
    inputs: SegmentationInputs, path: Path, *, budget_s: float | None, progress: Progress
) -> SegmentationInputs:
    """Measure the weights that the training begins with on its validation cases, unless that is done.

    Args:
        inputs: Inputs of the training.
        path: Target file.
        budget_s: Wall clock of the training, of which a tenth pays for this; None where time does not count.
        progress: Follows the work.

    Returns:
        The inputs with the validation cases that were measured, so that every validation is of these.

    Raises:
        CheckpointError: If the file is there and damaged.
    """
    if not path.is_file():
        _measure(inputs, path, budget_s=budget_s, progress=progress)
    measured = {row.case_id for row in read_before(path)}
    return replace(inputs, validation=tuple(case for case in inputs.validation if case.case_id in measured))


def read_before(path: Path) -> tuple[CaseMetrics, ...]:
    """Rows of the weights that an update began with.

    Raises:
        CheckpointError: If the file is missing or damaged.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            CaseMetrics(**row | {"values": {name: _number(value) for name, value in row["values"].items()}})
            for row in rows
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"run {path.parent}: {path.name} must be readable, got: {error}", remedy="start a new run"
        ) from error


def _measure(inputs: SegmentationInputs, path: Path, *, budget_s: float | None, progress: Progress) -> None:
    cases = inputs.validation
    task = SegmentationTask(inputs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs.config.seed)
        network = task.build()
    step = task.evaluation_step(network)
    rows: list[CaseMetrics] = []
    start = time.monotonic()
    with progress.over_cases(len(cases), "measure the run") as on_done:
        for case in _spread(cases):
            if rows and budget_s is not None and time.monotonic() - start > _SHARE * budget_s:
                break
            rows += make_engine(step).run([case]).output
            on_done(case.case_id)
    write_json(path, [asdict(row) for row in rows])


def _spread(cases: Sequence[StoredCase]) -> list[StoredCase]:
    """The cases in an order whose beginnings, of whatever length, are from all over the list."""
    places = sorted(range(len(cases)), key=lambda place: place * _GOLDEN % 1)
    return [cases[place] for place in places]


def _number(value: float | None) -> float:
    """A number of a JSON file, in which NaN is null."""
    return math.nan if value is None else float(value)
