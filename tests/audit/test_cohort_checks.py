from __future__ import annotations

from dataclasses import replace

import pytest
from medseg.audit.cohort_checks import check_cohort
from medseg.audit.facts import CaseFacts
from medseg.audit.finding import Finding
from medseg.audit.robust import far_cases, is_group

from tests.audit.made_up import channel_of, cohort_of, facts_of, label_of
from tests.grids import grid
from tests.manifest.datasets import manifest_of


def check(cases: list[CaseFacts], labels: tuple[str, ...] = ()) -> list[Finding]:
    values = {"background": 0, **{name: value for value, name in enumerate(labels, start=1)}}
    manifest = manifest_of([facts.case for facts in cases], channels=("MR",), labels=values)
    return check_cohort(cases, manifest)


def test_far_cases_are_those_beyond_six_robust_deviations() -> None:
    # Median 0, median absolute deviation 1: a robust deviation is 1.4826.
    values = [-2.0, -1.0, -1.0, 0.0, 0.0, 1.0, 1.0, 2.0, 0.0]
    assert far_cases([*values, 6 * 1.4826 - 0.01], floor=0.1) == []
    assert far_cases([*values, 6 * 1.4826 + 0.01], floor=0.1) == [9]
    assert far_cases([*values, -20.0], floor=0.1) == [9]


def test_cohort_of_equals_has_no_outliers_by_rounding() -> None:
    assert far_cases([1.0] * 20 + [1.5], floor=0.1) == []
    assert far_cases([1.0] * 20 + [1.7], floor=0.1) == [20]


def test_few_cases_are_no_cohort() -> None:
    assert far_cases([0.0] * 6 + [99.0], floor=0.1) == []
    assert far_cases([0.0] * 7 + [99.0], floor=0.1) == [7]


def test_more_than_a_tenth_is_a_group() -> None:
    assert not is_group([1, 2], 20)
    assert is_group([1, 2, 3], 20)
    assert not is_group([1], 8)


@pytest.mark.parametrize(("low", "high"), [(0, 100_000), (0, 3), (400, 500)])
def test_intensities_far_from_the_cohort_are_told(low: float, high: float) -> None:
    (found,) = check([*cohort_of(20), facts_of("odd", channels=(channel_of(low, high),))])
    assert (found.check, found.severity, found.case_id) == ("intensity", "warning", "odd")
    assert "against the usual 1 to 99" in found.fact


def test_twice_the_intensity_is_not_far() -> None:
    assert check([*cohort_of(20), facts_of("odd", channels=(channel_of(0, 170),))]) == []


def test_second_scale_is_one_note_about_all_its_cases() -> None:
    others = [facts_of(f"odd{number}", channels=(channel_of(0, 50_000),)) for number in range(5)]
    (found,) = check([*cohort_of(20), *others])
    assert (found.check, found.severity, found.case_id) == ("intensity", "note", None)
    assert found.others == tuple(f"odd{number}" for number in range(5))


def test_modalities_are_cohorts_of_their_own() -> None:
    pet = [facts_of(f"pet{number}", modality="PT", channels=(channel_of(0, 9),)) for number in range(9)]
    found = check([*cohort_of(20, modality="CT"), *pet])
    assert [(one.check, one.severity, one.case_id) for one in found] == [("modalities", "warning", None)]
    assert "got CT in 20 case(s), PT in 9 case(s)" in found[0].fact
    odd = facts_of("odd", modality="CT", channels=(channel_of(0, 9),))
    _, far = check([*cohort_of(20, modality="CT"), *pet, odd])
    assert far.case_id == "odd"


def test_constant_channel_is_left_to_its_own_check() -> None:
    assert check([*cohort_of(20), facts_of("flat", channels=(channel_of(7, 7),))]) == []


def test_voxel_size_far_from_the_cohort_is_told_with_its_axis() -> None:
    odd = facts_of("odd", geometry=grid((20, 20, 20), spacing_mm=(1, 1, 5), axcodes="SRA"))
    (found,) = check([*cohort_of(20), odd])
    assert (found.check, found.severity, found.case_id) == ("spacing", "warning", "odd")
    assert found.fact == "voxel size feet to head must be near the cohort's 1 mm, got 5 mm"


def test_number_of_voxels_far_from_the_cohort_is_a_note() -> None:
    (found,) = check([*cohort_of(20), facts_of("odd", geometry=grid((90, 20, 20)))])
    assert (found.check, found.severity) == ("shape", "note")
    assert "left to right" in found.fact


def test_second_protocol_is_a_note() -> None:
    thick = cohort_of(6, geometry=grid((20, 20, 20), spacing_mm=(1, 1, 5)))
    thick = [replace(facts, case=facts.case.model_copy(update={"case_id": f"t{n}"})) for n, facts in enumerate(thick)]
    (found,) = check([*cohort_of(20), *thick])
    assert (found.check, found.severity, found.case_id) == ("spacing", "note", None)


def test_sizes_of_pictures_are_no_millimetres() -> None:
    assert (
        check([*cohort_of(20, is_picture=True), facts_of("odd", is_picture=True, geometry=grid((900, 20, 20)))]) == []
    )


@pytest.mark.parametrize("ml", [0.5, 200.0])
def test_label_volume_far_from_the_cohort_is_told(ml: float) -> None:
    cases = cohort_of(12, labels={"liver": label_of(10.0)})
    (found,) = check([*cases, facts_of("odd", labels={"liver": label_of(ml)})], ("liver",))
    assert (found.check, found.severity, found.case_id) == ("label_volume", "warning", "odd")
    assert f"near the cohort's 10 ml, got {ml:g} ml" in found.fact


def test_label_that_no_case_has_is_told() -> None:
    (found,) = check(cohort_of(5, labels={"liver": label_of(10.0)}), ("liver", "spleen"))
    assert (found.check, found.severity, found.case_id) == ("unused_label", "warning", None)


def test_organ_that_nearly_all_have_is_missed() -> None:
    both = {"liver": label_of(10.0), "spleen": label_of(2.0)}
    (found,) = check(
        [*cohort_of(20, labels=both), facts_of("odd", labels={"liver": label_of(10.0)})], ("liver", "spleen")
    )
    assert (found.check, found.case_id) == ("missing_organ", "odd")
    assert "label spleen must be there as in 20 of 21 cases" in found.fact


def test_organ_that_some_lack_is_not_missed() -> None:
    both = {"liver": label_of(10.0), "tumour": label_of(2.0)}
    without = [facts_of(f"no{number}", labels={"liver": label_of(10.0)}) for number in range(3)]
    assert check([*cohort_of(20, labels=both), *without], ("liver", "tumour")) == []
    assert check([*cohort_of(18, labels=both), without[0]], ("liver", "tumour")) == []


def test_cohort_without_a_case_that_could_be_read_has_no_findings() -> None:
    unread = [replace(facts, geometry=None, channels=()) for facts in cohort_of(20)]
    assert check(unread, ("liver",)) == []


def background_of(*shares: float | None) -> list[Finding]:
    """Findings of no background in cases of 8000 voxels of which a quarter is a label."""
    cases = [
        facts_of(f"c{n}", labels={"liver": label_of(2.0)}, annotated_share=share) for n, share in enumerate(shares)
    ]
    return [found for found in check(cases, ("liver",)) if found.check == "no_background"]


def test_background_that_no_case_annotates_is_told_once() -> None:
    (found,) = background_of(0.25, 0.25)
    assert (found.severity, found.case_id) == ("warning", None)
    assert found.fact == "background must be annotated in some case, got none in 2"


def test_background_of_one_case_is_enough() -> None:
    assert background_of(0.25, 0.2501) == []
    assert background_of(0.25, None) == []  # where everything is annotated
