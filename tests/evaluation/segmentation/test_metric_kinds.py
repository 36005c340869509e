"""The table of metrics knows every metric that is measured."""

from __future__ import annotations

import pytest
from medseg.evaluation.segmentation import METRICS, RATERS_DICE, kind_of
from medseg.evaluation.segmentation.metric_kinds import _KINDS, as_text, signed_text
from medseg.evaluation.segmentation.object_metrics import OBJECT_METRICS


def test_every_metric_has_its_kind() -> None:
    assert set(_KINDS) == {*METRICS, *OBJECT_METRICS, RATERS_DICE} - {"surface_dice"}


def test_metric_of_the_user_s_own_has_no_known_direction_and_may_be_below_nothing() -> None:
    kind = kind_of("shift_mm")
    assert (kind.title, kind.unit, kind.direction, kind.is_distance, kind.is_headline) == (
        "shift",
        "mm",
        0,
        False,
        True,
    )
    assert kind_of("roughness") == kind._replace(title="roughness", unit="")


def test_surface_dice_is_known_at_any_tolerance() -> None:
    assert kind_of("surface_dice_0.5mm").title == "surface Dice 0.5 mm"
    assert kind_of("surface_dice_0.5mm").is_share


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [("dice", -0.01234, "-0.0123"), ("volume_difference_ml", -0.0000123, "-1.23e-05"), ("hd95_mm", 2.0, "+2.0000")],
)
def test_differences_have_signs_and_small_volumes_their_digits(metric: str, value: float, text: str) -> None:
    assert signed_text(metric, value) == text
    assert as_text(metric, abs(value), 4) == text[1:]
