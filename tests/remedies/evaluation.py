"""Remedies of an evaluation's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from medseg.errors import ScanError
from medseg.evaluation.classification import failure_auroc, stack_scores, summarise_scores
from medseg.evaluation.segmentation import (
    EvaluationContract,
    evaluate_cases,
    find_mask,
    load_evaluation,
    summarise,
    surface_dice,
    write_metrics,
    write_summary,
)
from medseg.evaluation.segmentation.measure_case import measure_case
from medseg.manifest.case_scans import check_named
from medseg.records import Case, CaseMetrics, Scan, SliceScores
from medseg.scans import write_mask
from medseg.targets import ExclusiveLabels, Regions

from tests.grids import OBLIQUE
from tests.manifest.datasets import manifest_of
from tests.remedies.attempts import covers, tries

covers("evaluation")
Again = Iterator[Callable[[], object]]
LABEL = np.zeros(OBLIQUE.shape, np.uint8)
LABEL[1:4, 2:5, 1:3] = 1
LABELS = {"background": 0, "liver": 1}


@tries("evaluation/segmentation/evaluate_cases.py", "run predict on this case first")
def _no_mask(place: Path) -> Again:
    yield lambda: find_mask(place, "a")
    write_mask(LABEL, Scan(LABEL[None], OBLIQUE), place, case_id="a")  # as predict does
    yield lambda: find_mask(place, "a")


@tries("evaluation/segmentation/evaluate_cases.py", "evaluate with the manifest that the model was trained on")
def _other_manifest(place: Path) -> Again:
    def check(**labels: int) -> Callable[[], object]:
        manifest = manifest_of([], labels={"background": 0, **labels})
        remedy = "evaluate with the manifest that the model was trained on"
        path = place / "a.nii.gz"
        return lambda: check_named(2 * LABEL, manifest, path, case_id="a", thing="mask", remedy=remedy)

    yield check(liver=1)
    yield check(liver=2)


@tries("evaluation/segmentation/evaluate_cases.py", "number the structures of the second reading as the manifest does")
def _other_numbers(place: Path) -> Again:
    case = Case(case_id="a", patient_id="a", images=("a.nii.gz",), label="label/a.nii.gz")
    write_mask(LABEL, Scan(LABEL[None], OBLIQUE), place / "label", case_id="a")

    def read(label: Any) -> CaseMetrics:
        write_mask(label, Scan(LABEL[None], OBLIQUE), place / "reader", case_id="a")
        rows, failures = evaluate_cases(
            [case], manifest_of([case], labels=LABELS), place, masks=place / "reader", drawn_by="reader"
        )
        if failures:
            fact, _, remedy = failures[0].reason.partition("; ")
            raise ScanError(fact, remedy=remedy)
        return rows[0]

    yield lambda: read(2 * LABEL)
    yield lambda: read(LABEL)


def measure(target: Any, **metrics: Any) -> Callable[[], object]:
    return lambda: measure_case(LABEL, LABEL, target=target, case_id="a", spacing_mm=(1.0, 1.0, 1.0), metrics=metrics)


@tries("evaluation/segmentation/measure_case.py", "evaluate labels or regions")
def _no_structures(place: Path) -> Again:
    yield measure(SimpleNamespace(kind="quantities"))
    yield measure(ExclusiveLabels(labels=LABELS))
    yield measure(Regions(labels=LABELS, regions={"liver": (1,)}, order=(1,)))


@tries("evaluation/segmentation/measure_case.py", "choose another name")
def _taken(place: Path) -> Again:
    def mine(label: Any, mask: Any, *, spacing_mm: Any) -> float:
        return 1.0

    yield measure(ExclusiveLabels(labels=LABELS), dice=mine)
    yield measure(ExclusiveLabels(labels=LABELS), my_dice=mine)


@tries("evaluation/segmentation/contract.py", "correct them, or leave labels out to take the manifest's")
def _labels_of_a_contract(place: Path) -> Again:
    yield lambda: EvaluationContract(labels={"liver": 2}).bound_to({"liver": 1})
    yield lambda: EvaluationContract(labels={"liver": 1}).bound_to({"liver": 1})
    yield lambda: EvaluationContract().bound_to({"liver": 1})


def evaluated(folder: Path, *case_ids: str, **changes: Any) -> Path:
    """A folder as `evaluate` writes it."""
    rows = [CaseMetrics(case_id, "liver", {"dice": 0.9}, 9, 9) for case_id in case_ids]
    contract = EvaluationContract.model_validate({"labels": {"liver": 1}, **changes})
    write_metrics(rows, folder / "metrics.csv")
    write_summary(summarise(rows), folder / "summary.json", contract=contract, notes={"patients": {}})
    return folder


@tries("evaluation/segmentation/stored.py", "give the folder that evaluate wrote")
def _other_folder(place: Path) -> Again:
    yield lambda: load_evaluation(place)
    yield lambda: load_evaluation(evaluated(place / "evaluation", "a"))


@tries("evaluation/segmentation/stored.py", "evaluate the masks again")
def _damaged(place: Path) -> Again:
    evaluated(place, "a")
    (place / "metrics.csv").write_text("a\n")
    yield lambda: load_evaluation(place)
    yield lambda: load_evaluation(evaluated(place, "a"))


@tries("evaluation/segmentation/same_grid.py", "put both on one grid first")
def _shapes(place: Path) -> Again:
    label = LABEL.astype(bool)
    sizes: dict[str, Any] = {"spacing_mm": (1.0, 1.0, 1.0), "tolerance_mm": 1.0}
    yield lambda: surface_dice(label, label[:-1], **sizes)
    yield lambda: surface_dice(label[:-1], label[:-1], **sizes)


SCORES = SliceScores(
    "a", "p", 2, np.arange(3.0), np.full((3, 2), 0.5), np.full(2, 0.5), np.zeros((3, 2), np.int8), np.zeros(2, np.int8)
)


def stack(scores: SliceScores) -> Callable[[], object]:
    return lambda: stack_scores([scores], classes=("x", "y"), level="slice")


@tries("evaluation/classification/score_table.py", "classify the case again with the same classes")
def _classes(place: Path) -> Again:
    yield stack(replace(SCORES, probabilities=np.full((3, 1), 0.5)))
    yield stack(SCORES)


@tries("evaluation/classification/score_table.py", "classify the case again")
def _probabilities(place: Path) -> Again:
    yield stack(replace(SCORES, probabilities=np.full((3, 2), np.nan)))
    yield stack(SCORES)


@tries("evaluation/classification/score_table.py", "fix its slice labels")
def _truth(place: Path) -> Again:
    yield stack(replace(SCORES, truth=np.full((3, 2), 5, np.int8)))
    yield stack(SCORES)


@tries("evaluation/classification/failure_detection.py", "give one of each per case")
def _lengths(place: Path) -> Again:
    yield lambda: failure_auroc([0.1, 0.2], [0.5], bound=0.8)
    yield lambda: failure_auroc([0.1, 0.2], [0.5, 0.9], bound=0.8)


@tries("evaluation/classification/summary.py", "choose for example 0.95")
def _specificity(place: Path) -> Again:
    yield lambda: summarise_scores([SCORES], classes=("x", "y"), kind="multilabel", specificity=1.5)
    yield lambda: summarise_scores([SCORES], classes=("x", "y"), kind="multilabel", specificity=0.95)
