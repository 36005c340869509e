"""The target of a network that learns from a manifest's label volumes."""

from __future__ import annotations

from medseg.records import Case, Manifest
from medseg.targets import ExclusiveLabels, LabelMap, Quantities, Regions


def manifest_target(manifest: Manifest) -> LabelMap:
    """The target of a checked manifest, with its labels sorted by value as in `foreground`."""
    return by_value(training_target(manifest))


def training_target(manifest: Manifest) -> LabelMap:
    """The target of a checked manifest, with its labels in the manifest's own order, as the model's card has them.

    What several raters do not decide is ignored; where the manifest has no value for that, it is the one above all
    labels.
    """
    return _target(manifest, is_fused=any(case.is_fused for case in manifest.cases))


def without_mask(case: Case) -> Case:
    """A case without a label as one that annotates nothing, which a network with a head may learn from."""
    return case if case.has_reference else case.model_copy(update={"annotated_labels": ()})


def is_without_mask(case: Case) -> bool:
    """Whether a case is one of `without_mask` that has no label."""
    return not case.has_reference and case.annotated_labels == ()


def case_target(case: Case, manifest: Manifest) -> LabelMap:
    """The meaning of one case's label as it is read; what `unannotated` names is not in it."""
    return _target(manifest, is_fused=case.is_fused)


def quantity_target(manifest: Manifest) -> Quantities:
    """The target of a checked manifest of quantities, before anything is known of their values."""
    return Quantities(quantities=manifest.quantities or {})


def output_channels(manifest: Manifest) -> int:
    """Number of values that a network of a checked manifest gives for each voxel."""
    return len(manifest.quantities) if manifest.quantities else manifest_target(manifest).channels


def by_value(target: LabelMap) -> LabelMap:
    """The same target with its labels sorted by value."""
    labels = dict(sorted(target.labels.items(), key=lambda item: item[1]))
    return target.model_copy(update={"labels": labels})


def unannotated(case: Case, manifest: Manifest) -> tuple[str, ...]:
    """Names of the labels or regions that were not annotated in a case, and may be there undrawn."""
    if case.annotated_labels is None:
        return ()
    return tuple(name for name in manifest.regions or manifest.foreground if name not in case.annotated_labels)


def _target(manifest: Manifest, *, is_fused: bool) -> LabelMap:
    ignore = max(manifest.labels.values()) + 1 if manifest.ignore is None and is_fused else manifest.ignore
    if manifest.regions is not None:
        order = manifest.regions_order or ()
        return Regions(labels=manifest.labels, regions=manifest.regions, order=order, ignore=ignore)
    return ExclusiveLabels(labels=manifest.labels, ignore=ignore)
