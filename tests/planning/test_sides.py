from __future__ import annotations

from typing import Any

import pytest
from medseg.errors import ConfigError
from medseg.planning import Plan, check_mirroring, override_plan
from medseg.records import Case, Manifest

SIDED = {"background": 0, "kidney_left": 1, "kidney_right": 2}


def manifest_with(labels: dict[str, int]) -> Manifest:
    return Manifest(
        name="n", channels=("MR",), labels=labels, cases=(Case(case_id="c", patient_id="p", images=("a",)),)
    )


@pytest.mark.parametrize(
    "changes", [{"inference": {"mirror_axes": [0]}}, {"training": {"augment": {"mirror_axes": [0]}}}]
)
def test_plan_that_would_swap_left_and_right_is_refused(plan: Plan, changes: dict[str, Any]) -> None:
    flipping = override_plan(plan, changes, source="settings")
    with pytest.raises(
        ConfigError, match=r"must not flip left and right, got \[0\] with labels kidney_left, kidney_right"
    ):
        check_mirroring(flipping, manifest_with(SIDED))
    check_mirroring(flipping, manifest_with({"background": 0, "liver": 1, "tumour": 2}))


def test_flips_along_other_axes_do_not_swap_sides(plan: Plan) -> None:
    check_mirroring(override_plan(plan, {"inference": {"mirror_axes": [1, 2]}}, source="s"), manifest_with(SIDED))


def test_axis_that_swaps_sides_follows_the_orientation(plan: Plan) -> None:
    turned = override_plan(plan, {"preprocess": {"axcodes": "SAL"}, "inference": {"mirror_axes": [2]}}, source="s")
    with pytest.raises(ConfigError, match="must not flip left and right"):
        check_mirroring(turned, manifest_with(SIDED))
