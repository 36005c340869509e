"""Which evaluated cases flatter a model."""

from __future__ import annotations

from collections.abc import Collection

from medseg.records import Manifest


def seen_in_training(trained_on: Collection[str], manifest: Manifest, case_ids: Collection[str]) -> list[str]:
    """Cases of patients that a model was trained on, in the order of the manifest.

    Args:
        trained_on: Ids of the cases that the model has seen.
        manifest: Dataset that says which patient a case is of.
        case_ids: Cases that are measured.
    """
    patients = {case.patient_id for case in manifest.cases if case.case_id in trained_on}
    return [case.case_id for case in manifest.cases if case.case_id in case_ids and case.patient_id in patients]
