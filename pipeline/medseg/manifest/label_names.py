"""Label names and values as other programs list them."""

from __future__ import annotations

import logging
from typing import Any

from medseg.errors import ManifestError

_log = logging.getLogger(__name__)


def read_labels(listed: dict[Any, Any]) -> dict[str, int]:
    """Value of each label by its name, from names by value (Decathlon) or values by name (nnU-Net).

    The value 0 is the background whatever its name, and is there although it may not be listed.

    Raises:
        ManifestError: If two labels share a name, or a label is a region or nnU-Net's value for unlabelled voxels.
        ValueError: If a value is no whole number.
    """
    by_value = is_by_value(listed)
    pairs = [(name, value) for value, name in listed.items()] if by_value else list(listed.items())
    names = [str(name) for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ManifestError(f"label names must be different, got {names}", remedy="rename one")
    if "ignore" in names and not by_value:
        raise ManifestError(
            "label 'ignore' must not be there, got nnU-Net's value for unlabelled voxels",
            remedy="label them or drop it",
        )
    regions = [str(name) for name, value in pairs if isinstance(value, list | tuple | dict | float | bool)]
    if regions:
        raise ManifestError(
            f"labels must be one whole number each, got regions or others for {regions}", remedy="list plain labels"
        )
    return _with_background({str(name): int(value) for name, value in pairs})


def is_by_value(listed: dict[Any, Any]) -> bool:
    """Whether labels are listed as names by value, `{"1": "liver"}`, and not as values by name, `{"liver": 1}`."""
    is_name = [isinstance(name, str) and not _is_whole(name) for name in listed.values()]
    return bool(listed) and all(is_name) and all(_is_whole(str(value)) for value in listed)


def _is_whole(text: str) -> bool:
    return text.strip().lstrip("-").isdecimal()


def _with_background(labels: dict[str, int]) -> dict[str, int]:
    """The labels with 0 named background, first."""
    zero = [name for name, value in labels.items() if value == 0]
    if zero == ["background"] or len(zero) > 1 or "background" in labels:
        return labels
    if zero:
        _log.warning("the label %r has the value 0 and is called background", zero[0])
    return {"background": 0, **{name: value for name, value in labels.items() if value != 0}}
