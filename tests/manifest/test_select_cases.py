"""One meaning of fold, split and everything."""

from __future__ import annotations

import pytest
from medseg.errors import ManifestError
from medseg.manifest import select_cases
from medseg.records import Case, Manifest


@pytest.fixture
def manifest() -> Manifest:
    """Six training cases of six patients, one of them without a label, and a test case without one."""
    cases = [
        Case(
            case_id=f"c{n}", patient_id=f"p{n}", images=(f"{n}.nii",), label=None if n == 5 else f"l{n}.nii", fold=n % 2
        )
        for n in range(6)
    ]
    cases.append(Case(case_id="t", patient_id="pt", images=("t.nii",), split="test"))
    return Manifest(name="made up", channels=("MR",), labels={"background": 0, "liver": 1}, cases=tuple(cases))


def ids(cases: tuple[Case, ...]) -> list[str]:
    return [case.case_id for case in cases]


def test_fold_means_its_validation_cases_even_where_one_lacks_a_label(manifest: Manifest) -> None:
    assert ids(select_cases(manifest, fold=1)) == ["c1", "c3", "c5"]
    assert ids(select_cases(manifest, fold=1, is_labelled=True)) == ["c1", "c3", "c5"]


def test_split_and_everything(manifest: Manifest) -> None:
    assert ids(select_cases(manifest, split="test")) == ["t"]
    assert ids(select_cases(manifest)) == ["c0", "c1", "c2", "c3", "c4", "c5", "t"]
    assert ids(select_cases(manifest, is_labelled=True)) == ["c0", "c1", "c2", "c3", "c4"]
    assert ids(select_cases(manifest, split="training", is_labelled=True)) == ["c0", "c1", "c2", "c3", "c4"]


def test_empty_selection_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ManifestError, match="must have labelled test cases, got none"):
        select_cases(manifest, split="test", is_labelled=True)
    with pytest.raises(ManifestError, match="fold must be one of"):
        select_cases(manifest, fold=7)
