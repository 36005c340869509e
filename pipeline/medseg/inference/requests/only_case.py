"""The one case that a request holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.errors import ScanError
from medseg.inference.inputs import CaseInput, find_inputs

_MOST_TOLD = 3


def only_case(place: Path, *, channels: Sequence[str]) -> CaseInput:
    """The case of a request.

    Args:
        place: File or folder of its scan.
        channels: Names of the channels that the network takes.

    Raises:
        PipelineError: If there is no case, one that cannot be predicted, or several.
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
    return found.cases[0]
