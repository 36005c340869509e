"""The probabilities of a prediction's head, measured against a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.cohort import run_cases
from medseg.inference import PredictionRecord
from medseg.inference.segmentation.head.scores import scores_of
from medseg.manifest import case_target, read_case_label, unannotated
from medseg.preprocess.segmentation.head_truth import drawn_truth, head_truth, listed_truth
from medseg.records import Case, Manifest, SliceScores
from medseg.runs.segmentation.head.measured import DeliveredHead, deliver_head
from medseg.runs.segmentation.head.tables import head_of
from medseg.scans import read_grid


def has_head(record: PredictionRecord | None) -> bool:
    """Whether the masks were drawn by a model with a head."""
    return record is not None and any(case.head is not None for case in record.cases)


def is_for_head_alone(case: Case) -> bool:
    """Whether a case has no label, so that a head alone can be measured by what the manifest lists of it."""
    return not case.has_reference


def evaluate_head(
    record: PredictionRecord | None, cases: Sequence[Case], manifest: Manifest, root: Path, *, folder: Path
) -> DeliveredHead | None:
    """Measure what a head found in some cases, and write tables and pictures; None for masks alone.

    Args:
        record: Record of the masks; None for masks from elsewhere.
        cases: Cases of the dataset, those without a label among them.
        manifest: Dataset.
        root: Folder that its paths are relative to.
        folder: Target folder.
    """
    head = head_of(record.cases) if record is not None else None
    if record is None or head is None:
        return None
    found = {case.case_id: case.head for case in record.cases if case.head is not None}

    def score(case: Case) -> SliceScores:
        slices = read_grid(root / case.images[0], case_id=case.case_id).geometry.shape[2]
        drawn = head.unknown(slices)
        if case.has_reference:
            label, _ = read_case_label(case, manifest, root)
            others = unannotated(case, manifest)
            drawn = drawn_truth(label, case_target(case, manifest), head, slices=slices, unannotated=others)
        truth = head_truth(drawn, listed_truth(case, manifest, head, slices=slices))
        return scores_of(found[case.case_id], case_id=case.case_id, patient_id=case.patient_id, truth=truth)

    done = run_cases([case for case in cases if case.case_id in found], score, stage="evaluate head")
    return deliver_head(done.results, folder, head=head, title=manifest.name, failures=done.failures)
