"""Rules on the quantities of a regression."""

from __future__ import annotations

from medseg.errors import ManifestError
from medseg.manifest.case_names import is_safe_name
from medseg.records import Case, Manifest

_TAKEN = ("all", "mean", "background")  # words of tables and metrics


def check_quantities(manifest: Manifest) -> None:
    """Check that a regression names its quantities, and that its cases name no others.

    Raises:
        ManifestError: If a rule is broken; the first is named.
    """
    _check_task(manifest)
    for name in manifest.quantities or {}:
        if not is_quantity_name(name):
            raise ManifestError(
                f"manifest {manifest.name}: quantity names must be usable as folder names and none of "
                f"{list(_TAKEN)}, got {name!r}",
                remedy="rename it, in the cases too",
            )
    for case in manifest.cases:
        _check_case(case, manifest)


def is_quantity_name(name: str) -> bool:
    """Whether a name can be that of a quantity: of a folder, and no word of tables and metrics."""
    return is_safe_name(name) and name not in _TAKEN


def is_regression(manifest: Manifest) -> bool:
    """Whether a network learns measured values from the manifest."""
    return manifest.task == "regression"


def has_reference(case: Case, manifest: Manifest) -> bool:
    """Whether a case has what a network of the manifest's task is compared with: its quantities, or a label."""
    return bool(case.quantities) if is_regression(manifest) else case.has_reference


def require_no_quantities(manifest: Manifest, stage: str) -> None:
    """Refuse a regression where a stage is for masks or classes only.

    Args:
        manifest: Dataset.
        stage: What was asked for, as a noun.

    Raises:
        ManifestError: If the manifest is of a regression; the error names the stage.
    """
    if is_regression(manifest):
        raise ManifestError(
            f"manifest {manifest.name}: {stage} must be of task segmentation or classification, got regression",
            remedy="use train, predict and evaluate for quantities, or give a manifest of labels",
        )


def _check_task(manifest: Manifest) -> None:
    if is_regression(manifest) and not manifest.quantities:
        raise ManifestError(
            f"manifest {manifest.name}: a regression must name its quantities, got none",
            remedy='add quantities with their units, such as {"dose": {"unit": "Gy"}}',
        )
    if not is_regression(manifest) and manifest.quantities is not None:
        raise ManifestError(
            f"manifest {manifest.name}: quantities must be of a regression, got task {manifest.task}",
            remedy="set task to regression, or leave quantities out",
        )


def _check_case(case: Case, manifest: Manifest) -> None:
    known = list(manifest.quantities or {})
    strange = sorted(set(case.quantities or {}) - set(known))
    if strange:
        raise ManifestError(
            f"quantities must be among those of the manifest, {known}, got {strange}",
            remedy="name them with their units under quantities of the manifest, or correct the case",
            case_id=case.case_id,
        )
