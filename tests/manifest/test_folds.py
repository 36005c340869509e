from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ManifestError
from medseg.manifest import assign_folds, split_fold
from medseg.records import Case, Manifest, Split

from tests.manifest.datasets import manifest_of


def case(name: str, patient: str, *, fold: int | None = None, split: Split = "training") -> Case:
    return Case(case_id=name, patient_id=patient, images=(f"{name}.nii.gz",), fold=fold, split=split)


def cohort_of(studies: list[int], *, tests: int = 0) -> Manifest:
    """Patient `n` has `studies[n]` training cases; the test patients have one each."""
    cases = [case(f"c{n}_{study}", f"p{n}") for n, count in enumerate(studies) for study in range(count)]
    return manifest_of([*cases, *(case(f"t{n}", f"held_out_{n}", split="test") for n in range(tests))])


STUDIES = st.lists(st.integers(1, 5), min_size=5, max_size=30)


@settings(max_examples=40, deadline=None)
@given(studies=STUDIES, folds=st.integers(2, 5), seed=st.integers(0, 99))
def test_folds_keep_patients_together_and_are_even(studies: list[int], folds: int, seed: int) -> None:
    manifest = assign_folds(cohort_of(studies, tests=2), folds=folds, seed=seed)
    folds_of: dict[str, set[int | None]] = defaultdict(set)
    for one in manifest.select("training"):
        folds_of[one.patient_id].add(one.fold)
    assert all(len(found) == 1 and None not in found for found in folds_of.values())
    sizes = Counter(one.fold for one in manifest.select("training"))
    assert set(sizes) == set(range(folds))
    assert max(sizes.values()) - min(sizes.values()) <= max(studies)
    assert all(one.fold is None for one in manifest.select("test"))


@settings(max_examples=40, deadline=None)
@given(studies=STUDIES, folds=st.integers(2, 5), seed=st.integers(0, 99), data=st.data())
def test_folds_do_not_depend_on_the_order_of_the_cases(
    studies: list[int], folds: int, seed: int, data: st.DataObject
) -> None:
    manifest = cohort_of(studies)
    shuffled = manifest_of(data.draw(st.permutations(manifest.cases)))
    expected = {one.case_id: one.fold for one in assign_folds(manifest, folds=folds, seed=seed).cases}
    assert {one.case_id: one.fold for one in assign_folds(shuffled, folds=folds, seed=seed).cases} == expected


@settings(max_examples=40, deadline=None)
@given(studies=STUDIES, folds=st.integers(2, 5))
def test_validation_folds_cover_every_case_once_and_share_no_patient(studies: list[int], folds: int) -> None:
    manifest = assign_folds(cohort_of(studies, tests=1), folds=folds)
    validated: list[str] = []
    for fold in range(folds):
        training, validation = split_fold(manifest, fold)
        assert {one.patient_id for one in training}.isdisjoint(one.patient_id for one in validation)
        assert sorted(one.case_id for one in (*training, *validation)) == sorted(
            one.case_id for one in manifest.select("training")
        )
        validated += [one.case_id for one in validation]
    assert sorted(validated) == sorted(one.case_id for one in manifest.select("training"))


@pytest.mark.parametrize("seed", range(5))
def test_largest_patients_are_dealt_first_so_that_small_ones_fill_up(seed: int) -> None:
    manifest = assign_folds(cohort_of([1, 1, 1, 1, 4]), folds=2, seed=seed)
    assert Counter(one.fold for one in manifest.cases) == {0: 4, 1: 4}


def test_another_seed_gives_other_folds() -> None:
    manifest = cohort_of([1] * 30)
    assert len({tuple(one.fold for one in assign_folds(manifest, seed=seed).cases) for seed in range(5)}) == 5


def test_nothing_but_the_fold_changes() -> None:
    manifest = cohort_of([1, 2, 1, 1, 1], tests=1)
    folded = assign_folds(manifest)
    bare = [one.model_copy(update={"fold": None}) for one in folded.cases]
    assert folded.model_copy(update={"cases": tuple(bare)}) == manifest


def test_folds_that_are_given_are_kept() -> None:
    manifest = manifest_of([case("a", "p0", fold=1), case("b", "p1", fold=0), case("c", "p0", fold=1)])
    assert assign_folds(manifest, folds=5) == manifest


def test_patient_in_two_folds_is_refused() -> None:
    manifest = manifest_of([case("a", "p0", fold=0), case("b", "p0", fold=1)])
    message = r"case b: fold must be that of its patient's case a \(0\), got 1"
    with pytest.raises(ManifestError, match=message) as caught:
        assign_folds(manifest)
    assert caught.value.case_id == "b"
    assert caught.value.remedy == "fix the folds, or drop them with the option fix of medseg audit"


def test_folds_for_some_cases_are_refused() -> None:
    manifest = manifest_of([case("a", "p0", fold=0), case("b", "p1")])
    with pytest.raises(ManifestError, match="case b: fold must be given for all training cases or none"):
        assign_folds(manifest)


@pytest.mark.parametrize("fold", [None, 0])
def test_patient_in_training_and_test_is_refused(fold: int | None) -> None:
    manifest = manifest_of([case("a", "p0", fold=fold), case("t", "p0", split="test")])
    with pytest.raises(ManifestError, match="case a: its patient must not be in the test set, got test case t"):
        assign_folds(manifest)


def test_fewer_patients_than_folds_are_refused() -> None:
    with pytest.raises(
        ManifestError, match="folds must be at most the number of patients 2, got 3; ask for fewer folds"
    ):
        assign_folds(cohort_of([4, 4]), folds=3)


@pytest.mark.parametrize("patients", [2, 3, 4])
def test_few_patients_make_a_fold_each_which_is_said(patients: int, caplog: pytest.LogCaptureFixture) -> None:
    manifest = assign_folds(cohort_of([2] * patients))
    assert {case.fold for case in manifest.cases} == set(range(patients))
    assert f"{patients} patients make {patients} folds instead of 5" in caplog.text
    for fold in range(patients):
        training, validation = split_fold(manifest, fold)
        assert (len(training), len(validation)) == (2 * patients - 2, 2)


def test_one_patient_has_no_folds() -> None:
    with pytest.raises(ManifestError, match=r"folds need at least 2 patients for training, got 1; .*the fold all"):
        assign_folds(cohort_of([3]))


def test_fold_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ManifestError, match=r"fold must be one of \[0, 1, 2\], got 3; choose another fold"):
        split_fold(assign_folds(cohort_of([1] * 6), folds=3), 3)


def test_fold_of_a_manifest_without_folds_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"fold must be one of \[\], got 0"):
        split_fold(cohort_of([1, 1]), 0)


def test_only_fold_is_refused_because_nothing_is_left_to_train_on() -> None:
    manifest = cohort_of([1, 1])
    only = tuple(case.model_copy(update={"fold": 0}) for case in manifest.cases)
    with pytest.raises(ManifestError, match="fold 0 must leave cases to train on, got none; add a second fold"):
        split_fold(manifest.model_copy(update={"cases": only}), 0)


@pytest.mark.parametrize("folds", [-1, 0, 1])
def test_fewer_than_two_folds_are_refused(folds: int) -> None:
    with pytest.raises(ManifestError, match="folds must be at least 2"):
        assign_folds(cohort_of([1, 1]), folds=folds)
