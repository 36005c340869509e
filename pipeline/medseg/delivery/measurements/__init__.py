"""Measurements of the structures of a mask: volume, diameters, place and intensity."""

from __future__ import annotations

from medseg.delivery.measurements.diameters import Diameters, diameters
from medseg.delivery.measurements.measure import measure_structures
from medseg.delivery.measurements.table import write_measurements_csv
from medseg.scans.structure_measurements import Intensity, StructureMeasurements

__all__ = [
    "Diameters",
    "Intensity",
    "StructureMeasurements",
    "diameters",
    "measure_structures",
    "write_measurements_csv",
]
