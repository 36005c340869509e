"""Label names and values as other programs list them."""

from __future__ import annotations

import logging
from typing import Any

from medseg.errors import ManifestError

_log = logging.getLogger(__name__)


_EXAMPLE = 'write labels, such as {"background": 0, "liver": 1}'


def read_labels(listed: Any) -> dict[str, int]:
    """Value of each label by its name, from names by value (Decathlon), values by name (nnU-Net) or a list of names.

    The value 0 is the background whatever its name, and is there although it may not be listed.

    Raises:
        ManifestError: If there are no labels, a list of them does not begin with the background, both forms are mixed,
            two labels share a name, or a label is no whole number.
    """
    listed = _by_name_or_value(listed)
    by_value = is_by_value(listed)
    pairs = [(name, value) for value, name in listed.items()] if by_value else list(listed.items())
    names = [str(name) for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ManifestError(f"label names must be different, got {names}", remedy="rename one")
    regions = [str(name) for name, value in pairs if isinstance(value, list | tuple | dict | float | bool)]
    if regions:
        raise ManifestError(
            f"labels must be one whole number each, got others for {regions}", remedy="list plain labels"
        )
    wordy = [str(value) for _, value in pairs if not is_whole(str(value))]
    if wordy:
        raise ManifestError(f"label values must be whole numbers, got {wordy}", remedy=_EXAMPLE)
    return _with_background({str(name): int(value) for name, value in pairs})


def _by_name_or_value(listed: Any) -> dict[Any, Any]:
    if isinstance(listed, list) and listed and all(isinstance(name, str) for name in listed):
        return _numbered(listed)
    if not isinstance(listed, dict):
        got = "none" if listed is None or listed == [] else repr(listed)
        raise ManifestError(f"labels must name each value of the label files, got {got}", remedy=_EXAMPLE)
    if is_mixed(listed):
        raise ManifestError(
            f"labels must be names by value or values by name, got a mixture in {listed}",
            remedy="write all values by name",
        )
    return listed


def _numbered(names: list[str]) -> dict[str, str]:
    """Names by value, which is their place in the list."""
    if names[0].strip().lower() != "background":
        raise ManifestError(
            f"a list of labels must begin with background, the name of the value 0, got {names[0]!r}",
            remedy="put background first, or write values by name",
        )
    return {str(value): "background" if value == 0 else name for value, name in enumerate(names)}


def is_by_value(listed: dict[Any, Any]) -> bool:
    """Whether labels are listed as names by value, `{"1": "liver"}`, and not as values by name, `{"liver": 1}`."""
    is_name = [isinstance(name, str) and not is_whole(name) for name in listed.values()]
    return bool(listed) and all(is_name) and all(is_whole(str(value)) for value in listed)


def is_mixed(listed: dict[Any, Any]) -> bool:
    """Whether some labels are listed as names by value and others as values by name."""
    is_named = [isinstance(name, str) and is_whole(str(value)) and not is_whole(name) for value, name in listed.items()]
    return any(is_named) and not all(is_named)


def is_whole(text: str) -> bool:
    """Whether a text is a whole number."""
    return text.strip().lstrip("-").isdecimal()


def _with_background(labels: dict[str, int]) -> dict[str, int]:
    """The labels with 0 named background, first."""
    zero = [name for name, value in labels.items() if value == 0]
    if zero == ["background"] or len(zero) > 1 or "background" in labels:
        return labels
    if zero:
        _log.warning("the label %r has the value 0 and is called background", zero[0])
    return {"background": 0, **{name: value for name, value in labels.items() if value != 0}}
