"""Remedies of a split's errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from medseg.manifest.load import open_manifest
from medseg.runs.training_cases import load_training_cases
from medseg.split import SplitConfig, check_target, split_manifest

from tests.manifest.datasets import own_content, write_dataset
from tests.manifest.test_msd import msd_content
from tests.remedies.attempts import covers, tries
from tests.split.cohorts import case_of, cohort_of

covers("split")
Again = Iterator[Callable[[], object]]
TWO = SplitConfig(folds=2)


def patients(count: int, **content: Any) -> list[Any]:
    return [case_of(f"c{n}", f"p{n}", **content) for n in range(count)]


@tries("split/refuse.py", "add it to every case, or set cases_are_patients if no patient has two cases")
def _no_patients(place: Path) -> Again:
    unknown = cohort_of(patients(4), has_patients=False)
    yield lambda: split_manifest(unknown, TWO)
    yield lambda: split_manifest(cohort_of(patients(4)), TWO)
    yield lambda: split_manifest(unknown, SplitConfig(folds=2, cases_are_patients=True))


@tries("split/refuse.py", "ask for fewer folds or a smaller test set")
def _few_patients(place: Path) -> Again:
    yield lambda: split_manifest(cohort_of(patients(3)), SplitConfig(folds=4))
    yield lambda: split_manifest(cohort_of(patients(3)), SplitConfig(folds=3))


@tries("split/refuse.py", "ask for fewer folds or a smaller test set")
def _large_test_set(place: Path) -> Again:
    manifest = cohort_of(patients(4, label_ml={"liver": 1.0}, label="l.nii.gz"))
    yield lambda: split_manifest(manifest, SplitConfig(folds=3, test=0.5))
    yield lambda: split_manifest(manifest, SplitConfig(folds=3, test=0.25))


@tries("split/refuse.py", "train on all of it with the fold all, which needs no split")
def _one_patient(place: Path) -> Again:
    yield lambda: split_manifest(cohort_of(patients(1)), TWO)
    entry = {"case_id": "a", "patient_id": "p", "image": "a.nii.gz"}
    write_dataset(place, own_content(training=[entry], test=[]))
    yield lambda: load_training_cases(place, fold="all").training[0]


@tries(
    "split/refuse.py",
    "use the option force to replace them, after which models trained on the old folds can no longer be compared on "
    "the new ones",
)
def _folds(place: Path) -> Again:
    folded = cohort_of(patients(4, fold=0))
    yield lambda: split_manifest(folded, TWO)
    yield lambda: split_manifest(folded, SplitConfig(folds=2, force=True))


@tries("split/refuse.py", "run medseg audit, then give both one patient_id or drop one")
def _shared_scan(place: Path) -> Again:
    others = patients(3)
    same = [case_of("x", "px", study_uid="1.2"), case_of("y", "py", study_uid="1.2")]
    yield lambda: split_manifest(cohort_of([*others, *same]), TWO)
    one = [case.model_copy(update={"patient_id": "px"}) for case in same]
    yield lambda: split_manifest(cohort_of([*others, *one]), TWO)
    yield lambda: split_manifest(cohort_of([*others, same[0]]), TWO)


@tries("split/save.py", "choose another name, or use the option force to replace it")
def _taken(place: Path) -> Again:
    source = open_manifest(write_dataset(place / "data", own_content()))
    (place / "new.json").write_text("{}")
    yield lambda: check_target(source, place / "new.json", force=False)
    yield lambda: check_target(source, place / "other.json", force=False)
    yield lambda: check_target(source, place / "new.json", force=True)


@tries("split/save.py", "name a new file as the output, for the manifest with folds")
def _other_form(place: Path) -> Again:
    source = open_manifest(write_dataset(place, msd_content()))
    yield lambda: check_target(source, None, force=False)
    yield lambda: check_target(source, place / "split.json", force=False)


@tries("split/save.py", "move it away")
def _previous(place: Path) -> Again:
    source = open_manifest(write_dataset(place, own_content(version="3")))
    (place / "dataset.v3.json").write_text(json.dumps({}))
    yield lambda: check_target(source, None, force=False)
    (place / "dataset.v3.json").rename(place / "mine.json")
    yield lambda: check_target(source, None, force=False)


@tries("split/save.py", "name a file in another folder as the output")
def _read_only(place: Path) -> Again:
    source = open_manifest(write_dataset(place / "data", own_content()))
    locked = place / "locked"
    locked.mkdir()
    with patch("os.access", lambda folder, mode: Path(folder) != locked):  # root may write anywhere
        yield lambda: check_target(source, locked / "new.json", force=False)
        yield lambda: check_target(source, place / "new.json", force=False)
