"""Which evaluated cases flatter a model."""

from __future__ import annotations

from collections.abc import Collection

from medseg.inference import PredictionRecord
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


def flattered_cases(record: PredictionRecord | None, manifest: Manifest, case_ids: Collection[str]) -> list[str]:
    """Cases of patients that the models have seen which drew their masks, in the order of the manifest.

    Args:
        record: Record of the masks; None for masks from elsewhere.
        manifest: Dataset that says which patient a case is of.
        case_ids: Cases that are measured.
    """
    if record is None:
        return []
    groups: dict[tuple[int, ...] | None, list[str]] = {}
    drawn_by = {case.case_id: case.drawn_by for case in record.cases}
    for case_id in case_ids:
        groups.setdefault(drawn_by.get(case_id), []).append(case_id)
    found: set[str] = set()
    for members in groups.values():
        found |= set(seen_in_training(record.trained_on_for(members[0]), manifest, set(members)))
    return [case.case_id for case in manifest.cases if case.case_id in found]
