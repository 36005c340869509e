"""A case with everything that its files are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from medseg.delivery.certificate import ExpectedMask
from medseg.delivery.measurements import StructureMeasurements, measure_structures
from medseg.inference.case_record import CaseRecord
from medseg.origin import PictureOrigin, SeriesOrigin
from medseg.records import Labelmap, Scan
from medseg.scans.segment import Algorithm, Segment


@dataclass(frozen=True, kw_only=True)
class DeliveredCase:
    """A mask with its scan.

    Attributes:
        record: Record of the case in `predictions.json`.
        scan: Scan that the mask was drawn on, on its own grid.
        labels: Label values of shape `(I, J, K)` on that grid.
        segments: Structures of the mask.
        algorithm: Software that drew it.
        maps: Folder of its probability maps, which need not exist.
    """

    record: CaseRecord
    scan: Scan
    labels: Labelmap
    segments: tuple[Segment, ...]
    algorithm: Algorithm
    maps: Path

    @property
    def case_id(self) -> str:
        """Id of the case."""
        return self.record.case_id

    @cached_property
    def measurements(self) -> tuple[StructureMeasurements, ...]:
        """Measurements of each structure, taken once for all files that show them."""
        return measure_structures(self.labels, self.segments, self.scan)

    @cached_property
    def expected(self) -> ExpectedMask:
        """The mask that every file must hold, taken apart once."""
        return ExpectedMask.of(self.labels, self.segments, self.scan.geometry)

    @property
    def is_picture(self) -> bool:
        """Whether the scan is a picture, which has no place in the patient."""
        return isinstance(self.scan.origin, PictureOrigin)

    @property
    def is_dicom(self) -> bool:
        """Whether the scan was read from a DICOM series."""
        return isinstance(self.scan.origin, SeriesOrigin)
