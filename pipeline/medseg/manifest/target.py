"""The target of a network that learns from a manifest's label volumes."""

from __future__ import annotations

from medseg.records import Case, Manifest
from medseg.targets import ExclusiveLabels, LabelMap, Regions


def manifest_target(manifest: Manifest) -> LabelMap:
    """The target of a checked manifest, with its labels sorted by value as in `foreground`."""
    return by_value(training_target(manifest))


def training_target(manifest: Manifest) -> LabelMap:
    """The target of a checked manifest, with its labels in the manifest's own order, as the model's card has them.

    Background of a case in which not every label was annotated may be one of the others, and is ignored; where the
    manifest has no value for that, it is the one above all labels.
    """
    is_partial = any(case.annotated_labels and unannotated(case, manifest) for case in manifest.cases)
    return _target(manifest, is_partial=is_partial)


def partial_target(manifest: Manifest) -> LabelMap:
    """The target of a training some of whose cases have no mask, so that all of their voxels are ignored."""
    return _target(manifest, is_partial=True)


def without_mask(case: Case) -> Case:
    """A case without a label as one that annotates nothing, which a network with a head may learn from."""
    return case if case.label is not None else case.model_copy(update={"annotated_labels": ()})


def case_target(case: Case, manifest: Manifest) -> LabelMap:
    """The meaning of one case's label as it is read: the same, but that nothing is ignored where all is annotated."""
    return _target(manifest, is_partial=bool(unannotated(case, manifest)))


def by_value(target: LabelMap) -> LabelMap:
    """The same target with its labels sorted by value."""
    labels = dict(sorted(target.labels.items(), key=lambda item: item[1]))
    return target.model_copy(update={"labels": labels})


def unannotated(case: Case, manifest: Manifest) -> tuple[str, ...]:
    """Names of the labels or regions that were not annotated in a case, and may be there undrawn."""
    if case.annotated_labels is None:
        return ()
    return tuple(name for name in manifest.regions or manifest.foreground if name not in case.annotated_labels)


def _target(manifest: Manifest, *, is_partial: bool) -> LabelMap:
    if manifest.regions is not None:
        order = manifest.regions_order or ()
        return Regions(labels=manifest.labels, regions=manifest.regions, order=order, ignore=manifest.ignore)
    ignore = max(manifest.labels.values()) + 1 if manifest.ignore is None and is_partial else manifest.ignore
    return ExclusiveLabels(labels=manifest.labels, ignore=ignore)
