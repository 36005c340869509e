"""Patients that leak: in two folds, in training and test, or under two ids."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from medseg.audit.finding import Finding
from medseg.records import Case, Manifest

_TOKENS = re.compile(r"[^\W\d_]+|\d+")


def check_patients_apart(manifest: Manifest) -> list[Finding]:
    """Findings on the folds, splits and ids of the patients."""
    by_patient: dict[str, list[Case]] = defaultdict(list)
    for case in manifest.cases:
        by_patient[case.patient_id].append(case)
    found = _check_named(manifest) + _check_partial_folds(manifest)
    for cases in by_patient.values():
        found += _check_folds(cases) + _check_splits(cases)
    return found + _check_ids(list(by_patient))


def _check_named(manifest: Manifest) -> list[Finding]:
    if manifest.has_patients:
        return []
    fact = "patient_id must be given for all cases, got none, so that each case counts as a patient"
    return [Finding("no_patients", "warning", None, fact, "add it, else two scans of one patient may be in two folds")]


def _check_partial_folds(manifest: Manifest) -> list[Finding]:
    training = manifest.select("training")
    without = [case.case_id for case in training if case.fold is None]
    if not without or len(without) == len(training):
        return []
    fact = f"fold must be given for all {len(training)} training cases or none, got {len(without)} without"
    remedy = "run medseg audit with the option fix and then medseg split"
    return [Finding("partial_folds", "error", None, fact, remedy, others=tuple(without), is_fixable=True)]


def _check_folds(cases: list[Case]) -> list[Finding]:
    in_folds = [case for case in cases if case.split == "training" and case.fold is not None]
    folds = sorted({case.fold for case in in_folds if case.fold is not None})
    if len(folds) < 2:
        return []
    first, *others = in_folds
    fact = f"patient {first.patient_id} must be in one fold, got folds {', '.join(map(str, folds))}"
    remedy = "run medseg audit with the option fix, which clears all folds, and then medseg split"
    ids = tuple(case.case_id for case in others)
    return [Finding("crossing_folds", "error", first.case_id, fact, remedy, others=ids, is_fixable=True)]


def _check_splits(cases: list[Case]) -> list[Finding]:
    training = [case.case_id for case in cases if case.split == "training"]
    test = [case.case_id for case in cases if case.split == "test"]
    if not training or not test:
        return []
    fact = f"patient {cases[0].patient_id} must not be in training and test, got test case {', '.join(test)}"
    return [
        Finding(
            "test_in_training",
            "error",
            training[0],
            fact,
            "move all cases of the patient to one of them",
            (*training[1:], *test),
        )
    ]


def _check_ids(patients: Sequence[str]) -> list[Finding]:
    """Ids that differ only in case, separators or leading zeros, such as `STS_002` and `sts-2`."""
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for patient in patients:
        alike[_essence(patient)].append(patient)
    return [
        Finding(
            "similar_ids",
            "warning",
            None,
            f"patients must have one id each, got {', '.join(ids)}, which differ only in how they are written",
            "give them one patient_id if they are one person",
        )
        for ids in alike.values()
        if len(ids) > 1
    ]


def _essence(patient: str) -> tuple[str, ...]:
    """The words of an id in lower case and its numbers without leading zeros; an id without either as it is."""
    words = tuple(
        token.lstrip("0") or "0" if token.isdigit() else token.casefold() for token in _TOKENS.findall(patient)
    )
    return words or (patient,)
