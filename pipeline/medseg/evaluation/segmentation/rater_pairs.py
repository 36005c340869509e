"""What several raters drew in a case, measured against each other and against a mask."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from medseg.atomic import write_text
from medseg.cohort import SERIAL, Executor, run_cases
from medseg.evaluation.segmentation.contract import EvaluationContract
from medseg.evaluation.segmentation.evaluate_cases import (
    OTHER_MANIFEST,
    LabelPair,
    bound_contract,
    find_mask,
    measure_maps,
)
from medseg.evaluation.segmentation.metric import Metric
from medseg.evaluation.segmentation.metric_kinds import as_text
from medseg.manifest import case_target, read_raters
from medseg.manifest.case_scans import check_named, check_same_grid
from medseg.records import Case, CaseMetrics, Failure, Labelmap, Manifest, Mask
from medseg.scans import read_label

MASK = "mask"
STAGE = "compare with raters"


@dataclass(frozen=True, slots=True)
class RaterPair:
    """One structure of a case as two have drawn it.

    Attributes:
        first: Name of a rater, which the metrics take for the reference.
        second: Name of another rater, or `mask` for the mask that is evaluated.
        row: Metrics of the structure.
    """

    first: str
    second: str
    row: CaseMetrics

    @property
    def has_mask(self) -> bool:
        """Whether a rater is compared with the mask, and not with another rater."""
        return self.second == MASK


def measure_raters(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    masks: Path | None = None,
    contract: EvaluationContract | None = None,
    metrics: Mapping[str, Metric] | None = None,
    executor: Executor = SERIAL,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> tuple[list[RaterPair], list[Failure]]:
    """Metrics of every pair of raters of each case, and of each rater with the mask.

    A voxel that one of a pair has not annotated does not count for that pair.

    Args:
        cases: Cases to measure; those without raters are passed over.
        manifest: Manifest of the cases.
        root: Data root.
        masks: Folder of masks, as in `evaluate_cases`; None to compare the raters alone.
        contract: What is measured, and how; the default contract if not given.
        metrics: Metrics of the user's own by name.
        executor: Runner of the work on the cases.
        on_done: Called with the case id after each case.

    Returns:
        Metrics per case, pair and structure, and the cases that failed.

    Raises:
        ConfigError: If the contract does not fit the manifest.
    """
    bound = bound_contract(contract or EvaluationContract(), manifest)
    if bound.objects:  # they are of the reference alone
        bound = bound.model_copy(update={"objects": ()})
    work = partial(_measure_case, manifest=manifest, root=root, masks=masks, contract=bound, metrics=metrics or {})
    read = [case for case in cases if case.raters]
    done = run_cases(read, work, stage=STAGE, executor=executor, on_done=on_done)
    return [pair for pairs in done.results for pair in pairs], list(done.failures)


def _measure_case(
    case: Case,
    manifest: Manifest,
    root: Path,
    masks: Path | None,
    contract: EvaluationContract,
    metrics: Mapping[str, Metric],
) -> list[RaterPair]:
    readings, grid = read_raters(case, manifest, root)
    target = case_target(case, manifest)
    compared = list(combinations(readings, 2))
    if masks is not None:
        path = find_mask(masks, case.case_id)
        mask, mask_grid = read_label(path, case_id=case.case_id)
        check_same_grid(mask_grid, grid, case_id=case.case_id, thing=MASK, reference="image")
        check_named(mask, manifest, path, case_id=case.case_id, thing=MASK, remedy=OTHER_MANIFEST)
        readings = {**readings, MASK: mask}
        compared += [(name, MASK) for name in case.raters or {}]

    def ignored(first: Labelmap, second: Labelmap) -> Mask | None:
        """Voxels that one of the two has not annotated."""
        if manifest.ignore is None:
            return None
        found = [one for one in map(target.ignored, (first, second)) if one is not None]
        return np.asarray(np.logical_or.reduce(found))

    return [
        RaterPair(first, second, row)
        for first, second in compared
        for row in measure_maps(
            LabelPair(readings[first], readings[second], grid, ignored(readings[first], readings[second])),
            case,
            manifest,
            contract=contract,
            metrics=metrics,
        )
    ]


def write_rater_pairs(pairs: Sequence[RaterPair], path: Path) -> None:
    """Write one line per case, pair and structure; a metric that is undefined or left out stays blank."""
    metrics = list(dict.fromkeys(metric for pair in pairs for metric in pair.row.values))
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["case_id", "first", "second", "label", *metrics, "first_voxels", "second_voxels"])
    for pair in pairs:
        row = pair.row
        known = [(metric, row.values.get(metric, math.nan)) for metric in metrics]
        values = ["" if value != value else as_text(metric, value, 6) for metric, value in known]
        table.writerow([row.case_id, pair.first, pair.second, row.label, *values, row.label_voxels, row.mask_voxels])
    write_text(path, buffer.getvalue())
