"""The voxels of a case, whatever it is stored as."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from medseg.errors import PipelineError, ScanError
from medseg.inference.inputs.case_input import CaseInput
from medseg.inference.inputs.digest import with_named_files
from medseg.inference.inputs.private_text import private_error, private_warnings
from medseg.records import Array, Scan, lacks_memory
from medseg.scans import read_scan
from medseg.scans.read import check_finite

if TYPE_CHECKING:
    from medseg.ingest.image_source import ImageSource

_AS_FILE = "predict a NIfTI file that holds SUV by body weight"
_log = logging.getLogger(__name__)


def read_input(case: CaseInput, *, channels: Sequence[str]) -> Scan:
    """Read a case: NIfTI, NRRD, MetaImage, pictures and DICOM alike.

    DICOM channels are brought onto the grid of the first one as ingest does: linearly, where both lie in one frame of
    reference. PET in a channel that is named for SUV becomes SUV by body weight; in any other it stays as it is
    stored, in Bq/ml mostly. Files hold what the network takes, whatever the channel is called.

    Args:
        case: Case to read.
        channels: Names of the channels that the network takes.

    Returns:
        `array` float32 of shape `(C, I, J, K)`, all finite; the origin is that of the first file or series.

    Raises:
        ScanError: If a file is missing, damaged, of another type, or holds NaN or infinite voxels.
        GeometryError: If the channels lie on different grids; for DICOM, in different frames of reference or apart.
    """
    if case.key is None:
        return _read(case, channels)
    files = case.files if case.series else with_named_files(case.files)
    try:
        with private_warnings(files):
            return _read(case, channels)
    except (PipelineError, RuntimeError, OSError) as error:
        if not isinstance(error, PipelineError) and lacks_memory(error):
            raise
        raise private_error(error, files, case_id=case.case_id) from None  # its cause names the files


def _read(case: CaseInput, channels: Sequence[str]) -> Scan:
    try:
        if case.series:
            return _read_series(case, channels)
        return read_scan(case.files, case_id=case.case_id, channels=len(channels))
    except PipelineError as error:
        raise type(error)(error.fact, remedy=error.remedy, case_id=case.case_id) from error


def _read_series(case: CaseInput, channels: Sequence[str]) -> Scan:
    from medseg.ingest.build_image import onto_reference
    from medseg.scans.dicom import silence_dicom

    silence_dicom()
    reference = case.series[0]
    first = _read_one(reference, channels[0], case_id=case.case_id)
    arrays: list[Array] = [first.array]
    for image, name in zip(case.series[1:], channels[1:], strict=False):
        scan = _read_one(image, name, case_id=case.case_id)
        array, note = onto_reference(scan, image, reference)
        _log.info("case %s: %s", case.case_id, note)
        arrays.append(array)
    array = np.concatenate(arrays).astype(np.float32, copy=False)
    check_finite(array, what="image", case_id=case.case_id)
    return replace(first, array=array)


def _read_one(image: ImageSource, channel: str, *, case_id: str) -> Scan:
    """One series, as SUV if the channel is named for it."""
    from medseg.ingest.build_image import as_suv
    from medseg.ingest.suv_channels import is_suv
    from medseg.scans.dicom import read_series

    series = image.known_series()
    read = read_series(series)
    if image.modality == "PT" and is_suv(channel):
        try:
            read = as_suv(read, series)
        except ScanError as error:
            raise ScanError(f"channel {channel} is SUV by body weight: {error.fact}", remedy=_AS_FILE) from error
    for note in read.notes:
        _log.warning("case %s: %s", case_id, note)
    return read.scan
