"""What kind of number a metric is, by its name: one table, which prints, intervals and comparisons read."""

from __future__ import annotations

from typing import NamedTuple

_SURFACE_DICE = "surface_dice_"


class MetricKind(NamedTuple):
    """What a metric's numbers are.

    Attributes:
        title: Name in a table, without the unit.
        unit: `mm`, `ml`, or empty for shares and counts.
        direction: 1 where a larger value is better, -1 where a smaller one is, 0 where neither is, as with a signed
            difference.
        is_share: Whether it lies in [0, 1], which its interval respects.
        is_distance: Whether it is never below 0, which its interval respects, too.
        is_headline: Whether it is printed; the others stand in the files.
    """

    title: str
    unit: str = ""
    direction: int = 1
    is_share: bool = False
    is_distance: bool = False
    is_headline: bool = False


_KINDS = {
    "dice": MetricKind("Dice", is_share=True, is_headline=True),
    "raters_dice": MetricKind("Dice with raters", is_share=True, is_headline=True),
    "iou": MetricKind("IoU", is_share=True, is_headline=True),
    "accuracy": MetricKind("accuracy", is_share=True),
    "sensitivity": MetricKind("sensitivity", is_share=True),
    "specificity": MetricKind("specificity", is_share=True),
    "precision": MetricKind("precision", is_share=True),
    "hd95_mm": MetricKind("HD95", unit="mm", direction=-1, is_distance=True, is_headline=True),
    "hd_mm": MetricKind("HD", unit="mm", direction=-1, is_distance=True),
    "assd_mm": MetricKind("mean distance", unit="mm", direction=-1, is_distance=True),
    "volume_difference_ml": MetricKind("volume difference", unit="ml", direction=0),
    "volume_similarity": MetricKind("volume similarity", is_share=True),
    "centre_distance_mm": MetricKind("centre distance", unit="mm", direction=-1, is_distance=True),
    "objects_in_label": MetricKind("objects in label", direction=0),
    "objects_in_mask": MetricKind("objects in mask", direction=0),
    "objects_found": MetricKind("objects found"),
    "objects_false": MetricKind("false objects", direction=-1),
    "objects_sensitivity": MetricKind("objects sensitivity", is_share=True),
    "objects_f1": MetricKind("objects F1", is_share=True, is_headline=True),
    "objects_panoptic": MetricKind("objects panoptic quality", is_share=True),
}


def kind_of(metric: str) -> MetricKind:
    """The kind of a metric; one of the user's own is printed, and whether more of it is better is not known."""
    if metric in _KINDS:
        return _KINDS[metric]
    if metric.startswith(_SURFACE_DICE):
        tolerance = metric.removeprefix(_SURFACE_DICE).removesuffix("mm")
        return MetricKind(f"surface Dice {tolerance} mm", is_share=True, is_headline=True)
    unit = next((unit for unit in ("mm", "ml") if metric.endswith(f"_{unit}")), "")
    return MetricKind(metric.removesuffix(f"_{unit}").replace("_", " "), unit=unit, direction=0, is_headline=True)


def as_text(metric: str, value: float, digits: int) -> str:
    """A metric's value with decimals; a length or volume with as many significant digits where decimals hide it."""
    is_hidden = bool(kind_of(metric).unit) and 0 < abs(value) < 10.0 ** (1 - digits)
    return f"{value:.{digits}g}" if is_hidden else f"{value:.{digits}f}"


def signed_text(metric: str, value: float, digits: int = 4) -> str:
    """A difference of a metric with its sign."""
    return ("-" if value < 0 else "+") + as_text(metric, abs(value), digits)
