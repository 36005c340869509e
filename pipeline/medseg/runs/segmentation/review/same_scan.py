"""Whether a case of a data set is the scan that a mask was drawn on: two hospitals may both have a `case_001`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medseg.errors import ManifestError
from medseg.inference.case_record import CaseRecord
from medseg.inference.inputs.digest import files_digest, with_voxel_files
from medseg.inference.inputs.find_source import SourcePlaces, find_source
from medseg.manifest.case_scans import read_case_image
from medseg.records import Case, Manifest

_ROUNDING = 1e-4  # of the largest value: a DICOM series and the NIfTI that was made of it


def check_same_scan(record: CaseRecord, case: Case, manifest: Manifest, root: Path, *, places: SourcePlaces) -> None:
    """Refuse a mask that was drawn on another scan than the case of its id, by checksum, else by voxels.

    Args:
        record: Record of the mask.
        case: Case of the same id, on the same grid.
        manifest: Data set of the case.
        root: Data root.
        places: Where the mask's scan is looked for, if its checksum is not that of the case's files.

    Raises:
        ManifestError: If it is another scan.
        ScanError: If either cannot be read, or the mask's scan is not found.
    """
    files = with_voxel_files([root / name for name in case.images])
    drawn_on = record.source.sha256 if record.source is not None else None
    if drawn_on is not None and drawn_on == files_digest(files, is_series=False, key=places.key):
        return
    image = read_case_image(case, manifest, root).array[0]
    scan = find_source(record, places).array[0]
    tolerance = _ROUNDING * float(np.abs(image).max(initial=0))
    if image.shape != scan.shape or not np.allclose(image, scan, rtol=0, atol=tolerance):
        raise ManifestError(
            "image in the data set must be the scan that the mask was drawn on, got another scan of the same id",
            remedy="predict the image of the data set, and review that mask",
            case_id=case.case_id,
        )
