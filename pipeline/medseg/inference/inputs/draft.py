"""A case before it has its id, which depends on all others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medseg.errors import PipelineError
from medseg.inference.source_record import SourceRecord

if TYPE_CHECKING:
    from medseg.ingest.image_source import ImageSource


@dataclass(frozen=True, slots=True)
class Draft:
    """A case that is to be predicted, or that cannot be.

    Attributes:
        names: Names from the shortest to the most exact one; the first that no other case has becomes the id.
        files: Files of the case.
        place: Sort key.
        key: Identity of the case, the same in a later run; only the private table holds it.
        patient: Patient as the source gives it; only the private table holds it.
        source: Record of what it is read from.
        has_patient_id: Whether `patient` is an id, and not a name in place of one.
        series: DICOM series of its channels.
        error: Reason why it cannot be predicted; None if it can.
        notes: Doubts that a person should know.
    """

    names: tuple[str, ...]
    files: tuple[Path, ...]
    place: tuple[int, str]
    key: str
    patient: str
    source: SourceRecord
    has_patient_id: bool = True
    series: tuple[ImageSource, ...] = ()
    error: PipelineError | None = None
    notes: tuple[str, ...] = ()
