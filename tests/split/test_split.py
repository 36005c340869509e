"""No patient is in two parts, the parts are even, and the same cases and seed give the same split."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ManifestError
from medseg.manifest import assign_folds
from medseg.records import Case, Manifest
from medseg.split import SplitConfig, split_manifest
from medseg.split.balance import measure_balance
from medseg.split.case_table import CaseTable

from tests.split.cohorts import case_of, cohort_of, cohorts, gaps, parts_of, skewed_cohort

SEEDS = st.integers(0, 99)
FOLDS = st.integers(2, 4)


def sizes(manifest: Manifest) -> Counter[str]:
    return Counter(parts_of(manifest).values())


def largest_patient(manifest: Manifest) -> int:
    return max(Counter(case.patient_id for case in manifest.cases).values())


def without_place(case: Case) -> Case:
    return case.model_copy(update={"fold": None, "split": "training"})


@settings(max_examples=30, deadline=None)
@given(manifest=cohorts(with_test=True), folds=st.integers(2, 3), seed=SEEDS, test=st.sampled_from([0.0, 0.2, 0.3]))
def test_no_patient_is_in_two_parts(manifest: Manifest, folds: int, seed: int, test: float) -> None:
    split = split_manifest(manifest, SplitConfig(folds=folds, seed=seed, test=test)).manifest
    parts: dict[str, set[str]] = defaultdict(set)
    for case, part in zip(split.cases, parts_of(split).values(), strict=True):
        parts[case.patient_id].add(part)
    assert all(len(found) == 1 for found in parts.values())


@settings(max_examples=30, deadline=None)
@given(manifest=cohorts(), folds=FOLDS, seed=SEEDS)
def test_fold_sizes_differ_by_at_most_the_largest_patient(manifest: Manifest, folds: int, seed: int) -> None:
    found = sizes(split_manifest(manifest, SplitConfig(folds=folds, seed=seed)).manifest)
    assert set(found) == {f"fold {fold}" for fold in range(folds)}
    assert max(found.values()) - min(found.values()) <= largest_patient(manifest)


@settings(max_examples=30, deadline=None)
@given(manifest=cohorts(), seed=SEEDS, test=st.floats(0.1, 0.5))
def test_test_set_is_as_large_as_asked_for_to_half_a_patient(manifest: Manifest, seed: int, test: float) -> None:
    split = split_manifest(manifest, SplitConfig(folds=2, seed=seed, test=test)).manifest
    assert abs(len(split.select("test")) - test * len(split.cases)) <= largest_patient(manifest) / 2 + 1e-6


@settings(max_examples=25, deadline=None)
@given(manifest=cohorts(with_test=True), seed=SEEDS, data=st.data())
def test_split_does_not_depend_on_the_order_of_the_cases(manifest: Manifest, seed: int, data: st.DataObject) -> None:
    config = SplitConfig(folds=3, seed=seed, test=0.3)
    shuffled = cohort_of(data.draw(st.permutations(manifest.cases)))
    expected, found = split_manifest(manifest, config), split_manifest(shuffled, config)
    assert parts_of(found.manifest) == parts_of(expected.manifest)
    assert (found.balance, found.warnings) == (expected.balance, expected.warnings)


@settings(max_examples=25, deadline=None)
@given(manifest=cohorts(with_test=True), seed=SEEDS)
def test_nothing_but_place_and_version_changes_and_training_comes_first(manifest: Manifest, seed: int) -> None:
    split = split_manifest(manifest, SplitConfig(folds=2, seed=seed, test=0.3)).manifest
    assert split.version == "2"
    assert split.model_copy(update={"cases": (), "version": "1"}) == manifest.model_copy(update={"cases": ()})
    before = {case.case_id: without_place(case) for case in manifest.cases}
    assert {case.case_id: without_place(case) for case in split.cases} == before
    assert [case.split for case in split.cases] == sorted((case.split for case in split.cases), reverse=True)
    ids = [case.case_id for case in manifest.cases]
    for part in ("training", "test"):
        places = [ids.index(case.case_id) for case in split.cases if case.split == part]
        assert places == sorted(places)


@settings(max_examples=25, deadline=None)
@given(manifest=cohorts(with_test=True), test=st.sampled_from([0.0, 0.1, 0.5]))
def test_what_is_held_out_stays_held_out(manifest: Manifest, test: float) -> None:
    split = split_manifest(manifest, SplitConfig(folds=2, test=test)).manifest
    held_out = {case.case_id for case in manifest.select("test")}
    found = {case.case_id for case in split.select("test")}
    assert held_out <= found
    if test == 0:
        assert held_out == found


def test_another_seed_gives_another_split() -> None:
    manifest = skewed_cohort()
    splits = [split_manifest(manifest, SplitConfig(seed=seed, test=0.2)).manifest for seed in (0, 1, 2, 0)]
    assert len({tuple(sorted(parts_of(split).items())) for split in splits}) == 3
    assert len({tuple(case.case_id for case in split.select("test")) for split in splits}) == 3


def test_training_reads_the_folds_that_were_dealt() -> None:
    split = split_manifest(skewed_cohort(), SplitConfig(folds=4)).manifest
    assert assign_folds(split) == split


@pytest.mark.parametrize("seed", range(3))
def test_skewed_cohort_is_far_more_even_than_by_chance(seed: int) -> None:
    manifest = skewed_cohort(seed)
    stratified = gaps(split_manifest(manifest, SplitConfig(seed=seed)).balance)
    by_chance = gaps(measure_balance(CaseTable.of(manifest), parts_of(assign_folds(manifest, seed=seed))))
    assert max(stratified) < 0.6 * max(by_chance)
    assert sum(stratified) < 0.5 * sum(by_chance)


@pytest.mark.parametrize("by", ["label", "volume", "site", "scanner", "modality"])
def test_feature_that_is_asked_for_is_more_even_than_without_it(by: str) -> None:
    def worst(*features: str) -> float:
        splits = [split_manifest(skewed_cohort(seed), SplitConfig(seed=seed, by=features)) for seed in range(4)]
        return sum(row.gap for split in splits for row in split.balance.rows if row.kind == by)

    assert worst(by) < 0.7 * worst()


def test_label_of_as_many_patients_as_folds_is_in_every_fold() -> None:
    for seed in range(5):
        result = split_manifest(skewed_cohort(seed, patients=75), SplitConfig(seed=seed))
        (cysts,) = (row for row in result.balance.rows if (row.kind, row.name) == ("label", "cyst"))
        assert min(cysts.cases) >= 1
        assert result.warnings == ()


def test_label_of_fewer_patients_than_folds_is_a_warning_with_their_number() -> None:
    cases = [case_of(f"c{n}", f"p{n}", label_ml={"liver": 1500.0}) for n in range(10)]
    cases[0] = cases[0].model_copy(update={"label_ml": {"tumour": 3.0}})
    cases[1] = cases[1].model_copy(update={"label_ml": {"liver": 1500.0, "tumour": 5.0}})
    cases.append(case_of("t", "pt", label_ml={"tumour": 4.0}, split="test"))
    result = split_manifest(cohort_of(cases), SplitConfig(folds=3))
    folds = {parts_of(result.manifest)[name] for name in ("c0", "c1")}
    assert len(folds) == 2
    (lacking,) = {"fold 0", "fold 1", "fold 2"} - folds
    assert result.warnings == (
        f"label tumour: 2 patient(s) for 3 folds; no case of it in {lacking}",
        "label cyst: 0 patient(s) for 3 folds; no case of it in fold 0, 1, 2",
    )


def test_labels_that_nobody_measured_are_no_warning() -> None:
    cases = [case_of(f"c{n}", f"p{n}") for n in range(10)]
    assert split_manifest(cohort_of(cases), SplitConfig(folds=3)).warnings == ()


def test_test_set_that_is_large_enough_is_left_as_it_is_and_that_is_said() -> None:
    cases = [case_of(f"c{n}", f"p{n}", split="test" if n < 4 else "training", label=f"l{n}") for n in range(10)]
    result = split_manifest(cohort_of(cases), SplitConfig(folds=2, test=0.4))
    assert len(result.manifest.select("test")) == 4
    assert result.warnings == ("the test set holds 40% of the cases already; none was added",)


def test_test_set_is_filled_up_to_its_share() -> None:
    cases = [case_of(f"c{n}", f"p{n}", split="test" if n < 2 else "training", label=f"l{n}") for n in range(20)]
    result = split_manifest(cohort_of(cases), SplitConfig(folds=2, test=0.4))
    assert len(result.manifest.select("test")) == 8
    assert result.warnings == ()


def test_test_cases_without_label_stay_and_count_for_nothing() -> None:
    cases = [case_of(f"t{n}", f"t{n}", split="test") for n in range(30)]
    cases += [case_of(f"c{n}", f"p{n}", label=f"l{n}") for n in range(20)]
    found = sizes(split_manifest(cohort_of(cases), SplitConfig(folds=2, test=0.2)).manifest)
    assert found == {"fold 0": 8, "fold 1": 8, "test": 30 + 4}


def test_test_share_below_the_smallest_patient_is_said() -> None:
    cases = [case_of(f"c{n}_{study}", f"p{n}", label="l") for n in range(6) for study in range(5)]
    result = split_manifest(cohort_of(cases), SplitConfig(folds=2, test=0.05))
    assert result.manifest.select("test") == ()
    assert result.warnings == ("the test set got no case: its share is less than the smallest patient",)


def test_test_set_that_leaves_too_few_patients_for_the_folds_is_refused() -> None:
    cases = [case_of(f"c{n}", f"p{n}", label="l") for n in range(6)]
    message = (
        r"folds must be at most the number of training patients 3, got 4; ask for fewer folds or a smaller test set"
    )
    with pytest.raises(ManifestError, match=message):
        split_manifest(cohort_of(cases), SplitConfig(folds=4, test=0.5))


def test_large_patients_are_shared_out_by_their_cases() -> None:
    cases = [case_of(f"c{n}_{study}", f"p{n}") for n in range(9) for study in range(8 if n < 1 else 1)]
    found = sizes(split_manifest(cohort_of(cases), SplitConfig(folds=2)).manifest)
    assert sorted(found.values()) == [8, 8]
