"""Folds and test set of a dataset that grows: a patient stays where `split` put it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.errors import PipelineError
from medseg.manifest.load import load_manifest
from medseg.records import Case, Manifest


def previous_manifest(out: Path) -> Manifest | None:
    """The manifest that an earlier run or `split` wrote; None if there is none that can be read."""
    if not (out / "dataset.json").is_file():
        return None
    try:
        return load_manifest(out)[0]
    except PipelineError:
        return None


def carry_over(cases: Sequence[Case], previous: Manifest | None) -> list[Case]:
    """Cases with the fold of their patient, or held out where the patient's labelled cases were.

    Args:
        cases: Without folds; those without a label in the test set.
        previous: What the dataset was before.
    """
    if previous is None:
        return list(cases)
    fold_of = {case.patient_id: case.fold for case in previous.select("training") if case.fold is not None}
    held_out = {case.patient_id for case in previous.select("test") if case.label is not None}
    placed = []
    for case in cases:
        if case.patient_id in held_out:
            case = case.model_copy(update={"split": "test"})
        elif case.split == "training":
            case = case.model_copy(update={"fold": fold_of.get(case.patient_id)})
        placed.append(case)
    return placed
