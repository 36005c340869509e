"""A mask that a person decided on, as a label of a data set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

import numpy as np

from medseg.delivery.review import CaseReview, apply_edits
from medseg.errors import ConfigError, DeliveryError, GeometryError, ScanError
from medseg.inference.case_record import CaseRecord
from medseg.inference.mask_folder import file_sha256
from medseg.inference.record import PredictionRecord
from medseg.manifest.case_scans import check_same_grid
from medseg.records import Labelmap, Manifest, Scan
from medseg.scans import mask_suffix, read_label, read_scan, write_mask


@dataclass(frozen=True, slots=True, eq=False)
class NewLabel:
    """A label before it is written.

    Attributes:
        values: Label values of the data set, shape `(I, J, K)`.
        grid: Grid and form of the mask's file, without voxels.
        label_ml: Millilitres of each label, by name.
    """

    values: Labelmap
    grid: Scan
    label_ml: dict[str, float]


def check_labels(record: PredictionRecord, manifest: Manifest) -> None:
    """Refuse masks that cannot be labels of a data set.

    Raises:
        ConfigError: If masks and data set name other structures, or every object of the data set has a value.
    """
    drawn, wanted = ({name for name in labels if name != "background"} for labels in (record.labels, manifest.labels))
    if drawn != wanted:
        raise ConfigError(
            f"masks and data set must name the same labels, got {', '.join(sorted(drawn - wanted)) or 'no others'} "
            f"only in the masks and {', '.join(sorted(wanted - drawn)) or 'no others'} only in the data set",
            remedy="give a data set with the labels of the model",
        )
    if manifest.instances:
        raise ConfigError(
            "masks become labels of a data set only if it does not number objects, got one with instances",
            remedy="set instances to false in a data set whose labels hold the structure's own value",
        )


def check_mask(record: CaseRecord, review: CaseReview, masks: Path) -> None:
    """Refuse a decision on another mask than the one that lies in the folder now.

    Raises:
        DeliveryError: If the mask was drawn or changed since it was read, or is gone.
    """
    if file_sha256(masks / record.mask) != review.mask_sha256:
        raise DeliveryError(
            "its mask must be the one that was read, got one that was drawn or changed since",
            remedy="review it again, on a new page made of this folder of masks",
            case_id=record.case_id,
        )


def make_label(
    record: CaseRecord, review: CaseReview, masks: Path, *, labels: PredictionRecord, manifest: Manifest
) -> NewLabel:
    """The mask that was read, with its corrections, in the values of the data set.

    Raises:
        DeliveryError: If the mask is not the one that was read, or a correction does not fit it.
        ScanError: If the mask cannot be read, or is empty where the data set allows no empty labels.
    """
    check_mask(record, review, masks)
    path = masks / record.mask
    scan = read_scan(path, case_id=record.case_id)
    mask, _ = read_label(path, case_id=record.case_id)
    values = sorted(labels.labels.values())
    drawn = apply_edits(mask, review.edits, values=values, case_id=record.case_id)
    table = np.zeros(max(int(drawn.max(initial=0)), *values) + 1, np.uint16)
    for name, value in labels.labels.items():
        table[value] = 0 if value == 0 else manifest.labels[name]
    label = table[drawn]
    if not manifest.allow_empty_labels and not label.any():
        raise ScanError(
            "mask must hold at least one voxel of a structure to become a label, got none",
            remedy="reject it, or set allow_empty_labels in the manifest if the patient has nothing to label",
            case_id=record.case_id,
        )
    voxel_ml = scan.geometry.voxel_ml
    counts = np.bincount(label.ravel(), minlength=max(manifest.labels.values()) + 1)
    parts = manifest.regions or {name: (value,) for name, value in manifest.foreground.items()}
    volumes = {name: float(counts[list(values)].sum() * voxel_ml) for name, values in parts.items()}
    grid = replace(scan, array=np.empty((1, 0, 0, 0), np.float32))
    return NewLabel(label, grid, volumes)


def write_label(label: NewLabel, folder: Path, *, case_id: str, is_beside: bool) -> Path:
    """Write a label as `folder/case_id.nii.gz`, or `.png` for a picture; no file that is there is changed.

    The same label, as a call that was killed left it, counts as written.

    Args:
        label: Label.
        folder: Target folder, created if missing.
        case_id: Id of the case.
        is_beside: Whether another label of that name may stand there; this one goes to `folder_2` then, and so on.

    Raises:
        DeliveryError: If there is another label of that name, or it cannot be written.
    """
    name = f"{case_id}{mask_suffix(label.grid)}"
    for place in chain([folder], (folder.with_name(f"{folder.name}_{number}") for number in count(2))):
        if not (place / name).exists():
            return write_mask(label.values, label.grid, place, case_id=case_id)
        if _holds(place / name, label, case_id=case_id):
            return place / name
        if not is_beside:
            break
    raise DeliveryError(
        f"label {name} must be a new file, got another in {folder}",
        remedy="use the option replace, or move it away",
        case_id=case_id,
    )


def _holds(path: Path, label: NewLabel, *, case_id: str) -> bool:
    try:
        values, grid = read_label(path, case_id=case_id)
        check_same_grid(grid, label.grid.geometry, case_id=case_id, thing="file", reference="label")
    except (ScanError, GeometryError):
        return False
    return np.array_equal(values, label.values)
