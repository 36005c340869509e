from __future__ import annotations

import numpy as np
from medseg.records import Case
from medseg.split.case_table import CaseTable
from medseg.split.config import FEATURES, Feature
from medseg.split.strata import MOST_ORIGINS, Strata, make_strata

from tests.split.cohorts import case_of, cohort_of


def strata_of(cases: list[Case], *by: Feature, parts: int = 2) -> Strata:
    return make_strata(CaseTable.of(cohort_of(cases)), by or FEATURES, parts=parts)


def members(strata: Strata) -> dict[str, list[int]]:
    """Rows of the cases of each stratum, by name."""
    return {stratum.name: np.flatnonzero(stratum.has).tolist() for stratum in strata.strata}


def test_cases_belong_to_the_labels_that_they_have() -> None:
    cases = [
        case_of("c0", "p0", label_ml={"liver": 9.0, "tumour": 0.0}),
        case_of("c1", "p0", label_ml={"liver": 8.0, "tumour": 1.0}),
        case_of("c2", "p1", label_ml={}),
        case_of("c3", "p1"),
    ]
    assert members(strata_of(cases, "label")) == {"liver": [0, 1], "tumour": [1], "not known": [3]}


def test_labels_named_by_slice_count_where_volumes_are_not_known() -> None:
    cases = [
        case_of("c0", "p0", slice_labels=(("liver",), (), ("liver", "tumour"))),
        case_of("c1", "p1", slice_labels=()),
    ]
    strata = strata_of(cases, "label", "volume")
    assert members(strata) == {"liver": [0], "tumour": [0]}


def test_labels_that_the_manifest_does_not_name_are_left_out() -> None:
    assert members(strata_of([case_of("c", "p", label_ml={"spleen": 2.0, "background": 9.0})], "label")) == {}


def test_volumes_fall_into_quarters_of_those_who_have_the_label() -> None:
    cases = [case_of(f"c{n}", f"p{n}", label_ml={"tumour": float(n + 1)}) for n in range(8)]
    cases += [case_of(f"d{n}", f"q{n}", label_ml={}) for n in range(4)]
    assert members(strata_of(cases, "volume")) == {
        "tumour 1/4": [0, 1],
        "tumour 2/4": [2, 3],
        "tumour 3/4": [4, 5],
        "tumour 4/4": [6, 7],
    }


def test_volume_classes_are_fewer_where_they_would_not_reach_every_part() -> None:
    cases = [case_of(f"c{n}", f"p{n}", label_ml={"tumour": float(n + 1)}) for n in range(11)]
    assert list(members(strata_of(cases, "volume", parts=4))) == ["tumour 1/2", "tumour 2/2"]
    assert list(members(strata_of(cases, "volume", parts=6))) == []


def test_volume_classes_go_by_patients_not_by_cases() -> None:
    cases = [case_of(f"c{n}", f"p{n % 3}", label_ml={"tumour": float(n + 1)}) for n in range(30)]
    assert strata_of(cases, "volume", parts=2).strata == ()


def test_equal_volumes_are_one_class() -> None:
    cases = [case_of(f"c{n}", f"p{n}", label_ml={"tumour": 5.0}) for n in range(12)]
    assert members(strata_of(cases, "volume")) == {"tumour 1/4": list(range(12))}


def test_sites_of_too_few_patients_and_unknown_ones_are_put_together() -> None:
    sites = ["north", "north", "south", "south", "south", "east", None, "", "west", "west"]
    patients = [0, 1, 2, 2, 3, 4, 5, 6, 7, 7]
    cases = [case_of(f"c{n}", f"p{patients[n]}", site=site) for n, site in enumerate(sites)]
    assert members(strata_of(cases, "site")) == {"north": [0, 1], "south": [2, 3, 4], "others": [5, 6, 7, 8, 9]}


def test_scanner_and_modality_are_strata_of_their_own() -> None:
    cases = [case_of(f"c{n}", f"p{n}", scanner="S1", modality="CT") for n in range(2)]
    strata = strata_of(cases)
    assert [(stratum.kind, stratum.name) for stratum in strata.strata] == [("scanner", "S1"), ("modality", "CT")]


def test_the_same_hundred_scanners_are_kept_on_every_machine() -> None:
    cases = [case_of(f"c{n:04d}", f"p{n}", scanner=f"s{n % 150:03d}") for n in range(300)]
    cases += [case_of(f"d{n}", f"q{n}", scanner="t") for n in range(3)]
    names = list(members(strata_of(cases, "scanner")))
    assert names == [*(f"s{n:03d}" for n in range(MOST_ORIGINS - 1)), "t", "others"]


def test_counts_are_those_of_each_patient() -> None:
    cases = [
        case_of("c2", "b", site="north", label_ml={"liver": 1.0}),
        case_of("c0", "a", site="north", label_ml={"liver": 1.0}),
        case_of("c1", "b", site="north", label_ml={}),
        case_of("c3", "c", site="north", label_ml={}),
    ]
    strata = strata_of(cases, "label", "site")
    assert [stratum.name for stratum in strata.strata] == ["liver", "north"]
    assert strata.counts.tolist() == [[1, 1, 1], [1, 2, 2], [0, 1, 1]]
    assert strata.covered.tolist() == [True, False, False]
