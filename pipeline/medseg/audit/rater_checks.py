"""Checks of the labels of several raters of one case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.audit.facts import FileFacts
from medseg.audit.finding import Finding
from medseg.audit.label_checks import check_annotated, check_label_grid, check_label_type, check_named_values
from medseg.errors import GeometryError, PipelineError
from medseg.geometry import Geometry
from medseg.manifest import case_target
from medseg.manifest.case_scans import read_rater
from medseg.records import Case, Labelmap, Manifest, Scan

_MOST_UNDECIDED = 0.5  # of the voxels that anybody drew


@dataclass(frozen=True, slots=True, eq=False)
class ExaminedRaters:
    """The labels of the raters of a case that can be fused.

    Attributes:
        readings: Label of each rater by name.
        grid: Grid of all of them.
    """

    readings: dict[str, Labelmap]
    grid: Geometry


def examine_raters(
    case: Case,
    manifest: Manifest,
    root: Path,
    files: Sequence[FileFacts],
    *,
    image: Scan | None,
    findings: list[Finding],
) -> ExaminedRaters | None:
    """Read and check the label of each rater; None where one cannot be used, which is a finding.

    Args:
        case: Case of the raters.
        manifest: Meaning of the labels.
        root: Data root.
        files: Facts of the files of the case, those of the raters last.
        image: Image of the case; None if it could not be read.
        findings: Findings of the case, to which those of the raters are added.
    """
    raters = case.raters or {}
    found: list[Finding] = []
    readings: dict[str, Labelmap] = {}
    grids: list[Geometry] = []
    for (name, path), file in zip(raters.items(), files[-len(raters) :], strict=True):
        try:
            label, grid = read_rater(name, root / path, case_id=case.case_id)
        except PipelineError as error:
            check = "grid" if isinstance(error, GeometryError) else "unreadable"
            found.append(Finding.of_error(check, case.case_id, error))
            continue
        found += _check_reading(name, label, grid, case, manifest, file, image)
        readings[name] = label
        grids.append(grid)
    is_whole = not any(one.severity == "error" for one in found) and len(readings) == len(raters)
    findings += found
    if not is_whole:
        return None
    findings += _check_empty(case, readings, manifest)
    return ExaminedRaters(readings, grids[0])


def check_fused(case: Case, label: Labelmap, manifest: Manifest) -> list[Finding]:
    """Findings if the raters' labels leave no reference, or less than half of what anybody drew is decided.

    Args:
        case: Case of the raters.
        label: Reference out of their labels.
        manifest: Meaning of the labels.
    """
    target = case_target(case, manifest)
    drawn = int(np.count_nonzero(target.annotated(label)))
    if not drawn and not manifest.allow_empty_labels:
        fact = "label must hold at least one labelled voxel, got none that the raters decide on"
        remedy = "ask the raters, drop the case, or set allow_empty_labels in the manifest if there is nothing to label"
        return [Finding("empty_label", "error" if case.split == "training" else "warning", case.case_id, fact, remedy)]
    if manifest.ignore is not None or case.annotated_labels is not None:
        return []  # what nobody has annotated is ignored, too
    undecided = int(np.count_nonzero(label == target.ignore))
    share = undecided / (drawn + undecided) if undecided else 0.0
    if share <= _MOST_UNDECIDED:
        return []
    fact = f"raters must decide on at least half of what they drew, got {share:.0%} undecided"
    return [Finding("undecided", "warning", case.case_id, fact, "add a rater, or give the agreed label as label")]


def _check_reading(
    name: str,
    label: Labelmap,
    grid: Geometry,
    case: Case,
    manifest: Manifest,
    file: FileFacts,
    image: Scan | None,
) -> list[Finding]:
    thing = f"label of rater {name!r}"
    return [
        *check_label_type(case, file),
        *check_named_values(case, label, manifest, file, thing=thing),
        *check_annotated(case, label, manifest, thing=thing),
        *(check_label_grid(case, grid, image.geometry, thing=thing) if image is not None else []),
    ]


def _check_empty(case: Case, readings: dict[str, Labelmap], manifest: Manifest) -> list[Finding]:
    """A finding for each rater who drew nothing at all where another drew something."""
    target = case_target(case, manifest)
    empty = [name for name, label in readings.items() if not target.annotated(label).any()]
    if not empty or len(empty) == len(readings):
        return []
    return [
        Finding(
            "empty_reading",
            "warning",
            case.case_id,
            f"label of rater {name!r} must hold at least one labelled voxel, as those of others do, got none",
            "check whether the rater meant that there is nothing, or leave the rater out",
        )
        for name in empty
    ]
