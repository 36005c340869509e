"""Checks of the label of one case."""

from __future__ import annotations

from medseg.audit.facts import FileFacts, LabelFacts
from medseg.audit.finding import Finding, Severity
from medseg.audit.form_checks import ROUNDING_VOXELS
from medseg.audit.label_facts import label_values
from medseg.audit.plain import plain
from medseg.geometry import Geometry
from medseg.manifest import case_target, unannotated
from medseg.manifest.case_scans import ALL_IGNORED, ANNOTATE
from medseg.records import Case, Labelmap, Manifest


def check_label_given(case: Case, manifest: Manifest) -> list[Finding]:
    """A finding if a training case of a segmentation has no label."""
    if case.has_reference or case.split == "test" or manifest.task != "segmentation":
        return []
    if case.slice_labels is not None or case.study_labels is not None:
        fact = "label is not given, so that only a training with a head can use the case"
        return [Finding("missing_label", "warning", case.case_id, fact, "train with a head, or add the label")]
    fact = "label must be given in the manifest, got none"
    return [Finding("missing_label", "error", case.case_id, fact, "add it or move the case to test")]


def check_label_grid(case: Case, grid: Geometry, image: Geometry, *, thing: str = "label") -> list[Finding]:
    """A finding if the label does not lie on the grid of its image."""
    if grid.is_close(image):
        return []
    is_rounding = is_header_rounding(grid, image)
    remedy = (
        "run medseg audit with the option fix, which takes over the image's header"
        if is_rounding
        else "resample the label onto the image with nearest neighbour, export it again, or drop the case"
    )
    fact = f"{thing} must lie on the grid of its image, got {grid.difference(image)}"
    return [Finding("grid", "error", case.case_id, fact, remedy, is_fixable=is_rounding)]


def is_header_rounding(grid: Geometry, image: Geometry) -> bool:
    """Whether grids differ by less than `ROUNDING_VOXELS` of a voxel, as where a program rounds its header."""
    return grid.distance_mm(image) <= ROUNDING_VOXELS * min(image.spacing_mm)


def check_label_type(case: Case, file: FileFacts) -> list[Finding]:
    """Findings if the label is stored with fractions or scaled."""
    if file.forms is None:
        return []
    found = []
    if file.forms.voxel_type.startswith("float"):
        fact = f"label must be stored as whole numbers, got {file.forms.voxel_type}"
        remedy = "run medseg audit with the option fix; some tools scale or interpolate such a label"
        found.append(Finding("label_type", "warning", case.case_id, fact, remedy, is_fixable=True))
    if file.forms.is_scaled:
        fact = (
            f"label must be stored without a slope, got slope {file.forms.slope:.6g} and intercept "
            f"{file.forms.intercept:.6g}"
        )
        remedy = "run medseg audit with the option fix; a program that passes over slopes reads other values"
        found.append(Finding("label_type", "warning", case.case_id, fact, remedy, is_fixable=True))
    return found


def check_label_values(case: Case, label: Labelmap, manifest: Manifest, file: FileFacts) -> list[Finding]:
    """Values that the manifest does not name, and empty labels."""
    if manifest.ignore is not None and (label == manifest.ignore).all():
        return [Finding("empty_label", "error", case.case_id, ALL_IGNORED, ANNOTATE)]
    if not case_target(case, manifest).annotated(label).any():
        if manifest.allow_empty_labels:
            return []
        fact = "label must hold at least one labelled voxel, got none"
        remedy = "draw it, drop the case, or set allow_empty_labels in the manifest if there is nothing to label"
        severity: Severity = "error" if case.split == "training" else "warning"
        return [Finding("empty_label", severity, case.case_id, fact, remedy)]
    return check_named_values(case, label, manifest, file)


def check_named_values(
    case: Case, label: Labelmap, manifest: Manifest, file: FileFacts, *, thing: str = "label"
) -> list[Finding]:
    """A finding if a label holds values that the manifest does not name."""
    known = {*manifest.labels.values(), *([] if manifest.ignore is None else [manifest.ignore])}
    unknown = [] if manifest.instances else sorted(set(label_values(label)) - known)
    if not unknown:
        return []
    shown = ", ".join(map(str, unknown[:8])) + (f" and {len(unknown) - 8} more" if len(unknown) > 8 else "")
    note = file.forms.scaling_note if file.forms is not None else ""
    fact = f"{thing} values must be among {sorted(known)}, got {shown}{note}"
    return [Finding("label_values", "error", case.case_id, fact, "name them in the manifest or correct the label")]


def check_annotated(case: Case, label: Labelmap, manifest: Manifest, *, thing: str = "label") -> list[Finding]:
    """A finding if a label holds what the case does not annotate."""
    target = case_target(case, manifest)
    drawn = [name for name in unannotated(case, manifest) if target.shows(label, name).any()]
    if not drawn:
        return []
    fact = f"{thing} must hold no more than annotated_labels names, {list(case.annotated_labels or ())}, got {drawn}"
    remedy = "name them in annotated_labels too, or take them out of the label"
    return [Finding("annotated_labels", "error", case.case_id, fact, remedy)]


def check_specks(case: Case, labels: dict[str, LabelFacts]) -> list[Finding]:
    """A finding for each label with specks."""
    return [
        Finding(
            "speckle",
            "warning",
            case.case_id,
            f"label {name} must hold no specks, got {facts.specks} "
            f"({facts.speck_voxels} of {facts.voxels} voxels{f', {plain(facts.speck_ml)} ml' if facts.ml else ''})",
            "check whether they are slips of the brush, and erase them",
        )
        for name, facts in labels.items()
        if facts.specks
    ]
