"""Values of DICOM elements as plain Python, also from files that break the standard."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def text(dataset: Dataset, keyword: str) -> str:
    """The value as text without padding; "" where it is missing or empty."""
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip(" \0")


def number(dataset: Dataset, keyword: str, default: float) -> float:
    """The first value as a number, or the default where it is missing, empty or not a finite number."""
    values = numbers(dataset, keyword)
    return values[0] if values else default


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """All values as numbers; empty where one of them is missing or not a finite number."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return ()
    try:
        found = tuple(float(part) for part in ((value,) if _is_single(value) else value))
    except (TypeError, ValueError):
        return ()
    return found if all(math.isfinite(part) for part in found) else ()


def first_item(dataset: Dataset, keyword: str) -> Dataset | None:
    """The first item of a sequence, or None."""
    sequence = dataset.get(keyword)
    return sequence[0] if sequence else None


def _is_single(value: object) -> bool:
    return isinstance(value, str | int | float) or not hasattr(value, "__iter__")
