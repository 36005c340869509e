"""From a folder of hospital scans to a dataset: found, stacked, labelled, named by pseudonyms, written as NIfTI."""

from __future__ import annotations

from medseg.ingest.context import REPAIR_CHOICES, IngestOptions, Progress
from medseg.ingest.ingest import ingest
from medseg.ingest.key import Pseudonyms, load_key
from medseg.ingest.mapping import Mapping, load_mapping
from medseg.ingest.patients_from import PatientsFrom
from medseg.ingest.report import IngestReport

__all__ = [
    "REPAIR_CHOICES",
    "IngestOptions",
    "IngestReport",
    "Mapping",
    "PatientsFrom",
    "Progress",
    "Pseudonyms",
    "ingest",
    "load_key",
    "load_mapping",
]
