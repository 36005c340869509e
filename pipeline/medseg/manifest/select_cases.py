"""Which cases of a dataset a command is about."""

from __future__ import annotations

from medseg.errors import ManifestError
from medseg.manifest.folds import assign_folds, split_fold
from medseg.records import Case, Manifest, Split


def select_cases(
    manifest: Manifest, *, fold: int | None = None, split: Split | None = None, is_labelled: bool = False
) -> tuple[Case, ...]:
    """The validation cases of a fold, or the cases of a split, or all.

    Args:
        manifest: Dataset; folds are dealt out where it has none.
        fold: Fold whose validation cases are wanted.
        split: Split that is wanted; a fold decides before it.
        is_labelled: Whether cases without a reference are left out, where no fold is given.

    Raises:
        ManifestError: If the fold does not exist, or no case is left.
    """
    if fold is not None:
        _, cases = split_fold(assign_folds(manifest), fold)
    else:
        cases = manifest.select(split) if split else manifest.cases
        cases = tuple(case for case in cases if case.label or not is_labelled)
    if not cases:
        kind = "labelled cases" if is_labelled else "cases"
        raise ManifestError(f"manifest {manifest.name}: must have {kind} in this selection, got none; choose another")
    return cases
