"""Patient-grouped, seeded folds."""

from __future__ import annotations

import logging
import random
from collections import defaultdict

from medseg.errors import ManifestError
from medseg.records import Case, Manifest

_log = logging.getLogger(__name__)
FOLDS = 5
FOLD_SEED = 0


def assign_folds(manifest: Manifest, *, folds: int | None = None, seed: int = FOLD_SEED) -> Manifest:
    """Give every training case a fold, the same for all cases of a patient; existing folds are kept.

    Patients are shuffled by the seed, sorted by their number of cases, largest first, and assigned in turn to the fold
    with the fewest cases, so that fold sizes differ by at most the largest patient.

    Args:
        manifest: Manifest with folds for all training cases, or for none.
        folds: Number of folds; if not given 5, or one per patient where there are fewer, which is logged.
        seed: Seed of the shuffle; the same manifest and seed give the same folds.

    Raises:
        ManifestError: If only some cases have a fold, a patient is in two folds or also in the test set, or there are
            fewer patients than the folds that are asked for, or than two.
    """
    training = manifest.select("training")
    check_patients(manifest)
    given = [case for case in training if case.fold is not None]
    if given and len(given) != len(training):
        missing = next(case.case_id for case in training if case.fold is None)
        raise ManifestError(
            "fold must be given for all training cases or none", remedy="add it or remove all", case_id=missing
        )
    if given:
        return manifest
    patients = len({case.patient_id for case in training})
    fold_of = _assign(training, folds=_number_of_folds(patients) if folds is None else folds, seed=seed)
    cases = tuple(
        case.model_copy(update={"fold": fold_of[case.patient_id]}) if case.split == "training" else case
        for case in manifest.cases
    )
    return manifest.model_copy(update={"cases": cases})


def split_fold(manifest: Manifest, fold: int) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Training and validation cases of one fold.

    Raises:
        ManifestError: If the fold does not exist, or leaves nothing to train on.
    """
    cases = manifest.select("training")
    known = sorted({case.fold for case in cases if case.fold is not None})
    if fold not in known:
        raise ManifestError(f"fold must be one of {known}, got {fold}", remedy="choose another fold")
    training = tuple(case for case in cases if case.fold != fold)
    validation = tuple(case for case in cases if case.fold == fold)
    if not training:
        raise ManifestError(f"fold {fold} must leave cases to train on, got none", remedy="add a second fold")
    return training, validation


def _number_of_folds(patients: int) -> int:
    """Five folds, or as many as there are patients.

    Raises:
        ManifestError: If there are fewer than two patients.
    """
    if patients < 2:
        raise ManifestError(
            f"folds need at least 2 patients for training, got {patients}",
            remedy="train on all of it with the fold all, which validates nothing",
        )
    if patients < FOLDS:
        _log.warning("%d patients make %d folds instead of %d", patients, patients, FOLDS)
    return min(FOLDS, patients)


def _assign(cases: tuple[Case, ...], *, folds: int, seed: int) -> dict[str, int]:
    by_patient: dict[str, int] = defaultdict(int)
    for case in cases:
        by_patient[case.patient_id] += 1
    if folds < 2:
        raise ManifestError(f"folds must be at least 2, got {folds}", remedy="ask for 2 or more")
    if len(by_patient) < folds:
        raise ManifestError(
            f"folds must be at most the number of patients {len(by_patient)}, got {folds}",
            remedy="ask for fewer folds, or train on all of it with the fold all",
        )
    patients = sorted(by_patient)
    random.Random(seed).shuffle(patients)  # noqa: S311 (reproducible, not secret)
    patients.sort(key=lambda patient: -by_patient[patient])
    sizes = [0] * folds
    fold_of = {}
    for patient in patients:
        fold = sizes.index(min(sizes))
        fold_of[patient] = fold
        sizes[fold] += by_patient[patient]
    return fold_of


def check_patients(manifest: Manifest) -> None:
    """Check that each patient is in one fold, and in training or test only.

    Raises:
        ManifestError: If a patient is in two folds, or in the training and the test set.
    """
    _check_patient_folds(manifest.select("training"))
    _check_test_patients(manifest)


def _check_patient_folds(cases: tuple[Case, ...]) -> None:
    seen: dict[str, Case] = {}
    for case in cases:
        first = seen.setdefault(case.patient_id, case)
        if first.fold != case.fold:
            raise ManifestError(
                f"fold must be that of its patient's case {first.case_id} ({first.fold}), got {case.fold}; a patient "
                "must not be in two folds",
                remedy="fix the folds, or drop them with the option fix of medseg audit",
                case_id=case.case_id,
            )


def _check_test_patients(manifest: Manifest) -> None:
    held_out = {case.patient_id: case.case_id for case in manifest.select("test")}
    for case in manifest.select("training"):
        if case.patient_id in held_out:
            raise ManifestError(
                f"its patient must not be in the test set, got test case {held_out[case.patient_id]}",
                remedy="move one of them",
                case_id=case.case_id,
            )
