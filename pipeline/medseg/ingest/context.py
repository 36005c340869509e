"""The settings of an ingest, and the state that all of its cases share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.ingest.key import Pseudonyms
from medseg.ingest.mapping import Mapping
from medseg.ingest.patients_from import PatientsFrom
from medseg.ingest.scan_notes import ScanNotes
from medseg.ingest.scrub import Scrubber
from medseg.ingest.state import State
from medseg.ingest.suv_channels import is_suv

Repair = Literal["tilt", "gaps", "grids", "orientations"]
REPAIR_CHOICES: tuple[Repair, ...] = ("tilt", "gaps", "grids", "orientations")


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """Settings of an ingest.

    Attributes:
        repair: Problems of series and labels that are repaired instead of refused.
        min_slices: Fewest slices of a volume.
        suv: Whether PET is converted to SUV by body weight, and its channel named for it; a channel of the mapping
            that is named for SUV is converted anyway.
        shift_dates: Whether the manifest gets study dates, shifted by a number of days per patient.
        kind: Kind of scans to take; if not given, volumes where the source holds any, otherwise pictures.
        workers: Number of threads.
        name: Name of the dataset; that of the output folder if not given.
        patients_from: Property that makes a patient: the header's id, the folder, the study or the file's name.
        modality: Only modality to take, such as CT; all if not given.
    """

    repair: frozenset[str] = frozenset()
    min_slices: int = 3
    suv: bool = False
    shift_dates: bool = False
    kind: Literal["volumes", "pictures"] | None = None
    workers: int = 2
    name: str | None = None
    patients_from: PatientsFrom = "id"
    modality: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Callbacks of an ingest, called from its own thread."""

    on_files: Callable[[int], None] = lambda count: None
    on_cases: Callable[[int], None] = lambda total: None
    on_case: Callable[[str], None] = lambda case_id: None


@dataclass(frozen=True, slots=True, eq=False)
class IngestContext:
    """Settings and state that all cases of one ingest share.

    Attributes:
        out: Folder of the dataset.
        options: Settings of the ingest.
        names: Pseudonyms of patients, cases and UIDs.
        mapping: Label of each structure, and channel of each series.
        scrub: Remover of identifying values from free text.
        state: Record of the work done so far.
        notes: Collector of the readers' warnings.
    """

    out: Path
    options: IngestOptions
    names: Pseudonyms
    mapping: Mapping
    scrub: Scrubber
    state: State
    notes: ScanNotes

    @property
    def dataset_name(self) -> str:
        """Name of the dataset."""
        return self.options.name or self.out.name

    def is_suv(self, channel: int) -> bool:
        """Whether PET in a channel, by its number, becomes SUV."""
        rules = self.mapping.channels
        return self.options.suv or (bool(rules) and is_suv(rules[channel].name))

    def label_of(self, structure: str) -> str | None:
        """The label of a structure, by its own name or by its scrubbed name.

        Returns:
            Name of the label; "" if the structure is ignored, None if the mapping does not name it.
        """
        found = self.mapping.label_of(structure)
        return self.mapping.label_of(self.scrub.name(structure)) if found is None else found
