"""Folds that stay when cases join a data set, so that no patient of a run changes from validation to training."""

from __future__ import annotations

from contextlib import suppress

from medseg.errors import ManifestError
from medseg.manifest import assign_folds
from medseg.manifest.folds import FOLDS
from medseg.records import Manifest
from medseg.runs.run_folder import RunRecord


def kept_folds(manifest: Manifest, record: RunRecord) -> dict[str, int]:
    """Fold of each patient that the manifest or a run knows; other patients are free.

    A manifest without folds was divided by each training on it, by its patients alone. That division is made again for
    the cases that the run had; where its validation comes out otherwise, as when cases are gone, its validation cases
    keep its fold and the others are spread over the other folds.

    Args:
        manifest: Data set, with folds for some cases, or for none.
        record: What the run was started with.
    """
    stated = {case.patient_id: case.fold for case in manifest.select("training") if case.fold is not None}
    return {**_of_run(manifest, record), **stated}


def _of_run(manifest: Manifest, record: RunRecord) -> dict[str, int]:
    """Folds of the patients of a run."""
    known = {*record.training, *record.validation}
    cases = tuple(
        case.model_copy(update={"fold": None}) for case in manifest.select("training") if case.case_id in known
    )
    validation = {case.case_id for case in cases} & set(record.validation)
    with suppress(ManifestError):
        again = assign_folds(manifest.model_copy(update={"cases": cases})).cases
        found = {case.case_id for case in again if str(case.fold) == record.fold}
        if record.fold == "all" or found == validation:
            return {case.patient_id: case.fold for case in again if case.fold is not None}
    if record.fold == "all":
        return {}
    own = int(record.fold)
    patients = dict.fromkeys(case.patient_id for case in cases if case.case_id in validation)
    others = dict.fromkeys(case.patient_id for case in cases if case.patient_id not in patients)
    free = [fold for fold in range(max(FOLDS, own + 1)) if fold != own]
    return {**dict.fromkeys(patients, own), **{one: free[n % len(free)] for n, one in enumerate(others)}}
