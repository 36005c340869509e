"""What kind of number a metric of quantities is, by its name: one table, which summaries, prints and pages read."""

from __future__ import annotations

import re
from typing import NamedTuple

OWN = "own"
_VOLUME_POINT = re.compile(r"v(?P<level>[\d.e+]+)(?P<percent>_percent)?$")
_ERROR = "_error"


class QuantityMetricKind(NamedTuple):
    """What a metric's numbers are.

    Attributes:
        title: Name in a table, without the unit.
        unit: Unit; `own` for that of the quantity, empty for shares.
        direction: 1 where a larger value is better, -1 where a smaller one is, 0 where neither is.
        is_share: Whether it lies in [0, 1], which its interval respects.
        is_error: Whether it is never below 0, which its interval respects, too.
        is_headline: Whether it is printed; the others stand in the files.
    """

    title: str
    unit: str = ""
    direction: int = -1
    is_share: bool = False
    is_error: bool = False
    is_headline: bool = False


_KINDS = {
    "mae": QuantityMetricKind("MAE", OWN, is_error=True, is_headline=True),
    "mae_percent": QuantityMetricKind("MAE", "% of the prescription", is_error=True, is_headline=True),
    "rmse": QuantityMetricKind("RMSE", OWN, is_error=True, is_headline=True),
    "bias": QuantityMetricKind("bias", OWN, direction=0, is_headline=True),
    "psnr_db": QuantityMetricKind("PSNR", "dB", direction=1, is_headline=True),
    "ssim": QuantityMetricKind("SSIM", direction=1, is_headline=True),
    "gamma_pass_rate": QuantityMetricKind("gamma pass rate", direction=1, is_share=True, is_headline=True),
}


def quantity_kind(metric: str) -> QuantityMetricKind:
    """The kind of a metric, among them the errors of points of a dose–volume histogram."""
    if metric in _KINDS:
        return _KINDS[metric]
    point = metric.removesuffix(_ERROR)
    unit = "% of the volume" if _VOLUME_POINT.match(point) else OWN
    return QuantityMetricKind(f"|error| of {point_title(point)}", unit, is_error=True)


def point_title(point: str, unit: str = "") -> str:
    """A point of a dose–volume histogram as people write it: `D95`, `Dmean`, `V20 Gy`, `V95 %`.

    Args:
        point: Name of the point, as `dose_points` has it.
        unit: Unit of the dose.
    """
    volume = _VOLUME_POINT.match(point)
    if volume is None:
        return point[:1].upper() + point[1:]
    return f"V{volume['level']} {'%' if volume['percent'] else unit}".rstrip()


def unit_text(metric: str, unit: str) -> str:
    """Unit of a metric's values, where `unit` is that of the quantity; empty for plain numbers."""
    own = quantity_kind(metric).unit
    shown = unit if own == OWN else own
    return "" if shown == "1" else shown
