"""A mask and its scan, read and known to fit each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medseg.delivery.algorithm import algorithm_of
from medseg.delivery.export.delivered_case import DeliveredCase
from medseg.errors import DeliveryError, GeometryError
from medseg.inference.case_record import CaseRecord
from medseg.inference.inputs.find_source import SourcePlaces, find_source
from medseg.inference.mask_folder import maps_folder
from medseg.inference.record import PredictionRecord
from medseg.records import Labelmap
from medseg.scans import read_label
from medseg.terms import segments_of

_MOST_VALUES = 5


def read_case(record: CaseRecord, masks: Path, predictions: PredictionRecord, places: SourcePlaces) -> DeliveredCase:
    """Read a case for delivery.

    Args:
        record: Record of the case.
        masks: Folder of the masks.
        predictions: Its `predictions.json`.
        places: Where the scan is looked for.

    Raises:
        DeliveryError: If the mask is missing, or holds a value that no structure has.
        GeometryError: If mask and scan lie on different grids.
        ScanError: If mask or scan cannot be read, or the scan is not the one that the mask was drawn on.
    """
    path = masks / record.mask
    if not path.is_file():
        raise DeliveryError(
            f"the mask must be {record.mask} in the folder of the masks, got no file",
            remedy="predict again, which draws what is missing",
            case_id=record.case_id,
        )
    scan = find_source(record, places)
    labels, grid = read_label(path, case_id=record.case_id)
    if not scan.geometry.is_close(grid):
        raise GeometryError(
            f"the mask must lie on the grid of its scan, got {grid.difference(scan.geometry)}",
            remedy="save a mask that was corrected elsewhere on the grid of the scan",
            case_id=record.case_id,
        )
    segments = segments_of(predictions.structures)
    _check_values(labels, {value for value in predictions.labels.values() if value != 0}, record)
    unsigned: Labelmap = labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16, copy=False)
    return DeliveredCase(
        record=record,
        scan=scan,
        labels=unsigned,
        segments=segments,
        algorithm=algorithm_of(predictions.models),
        maps=maps_folder(masks, record.case_id),
    )


def _check_values(labels: Labelmap, known: set[int], record: CaseRecord) -> None:
    strays = labels[labels > max(known, default=0)]
    if strays.size:
        unknown = np.unique(strays).tolist()
    else:
        unknown = sorted(set(np.flatnonzero(np.bincount(labels.ravel(order="K"))).tolist()) - known - {0})
    if unknown:
        shown = ", ".join(map(str, unknown[:_MOST_VALUES]))
        raise DeliveryError(
            f"values of the mask must be those of the model's labels, got {shown}, which have no name",
            remedy="correct the mask with the values that predictions.json lists",
            case_id=record.case_id,
        )
