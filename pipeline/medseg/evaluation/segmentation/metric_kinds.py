"""What kind of number a metric is, by its name."""

from __future__ import annotations

_SHARES = frozenset(
    {
        "dice",
        "iou",
        "accuracy",
        "sensitivity",
        "specificity",
        "precision",
        "volume_similarity",
        "objects_sensitivity",
        "objects_f1",
        "objects_panoptic",
    }
)
_UNITS = (("_mm", "mm"), ("_ml", "ml"))


def is_share(metric: str) -> bool:
    """Whether a metric lies in [0, 1], which its interval respects."""
    return metric in _SHARES or metric.startswith("surface_dice_")


_UNDIRECTED = frozenset({"volume_difference_ml", "objects_in_label", "objects_in_mask"})


def direction_of(metric: str) -> int:
    """1 where a larger value is better, -1 where a smaller one is, 0 where neither is, as with a signed difference."""
    if metric in _UNDIRECTED:
        return 0
    if is_share(metric) or metric == "objects_found":
        return 1
    return -1 if unit_of(metric) or metric.startswith("objects_") else 1


def unit_of(metric: str) -> str:
    """Unit of a metric; empty for shares and counts."""
    return "" if is_share(metric) else next((unit for ending, unit in _UNITS if metric.endswith(ending)), "")


def is_length(metric: str) -> bool:
    """Whether a metric is a distance, which is never below 0."""
    return unit_of(metric) == "mm"


def as_text(metric: str, value: float, digits: int) -> str:
    """A metric's value with decimals; a length or volume with as many significant digits where decimals hide it."""
    is_hidden = bool(unit_of(metric)) and 0 < abs(value) < 10.0 ** (1 - digits)
    return f"{value:.{digits}g}" if is_hidden else f"{value:.{digits}f}"


_HEADLINES = frozenset({"dice", "iou", "hd95_mm", "objects_f1"})
_QUIET = frozenset(
    {
        "accuracy",
        "sensitivity",
        "specificity",
        "precision",
        "hd_mm",
        "assd_mm",
        "volume_difference_ml",
        "volume_similarity",
        "centre_distance_mm",
    }
)
_TITLES = {
    "dice": "Dice",
    "iou": "IoU",
    "hd95_mm": "HD95",
    "hd_mm": "HD",
    "assd_mm": "mean distance",
    "volume_difference_ml": "volume difference",
    "objects_f1": "objects F1",
}


def signed_text(metric: str, value: float, digits: int = 4) -> str:
    """A difference of a metric with its sign."""
    return ("-" if value < 0 else "+") + as_text(metric, abs(value), digits)


def is_headline(metric: str) -> bool:
    """Whether a metric is printed; the others stand in the files. Metrics of the user's own are printed."""
    return metric in _HEADLINES or not (metric in _QUIET or metric.startswith("objects_"))


def title_of(metric: str) -> str:
    """A metric's name in a table, without its unit."""
    if metric.startswith("surface_dice_"):
        return f"surface Dice {metric.removeprefix('surface_dice_').removesuffix('mm')} mm"
    return _TITLES.get(metric, metric.replace("_", " "))
