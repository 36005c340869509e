"""The one case that a request holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from medseg.errors import ScanError
from medseg.inference.inputs import CaseInput, find_inputs
from medseg.inference.requests.checked_files import SMALLER
from medseg.inference.requests.request_limits import RequestLimits
from medseg.scans import promised_voxels

_MOST_TOLD = 3


def only_case(place: Path, *, channels: Sequence[str], limits: RequestLimits | None = None) -> CaseInput:
    """The case of a request, whose voxels are not read yet.

    Args:
        place: File or folder of its scan, whose files were checked.
        channels: Names of the channels that the network takes.
        limits: Limits of the request; the usual ones if not given.

    Raises:
        PipelineError: If there is no case, one that cannot be predicted, one of too many voxels, or several.
    """
    found = find_inputs([place], channels=channels)
    for one in found.refused:
        raise type(one.error)(one.error.fact, remedy=one.error.remedy, case_id=one.case_id)
    if len(found.cases) != 1:
        names = ", ".join(case.case_id for case in found.cases[:_MOST_TOLD])
        names += ", …" if len(found.cases) > _MOST_TOLD else ""
        raise ScanError(
            f"a request must hold one case, got {len(found.cases)}: {names}",
            remedy="send each in a request or row of its own",
        )
    (case,) = found.cases
    _check_voxels(case, (limits or RequestLimits()).most_voxels)
    return case


def _check_voxels(case: CaseInput, most: int) -> None:
    if case.series:
        grids = [(image.grid, image.channels) for image in case.series]
        count = sum(math.prod(grid.shape) * channels for grid, channels in grids if grid is not None)
    else:
        count = sum(promised_voxels(path, case_id=case.case_id) for path in case.files)
    if count > most:
        raise ScanError(
            f"a scan must have at most {most} voxels, those of all channels together, got {count}",
            remedy=SMALLER,
            case_id=case.case_id,
        )
