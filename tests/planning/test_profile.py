"""What a plan tells of its training cases, and the patches that it adds for rare labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.cohort import SERIAL
from medseg.errors import ConfigError
from medseg.planning import (
    CaseFingerprint,
    Fingerprint,
    LabelStructures,
    Plan,
    load_plan,
    make_plan,
    override_plan,
    plan_digest,
    save_plan,
    take_fingerprint,
)
from medseg.planning.expectation import Expectation, Outlook
from medseg.planning.low_ceilings import low_ceilings, with_low_ceilings
from medseg.planning.profile import DatasetProfile, LabelProfile, profile_of
from medseg.planning.rare_labels import check_extra_patches, plan_extra_patches
from medseg.records import Manifest
from medseg.workflows.label_table import MOST_ROWS, label_lines
from medseg.workflows.plan import plan_lines

VALUES = np.linspace(-100, 300, 50)[np.newaxis]
Build = Callable[..., Manifest]


def fingerprint_of(*voxels: dict[int, int], is_2d: bool = False) -> Fingerprint:
    shape, spacing = ((64, 64, 1), (1.0, 1.0, 1.0)) if is_2d else ((40, 40, 40), (1.0, 2.0, 5.0))
    return Fingerprint(tuple(CaseFingerprint(shape, spacing, VALUES, counts) for counts in voxels), (), is_2d)


def held(cases: int, **labels: int) -> DatasetProfile:
    return DatasetProfile(cases=cases, labels={name: LabelProfile(cases=n) for name, n in labels.items()})


def extra(profile: DatasetProfile | None, *, patches: int = 1, reasons: dict[str, str] | None = None) -> dict[str, int]:
    found = {} if reasons is None else reasons
    return plan_extra_patches(profile, patches_per_case=patches, foreground_share=0.5, reasons=found)


def test_fingerprint_counts_the_voxels_of_each_label(cohort: tuple[Manifest, Path]) -> None:
    manifest, root = cohort
    case = take_fingerprint(manifest.select("training")[:1], manifest, root, executor=SERIAL).cases[0]
    assert set(case.voxels) == set(manifest.foreground.values())
    liver = case.voxels[manifest.foreground["liver"]] * case.voxel_ml
    assert 300 < liver < 2500


def test_profile_gives_volumes_of_the_cases_that_hold_a_label(build_manifest: Build) -> None:
    structures = [
        LabelStructures({1: 1, 2: 3}, frozenset({(1, 2)})),
        LabelStructures({1: 2}, frozenset()),
        LabelStructures({1: 2, 2: 5}, frozenset({(1, 2)})),
    ]
    found = profile_of(fingerprint_of({1: 1000}, {1: 3000, 2: 50}, {1: 2000}), structures, build_manifest())
    assert found is not None
    assert (found.cases, found.structured_cases) == (3, 3)
    assert found.labels["liver"] == LabelProfile(cases=3, median_ml=20.0, components=2.0, neighbours=("spleen",))
    assert found.labels["spleen"] == LabelProfile(cases=1, median_ml=0.5, components=4.0, neighbours=("liver",))


def test_labels_that_seldom_touch_are_no_neighbours(build_manifest: Build) -> None:
    structures = [LabelStructures({1: 1, 2: 1}, frozenset({(1, 2)} if n == 0 else ())) for n in range(3)]
    found = profile_of(fingerprint_of({1: 5, 2: 5}), structures, build_manifest())
    assert found is not None
    assert found.labels["liver"].neighbours == ()


def test_labels_of_pictures_have_areas_in_pixels(build_manifest: Build) -> None:
    found = profile_of(fingerprint_of({1: 120}, {1: 80}, is_2d=True), [], build_manifest(labels=("nucleus",)))
    assert found is not None
    assert found.labels["nucleus"] == LabelProfile(cases=2, median_pixels=100.0)


def test_dataset_whose_labels_were_not_read_has_no_profile(build_manifest: Build) -> None:
    assert profile_of(fingerprint_of({}), [], build_manifest()) is None


def test_plan_keeps_what_its_cases_are_like(build_manifest: Build, tmp_path: Path) -> None:
    names = ("liver", "null", "milt: größe, [2]", "x" * 300)
    fingerprint = fingerprint_of({1: 1000, 2: 7, 3: 7, 4: 7})
    structures = [LabelStructures({1: 1, 2: 3, 3: 1, 4: 1}, frozenset({(1, 2), (1, 3), (1, 4)}))]
    plan = make_plan(fingerprint, build_manifest(labels=names), device="cpu", structures=structures)
    assert plan.fingerprint is not None
    assert plan.fingerprint.labels["liver"].neighbours == names[1:]
    save_plan(plan, tmp_path / "plan.yaml")
    assert load_plan(tmp_path / "plan.yaml") == plan
    lines = (tmp_path / "plan.yaml").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("    liver: {cases: 1, median_ml: 10.0,") for line in lines)
    changed = override_plan(plan, {"training": {"batch_size": 3}}, source="settings")
    assert changed.fingerprint == plan.fingerprint


def test_plan_without_a_fingerprint_is_read_and_means_the_same(build_manifest: Build, tmp_path: Path) -> None:
    plan = make_plan(fingerprint_of({1: 1000}), build_manifest(), device="cpu")
    bare = plan.model_copy(update={"fingerprint": None})
    save_plan(bare, tmp_path / "plan.yaml")
    text = (tmp_path / "plan.yaml").read_text(encoding="utf-8")
    assert "fingerprint" not in text
    assert "extra_patches" not in text
    assert load_plan(tmp_path / "plan.yaml") == bare
    assert plan_digest(bare) == plan_digest(plan)


def test_rare_label_comes_as_often_as_one_in_a_fifth_of_the_cases() -> None:
    reasons: dict[str, str] = {}
    found = extra(held(100, liver=100, tumour=4), patches=4, reasons=reasons)
    # 2 of 4 patches are centred, shared by 1.04 labels: 16 cases would give 16 · 2 / 1.04 patches more.
    assert found == {"tumour": 31}
    assert "of 100 training cases less than 20% hold tumour (4)" in reasons["training.extra_patches"]


@pytest.mark.parametrize(
    "profile",
    [None, held(100, atrium=3), held(100, liver=100, spleen=20), held(10, liver=10, gone=0), held(4, a=4, b=1)],
    ids=["unknown", "one label", "just not rare", "in no case", "few cases"],
)
def test_labels_that_are_not_rare_or_alone_add_no_patches(profile: DatasetProfile | None) -> None:
    reasons: dict[str, str] = {}
    assert extra(profile, reasons=reasons) == {}
    assert reasons == {}


def test_many_rare_labels_add_no_more_than_a_quarter_of_an_epoch() -> None:
    few = extra(held(200, body=200, **{f"r{n}": 10 for n in range(10)}), patches=4)
    assert 100 < sum(few.values()) <= 200
    reasons: dict[str, str] = {}
    many = extra(held(50, body=50, **{f"r{n}": 1 for n in range(100)}), reasons=reasons)
    assert sum(many.values()) == 12
    assert set(many.values()) == {1}
    assert "hold r0 (1), r1 (1), r2 (1), r3 (1) and 8 more" in reasons["training.extra_patches"]


def test_plan_of_a_dataset_with_a_rare_label_adds_its_patches(build_manifest: Build, tmp_path: Path) -> None:
    fingerprint = fingerprint_of({1: 900, 2: 30}, *[{1: 1000}] * 19)
    plan = make_plan(fingerprint, build_manifest(), device="cpu")
    assert plan.training.extra_patches == {"spleen": 2}
    save_plan(plan, tmp_path / "plan.yaml")
    assert load_plan(tmp_path / "plan.yaml") == plan
    lines = (tmp_path / "plan.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[lines.index("  extra_patches:") - 1].startswith(
        "  # of 20 training cases less than 20% hold spleen (1)"
    )
    none = make_plan(fingerprint_of(*[{1: 1000, 2: 30}] * 20), build_manifest(), device="cpu")
    assert none.training.extra_patches == {}
    assert "training.extra_patches" not in none.reasons


def test_patches_for_a_label_that_the_manifest_lacks_are_refused(build_manifest: Build) -> None:
    plan = make_plan(fingerprint_of({1: 1000}), build_manifest(), device="cpu")
    wrong = override_plan(plan, {"training": {"extra_patches": {"splen": 3}}}, source="settings")
    with pytest.raises(ConfigError, match=r"training\.extra_patches must name labels among liver, spleen, got splen"):
        check_extra_patches(wrong, build_manifest())


def with_ceiling(plan: Plan, ceiling: dict[str, float], *, finer: bool = False) -> Plan:
    spacing = (0.5, 1.0, 1.0) if finer else plan.preprocess.spacing_mm
    outlook = Outlook(budget="20m", spacing_mm=spacing, steps=9, views_per_scan=1.0, shortfall=0.1)
    expected: dict[str, Any] = {"device": "CPU", "seconds": 9.0, "steps": 9, "step_seconds": 1.0, "memory_bytes": 1}
    return plan.model_copy(
        update={"expected": Expectation(**expected, views_per_scan=1.0, ceiling=ceiling, outlook=(outlook,))}
    )


def test_label_that_the_grid_cannot_carry_is_named_with_what_helps(plan: Plan) -> None:
    low = with_low_ceilings(with_ceiling(plan, {"liver": 0.99, "spleen": 0.71}, finer=True))
    reason = low.reasons["preprocess.spacing_mm"]
    assert reason.startswith(plan.reasons["preprocess.spacing_mm"])
    assert "warning: on a grid of 0.781×0.781×3 mm" in reason
    assert "below 0.9 for spleen 0.710; a budget of 20m would pay for a finer grid, and a smaller" in reason
    assert "preprocess.spacing_mm" in reason
    assert "liver" not in reason
    same = low_ceilings(with_ceiling(plan, {"spleen": 0.71}))
    assert same is not None
    assert "budget" not in same


def test_grid_that_carries_every_label_is_no_warning(plan: Plan) -> None:
    fine = with_ceiling(plan, {"liver": 0.99, "spleen": 0.9})
    assert low_ceilings(fine) is None
    assert with_low_ceilings(fine) is fine
    assert low_ceilings(plan) is None


def test_table_shows_each_label_with_its_ceiling(build_manifest: Build) -> None:
    structures = [LabelStructures({1: 1, 2: 3}, frozenset({(1, 2)}))]
    plan = make_plan(fingerprint_of({1: 1000, 2: 50}, {1: 3000}), build_manifest(), device="cpu", structures=structures)
    lines = plan_lines(with_ceiling(plan, {"liver": 0.987}), parameters=1)
    place = lines.index("labels")
    assert [line.split() for line in lines[place + 1 : place + 4]] == [
        ["label", "cases", "median", "components", "ceiling", "neighbours"],
        ["liver", "2", "of", "2", "20", "mL", "1", "0.987", "spleen"],
        ["spleen", "1", "of", "2", "0.5", "mL", "3", "-", "liver"],
    ]
    assert lines[place + 4] == "  components and neighbours are of 1 of the cases"


def test_table_of_many_labels_shows_the_rarest_and_says_so() -> None:
    profile = held(9, **{f"l{n}": 9 - n % 8 for n in range(118)})
    lines = label_lines(profile, {})
    assert len(lines) == 1 + MOST_ROWS + 2
    assert all("of 9" in line for line in lines[1 : MOST_ROWS + 1])
    assert max(int(line.split()[1]) for line in lines[1 : MOST_ROWS + 1]) == 3
    assert lines[-2] == "and 98 more labels, which stand in the plan"
