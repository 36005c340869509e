"""Rules on the regions of a manifest, its unannotated voxels and its partly annotated cases."""

from __future__ import annotations

from medseg.errors import ManifestError
from medseg.records import Manifest
from medseg.targets.regions import MOST_REGIONS

_MOST_VALUE = 65535


def check_regions(manifest: Manifest) -> None:
    """Check that regions are made of labels, that nothing is both ignored and a label, and what cases annotate.

    Raises:
        ManifestError: If a rule is broken; the first is named.
    """
    _check_ignore(manifest)
    _check_region_values(manifest)
    _check_task(manifest)
    _check_annotated(manifest)


def is_plain(manifest: Manifest) -> bool:
    """Whether every voxel of every case has exactly one label: no regions or raters, and nothing that is left out."""
    is_whole = all(case.annotated_labels is None and case.raters is None for case in manifest.cases)
    return manifest.regions is None and manifest.ignore is None and is_whole


def require_plain(manifest: Manifest, stage: str) -> None:
    """Refuse regions, ignored voxels, partly annotated cases and several raters where a stage cannot honour them.

    Args:
        manifest: Dataset.
        stage: What was asked for, as a noun.

    Raises:
        ManifestError: If the manifest has one of them; the error names the stage.
    """
    if is_plain(manifest):
        return
    found = {
        "regions": manifest.regions is not None,
        "ignore": manifest.ignore is not None,
        "annotated_labels": any(case.annotated_labels is not None for case in manifest.cases),
        "raters": True,
    }
    got = next(name for name, is_there in found.items() if is_there)
    raise ManifestError(
        f"manifest {manifest.name}: {stage} must have a label for every voxel of every case, got {got}",
        remedy=f"leave {got} out of the manifest, with label files that fit",
    )


def _check_ignore(manifest: Manifest) -> None:
    name, value = manifest.name, manifest.ignore
    if value is None:
        return
    twins = [label for label, other in manifest.labels.items() if other == value]
    if twins:
        raise ManifestError(
            f"manifest {name}: ignore must not be the value of a label, got {value}, which is {twins[0]!r}",
            remedy="take the label out of labels, or give unannotated voxels another value, in the files too",
        )
    held = [region for region, values in (manifest.regions or {}).items() if value in values]
    if held:
        raise ManifestError(
            f"manifest {name}: ignore must not be a value of a region, got {value}, which region {held[0]!r} holds",
            remedy="take the value out of the region, or give unannotated voxels another one, in the files too",
        )
    if not 0 < value <= _MOST_VALUE:
        raise ManifestError(
            f"manifest {name}: ignore must be from 1 to {_MOST_VALUE}, got {value}",
            remedy="give unannotated voxels another value, in the files too",
        )


def _check_region_values(manifest: Manifest) -> None:
    name, regions, order = manifest.name, manifest.regions, manifest.regions_order
    if regions is None:
        if order is not None:
            raise ManifestError(
                f"manifest {name}: regions_order must stand beside regions, got it alone", remedy="add regions"
            )
        return
    if not 0 < len(regions) <= MOST_REGIONS:
        raise ManifestError(
            f"manifest {name}: regions must be from 1 to {MOST_REGIONS}, got {len(regions)}",
            remedy="list fewer, or plain labels alone",
        )
    known = set(manifest.foreground.values())
    for region, values in regions.items():
        strange = sorted(set(values) - known)
        if strange or not values or region in ("background", "mean"):
            got = "no value" if not values else f"{strange}" if strange else f"the name {region!r}"
            raise ManifestError(
                f"manifest {name}: region {region!r} must hold values of labels other than background, "
                f"{sorted(known)}, got {got}",
                remedy="list the values that make it up, each of them named under labels",
            )
    if order is None or len(order) != len(regions) or not set(order) <= known:
        got = "none" if order is None else f"{list(order)}"
        raise ManifestError(
            f"manifest {name}: regions_order must hold a value of a label for each of {list(regions)}, got {got}",
            remedy="list the value that each region writes, later ones over earlier ones",
        )
    for (region, values), written in zip(regions.items(), order, strict=True):
        if written not in values:
            raise ManifestError(
                f"manifest {name}: regions_order must hold for region {region!r} one of its values, {list(values)}, "
                f"got {written}: the region would be written as another",
                remedy="list the values in the order of regions",
            )


def _check_task(manifest: Manifest) -> None:
    has_raters = any(case.raters is not None for case in manifest.cases)
    is_other = manifest.task == "regression" or (manifest.task == "classification" and has_raters)
    if is_other or manifest.instances:
        require_plain(manifest, "numbered instances" if manifest.instances else manifest.task)


def _check_annotated(manifest: Manifest) -> None:
    known = list(manifest.regions) if manifest.regions else list(manifest.foreground)
    for case in manifest.cases:
        if case.annotated_labels is None:
            continue
        strange = sorted(set(case.annotated_labels) - set(known))
        if strange or not case.annotated_labels:
            raise ManifestError(
                f"annotated_labels must name at least one of {known}, got {strange or 'none'}",
                remedy="name the structures that were annotated in this case, or leave annotated_labels out if all "
                "were",
                case_id=case.case_id,
            )
