"""Rules on cases that several raters have drawn."""

from __future__ import annotations

from collections import Counter

from medseg.errors import ManifestError
from medseg.records import Case, Manifest

_TAKEN = ("mask", "reference")  # what the tables call the others that are compared


def check_raters(manifest: Manifest) -> None:
    """Check that a case of several raters has at least two, each with a name and a file of their own.

    Raises:
        ManifestError: If a rule is broken; the first is named.
    """
    for case in manifest.cases:
        if case.raters is not None:
            _check_case(case)


def _check_case(case: Case) -> None:
    raters = case.raters or {}
    if len(raters) < 2:
        raise ManifestError(
            f"raters must be at least 2, got {len(raters)}",
            remedy="give the label of a single rater as label, and leave raters out",
            case_id=case.case_id,
        )
    unnamed = [name for name in raters if not name.strip() or "/" in name or name in _TAKEN]
    if unnamed:
        raise ManifestError(
            f"raters must have names without a slash, other than {' and '.join(_TAKEN)}, got {unnamed[0]!r}",
            remedy="call the rater otherwise",
            case_id=case.case_id,
        )
    twice = [file for file, count in Counter(case.label_files).items() if count > 1 or not file]
    if twice:
        raise ManifestError(
            f"raters must each have a label file of their own, beside that of label, got {twice[0]!r}"
            f"{' twice' if twice[0] else ''}",
            remedy="name the file that this rater has drawn, or leave the rater out",
            case_id=case.case_id,
        )
