"""Cases that a datalist lists under `validation`, as MONAI's datalists do."""

from __future__ import annotations

import logging
from typing import Any

from medseg.scans import SCAN_SUFFIXES

_log = logging.getLogger(__name__)
_READ = frozenset(("training", "validation", "test"))


def with_validation(content: dict[str, Any]) -> dict[str, Any]:
    """The content with the cases under `validation` among those under `training`, told apart by their folds.

    The validation cases are fold 0 and the others fold 1. Where training entries have folds of their own, these stay,
    and validation cases without one get the next number. Which fold is whose is logged.

    Args:
        content: Content of a dataset.json, which is returned itself where it lists no validation cases.
    """
    validation, training = content.get("validation"), content.get("training", [])
    if not isinstance(validation, list) or not isinstance(training, list):
        return content
    rest = {key: value for key, value in content.items() if key != "validation"}
    if not validation:
        return rest
    given = [entry["fold"] for entry in training if isinstance(entry, dict) and isinstance(entry.get("fold"), int)]
    fold = max(given) + 1 if given else 0
    others = training if given else [_with_fold(entry, 1) for entry in training]
    _log.warning(
        "%d case(s) listed under validation are training cases of fold %d, %d listed under training of %s: "
        "training with fold %d validates on the former",
        len(validation), fold, len(training), "their own folds" if given else "fold 1", fold,
    )  # fmt: skip
    return {**rest, "training": [*others, *(_with_fold(entry, fold) for entry in validation)]}


def _with_fold(entry: Any, fold: int) -> Any:
    """The entry with a fold, where it has none; what is no entry stays for the check of the form."""
    if isinstance(entry, str):
        return {"image": entry, "fold": fold}
    return {"fold": fold, **entry} if isinstance(entry, dict) else entry


def warn_of_unread(content: dict[str, Any]) -> None:
    """Log each key that lists cases and is none of `training`, `validation` and `test`, with their number."""
    for key, listed in content.items():
        if key not in _READ and isinstance(listed, list) and listed and all(_is_entry(item) for item in listed):
            _log.warning("%d case(s) listed under %s are not read", len(listed), key)


def _is_entry(item: Any) -> bool:
    return (isinstance(item, dict) and "image" in item) or (
        isinstance(item, str) and item.lower().endswith(SCAN_SUFFIXES)
    )
