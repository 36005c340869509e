"""Parts of a cohort, and the worst of them."""

from __future__ import annotations

from typing import Any

from medseg.evaluation.segmentation import subgroups
from medseg.records import Case, CaseMetrics


def case(number: int, **facts: Any) -> Case:
    return Case(case_id=str(number), patient_id=f"p{number}", images=("a.nii.gz",), **facts)


def row(number: int, dice: float, *, voxels: int = 10) -> CaseMetrics:
    return CaseMetrics(str(number), "liver", {"dice": dice}, voxels, 9)


def test_the_site_at_which_a_model_fails_is_marked() -> None:
    cases = [case(n, site="north" if n < 6 else "south") for n in range(12)]
    found = subgroups([row(n, 0.9 if n < 6 else 0.5) for n in range(12)], cases)
    sites = {entry.group: entry for entry in found if entry.by == "site"}
    assert list(sites) == ["north", "south"]
    assert (sites["south"].mean, sites["south"].patients, sites["south"].is_worst) == (0.5, 6, True)
    assert not sites["north"].is_worst
    assert sites["north"].low == sites["north"].low


def test_one_site_is_no_division_and_unknown_sites_belong_to_none() -> None:
    cases = [case(n, site="north" if n < 3 else None) for n in range(5)]
    assert [entry for entry in subgroups([row(n, 0.9) for n in range(5)], cases) if entry.by == "site"] == []


def test_small_structures_are_told_from_large_ones() -> None:
    rows = [row(n, 0.5 + 0.05 * n, voxels=10 * (n + 1)) for n in range(9)]
    found = [entry for entry in subgroups(rows, [case(n) for n in range(9)]) if entry.by == "size"]
    assert [entry.group for entry in found] == ["smallest third", "middle third", "largest third"]
    assert [entry.cases for entry in found] == [3, 3, 3]
    assert [entry.is_worst for entry in found] == [True, False, False]


def test_distances_are_worst_where_they_are_longest() -> None:
    cases = [case(n, site="north" if n < 6 else "south") for n in range(12)]
    rows = [CaseMetrics(str(n), "liver", {"hd95_mm": 3.0 if n < 6 else 9.0}, 10, 9) for n in range(12)]
    worst = [entry.group for entry in subgroups(rows, cases, metric="hd95_mm") if entry.is_worst]
    assert worst == ["south"]


def test_the_sex_for_which_a_model_fails_is_marked() -> None:
    cases = [case(n, sex="FM"[n % 2]) for n in range(12)] + [case(12)]
    found = [
        entry for entry in subgroups([row(n, 0.9 if n % 2 else 0.6) for n in range(13)], cases) if entry.by == "sex"
    ]
    assert [(entry.group, entry.cases, entry.is_worst) for entry in found] == [("F", 6, True), ("M", 6, False)]


def test_ages_fall_into_bands_from_young_to_old() -> None:
    ages = [0.0, 17.9, 18.0, 39.9, 40.0, 64.9, 65.0, 102.0, None]
    cases = [case(n, age_years=age) for n, age in enumerate(ages)]
    found = [entry for entry in subgroups([row(n, 0.9 - 0.1 * n) for n in range(9)], cases) if entry.by == "age"]
    assert [entry.group for entry in found] == ["under 18", "18 to 39", "40 to 64", "65 and over"]
    assert [entry.cases for entry in found] == [2, 2, 2, 2]
    assert [entry.is_worst for entry in found] == [False, False, False, True]
    assert round(found[1].mean, 6) == 0.65


def test_no_part_is_the_worst_where_all_are_equal() -> None:
    cases = [case(n, site="north" if n < 5 else "south", sex="FM"[n < 3]) for n in range(12)]
    found = subgroups([row(n, 0.1 + 0.2, voxels=n + 1) for n in range(12)], cases)
    assert {entry.by for entry in found} == {"site", "sex", "size"}
    assert not any(entry.is_worst for entry in found)
