"""Cohorts for the tests of splits: a skewed one by seed, any small one by hypothesis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from medseg.records import Case, Manifest, Split
from medseg.split.balance import Balance

from tests.manifest.datasets import manifest_of

LABELS = {"background": 0, "liver": 1, "tumour": 2, "cyst": 3}


def case_of(name: str, patient: str, *, split: Split = "training", **content: Any) -> Case:
    return Case(case_id=name, patient_id=patient, images=(f"{name}.nii.gz",), split=split, **content)


def cohort_of(cases: list[Case], **changes: Any) -> Manifest:
    return manifest_of(cases, **{"labels": LABELS, **changes})


def skewed_cohort(seed: int = 0, *, patients: int = 120) -> Manifest:
    """A third of the patients with several cases, a rare label, heavy-tailed volumes, one large site and small ones."""
    rng = np.random.default_rng(seed)
    cases = []
    for patient in range(patients):
        site = ("north", "north", "north", "south", "east")[rng.integers(5)]
        has_tumour, has_cyst = rng.random() < 0.3, patient % 15 == 0
        for study in range(int(rng.integers(1, 7)) if patient % 3 == 0 else 1):
            label_ml = {"liver": float(rng.lognormal(7, 0.4))}
            label_ml |= {"tumour": float(rng.lognormal(3, 1.5))} if has_tumour else {}
            label_ml |= {"cyst": float(rng.lognormal(1, 0.5))} if has_cyst else {}
            scanner = f"{site}_{rng.integers(2)}"
            cases.append(
                case_of(
                    f"c{patient:03d}_{study}",
                    f"p{patient:03d}",
                    label=f"l{patient:03d}_{study}.nii.gz",
                    label_ml=label_ml,
                    site=site,
                    scanner=scanner,
                    modality="CT" if rng.random() < 0.8 else "MR",
                )
            )
    return cohort_of(cases)


@st.composite
def cohorts(draw: st.DrawFn, *, with_test: bool = False) -> Manifest:
    """Any cohort of 16 to 30 patients with up to 5 cases each, of which little may be known."""
    millilitres = st.dictionaries(
        st.sampled_from(["liver", "tumour", "cyst"]), st.floats(0, 2000, width=32), max_size=3
    )
    cases = []
    for patient in range(draw(st.integers(16, 30))):
        split: Split = "test" if with_test and patient % 5 == 4 else "training"
        for study in range(draw(st.integers(1, 5))):
            cases.append(
                case_of(
                    f"c{patient}_{study}",
                    f"p{patient}",
                    split=split,
                    label=draw(st.none() | st.just(f"l{patient}_{study}.nii.gz")),
                    label_ml=draw(st.none() | millilitres),
                    site=draw(st.sampled_from([None, "a", "b", "c"])),
                    scanner=draw(st.sampled_from([None, "x", "y"])),
                )
            )
    return cohort_of(cases)


def touch_picture(balance: Balance, path: Path, *, title: str) -> None:
    """Stand-in for `save_balance_picture`, which takes half a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def parts_of(manifest: Manifest) -> dict[str, str]:
    """Where each case went, by case id."""
    return {case.case_id: "test" if case.split == "test" else f"fold {case.fold}" for case in manifest.cases}


def gaps(balance: Balance) -> list[float]:
    return [row.gap for row in balance.rows]
