"""Remedies of cases that several raters have drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from medseg.audit.audit import audit_manifest
from medseg.cohort import SERIAL
from medseg.manifest import load_manifest
from medseg.planning import CaseFingerprint, Fingerprint, make_plan
from medseg.planning.raters import check_raters
from medseg.records import Case

from tests.manifest.datasets import manifest_of, own_content
from tests.remedies.attempts import by_a_person, tries
from tests.remedies.audit import refuse
from tests.remedies.manifest import entry, loading
from tests.several_raters import boxes, write, write_raters

Again = Iterator[Callable[[], object]]
FILES = {"A": "a_A.nii.gz", "B": "a_B.nii.gz"}

by_a_person(
    "only the rater knows what was meant",
    "audit/rater_checks.py",
    "check whether the rater meant that there is nothing, or leave the rater out",
)


def reading(place: Path, **keys: Any) -> Callable[[], object]:
    return loading(place, own_content(training=[entry(**keys)], test=[]))


@tries("manifest/rater_checks.py", "give the label of a single rater as label, and leave raters out")
def _one_rater(place: Path) -> Again:
    yield reading(place, raters={"A": "a_A.nii.gz"})
    yield reading(place, label="a_A.nii.gz")


@tries("manifest/rater_checks.py", "call the rater otherwise")
def _taken_name(place: Path) -> Again:
    yield reading(place, raters={"A": "a_A.nii.gz", "mask": "a_B.nii.gz"})
    yield reading(place, raters=FILES)


@tries("manifest/rater_checks.py", "name the file that this rater has drawn, or leave the rater out")
def _same_file(place: Path) -> Again:
    yield reading(place, raters={**FILES, "C": "a_A.nii.gz"})
    yield reading(place, raters={**FILES, "C": "a_C.nii.gz"})
    yield reading(place, raters=FILES)


@tries("planning/raters.py", "leave training.raters out, or list the raters of each case in the manifest")
def _choice_without_raters(place: Path) -> Again:
    case = CaseFingerprint((40, 40, 40), (1.0, 1.0, 1.0), np.ones((1, 5)))
    labels = {"background": 0, "liver": 1}
    plan = make_plan(Fingerprint((case,), (), is_2d=False), manifest_of([], labels=labels), device="cpu")

    def check(choice: str | None, **keys: Any) -> None:
        training = plan.training.model_copy(update={"raters": choice})
        one = Case(case_id="a", patient_id="a", images=("a.nii.gz",), **keys)
        check_raters(plan.model_copy(update={"training": training}), manifest_of([one], labels=labels))

    yield lambda: check("sampled", label="a_A.nii.gz")
    yield lambda: check(None, label="a_A.nii.gz")
    yield lambda: check("sampled", raters=FILES)


def auditing(dataset: Path, check: str) -> Callable[[], object]:
    def audit() -> None:
        manifest, root = load_manifest(dataset)
        refuse(audit_manifest(manifest, root, executor=SERIAL).findings, check)

    return audit


def two_raters(place: Path, *, shift: int, **keys: Any) -> Path:
    """Two raters whose boxes of 8 voxels lie so far apart, and perhaps more keys of the case."""
    raters = {"A": "labels_A/r0.nii.gz", "B": "labels_B/r0.nii.gz"}
    dataset = write_raters(place, cases=1, entry={"raters": raters, **keys.pop("entry", {})}, **keys)
    for number, name in enumerate(raters):
        write(boxes(shift * number, node=False)[None], dataset / f"labels_{name}/r0.nii.gz")
    return dataset


@tries("audit/rater_checks.py", "add a rater, or give the agreed label as label")
def _little_agreement(place: Path) -> Again:
    yield auditing(two_raters(place / "a", shift=7), "undecided")
    third = {**{name: f"labels_{name}/r0.nii.gz" for name in "AB"}, "C": "third.nii.gz"}
    added = two_raters(place / "b", shift=7, entry={"raters": third})
    write(boxes(0, node=False)[None], added / "third.nii.gz")
    yield auditing(added, "undecided")
    agreed = two_raters(place / "c", shift=7, entry={"label": "agreed.nii.gz"})
    write(boxes(3, node=False)[None], agreed / "agreed.nii.gz")
    yield auditing(agreed, "undecided")


@tries(
    "audit/rater_checks.py",
    "ask the raters, drop the case, or set allow_empty_labels in the manifest if there is nothing to label",
)
def _no_agreement(place: Path) -> Again:
    yield auditing(two_raters(place / "a", shift=8), "empty_label")
    yield auditing(two_raters(place / "b", shift=2), "empty_label")
    yield auditing(two_raters(place / "c", shift=8, allow_empty_labels=True), "empty_label")
