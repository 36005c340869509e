"""The fourth axis of a NIfTI file: channels, unless the header says that it is time."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from medseg.errors import ScanError

_log = logging.getLogger(__name__)
_TIME_UNITS = ("sec", "msec", "usec")
_OTHER_UNITS = ("hz", "ppm", "rads")  # of spectra


def check_fourth_axis(header: Any, *, path: Path, case_id: str, channels: int | None) -> None:
    """Stop if the volumes of a file are points of time or of a spectrum, which are never taken for channels.

    A step of 1 second is what ITK and FSL write unasked, so it counts as time only where the number of volumes is not
    that of the channels that somebody has named.

    Args:
        header: NIfTI header of the file.
        path: File, for messages.
        case_id: Id of the case, for messages.
        channels: Number of channels that the manifest or model names; None where nobody has.

    Raises:
        ScanError: If the header gives the fourth axis a step in time or in frequency.
    """
    shape = header.get_data_shape()
    volumes = int(shape[3]) if len(shape) == 4 else 1
    unit, step = _unit(header), float(header["pixdim"][4])
    if volumes == 1 or not step > 0 or unit not in (*_TIME_UNITS, *_OTHER_UNITS):
        return
    is_unasked = unit == "sec" and step == 1
    if is_unasked and channels == volumes:
        return
    if is_unasked and channels is None:
        _log.warning("case %s: the %d volumes of %s are read as channels, not as time", case_id, volumes, path.name)
        return
    kind = "time" if unit in _TIME_UNITS else "a spectrum"
    raise ScanError(
        f"file {path.name} must hold one volume or channels, got {volumes} volumes {step:g} {unit} apart, which are "
        f"{kind}",
        remedy="write each volume to a file and a case of its own; if they are channels, set the unit of the fourth "
        "axis in the header (xyzt_units) to unknown",
        case_id=case_id,
    )


def _unit(header: Any) -> str:
    """Unit of the fourth axis; unknown where its code is none of the standard."""
    try:
        return str(header.get_xyzt_units()[1])
    except KeyError:
        return "unknown"
