"""Selection of the cases of a dataset that a command works on."""

from __future__ import annotations

from medseg.errors import ManifestError
from medseg.manifest.folds import assign_folds, split_fold
from medseg.manifest.quantity_checks import has_reference
from medseg.records import Case, Manifest, Split


def select_cases(
    manifest: Manifest, *, fold: int | None = None, split: Split | None = None, is_labelled: bool = False
) -> tuple[Case, ...]:
    """The validation cases of a fold, or the cases of a split, or all.

    Args:
        manifest: Dataset; folds are assigned if it has none.
        fold: Fold to take the validation cases of.
        split: Split to take the cases of; ignored if a fold is given.
        is_labelled: Whether cases without a reference are left out if no fold is given.

    Raises:
        ManifestError: If the fold does not exist, or no case is left.
    """
    if fold is not None:
        _, cases = split_fold(assign_folds(manifest), fold)
    else:
        cases = manifest.select(split) if split else manifest.cases
        cases = tuple(case for case in cases if has_reference(case, manifest) or not is_labelled)
    if not cases:
        kind = " ".join([*(["labelled"] if is_labelled else []), *([split] if split else []), "cases"])
        raise ManifestError(
            f"manifest {manifest.name}: must have {kind}, got none", remedy="choose another split or fold"
        )
    return cases
