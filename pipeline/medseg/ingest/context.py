"""What one ingest is asked for, and what all of its cases share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.ingest.key import Pseudonyms
from medseg.ingest.mapping import Mapping
from medseg.ingest.scan_notes import ScanNotes
from medseg.ingest.scrub import Scrubber
from medseg.ingest.state import State

Repair = Literal["tilt", "gaps", "grids", "orientations"]
REPAIR_CHOICES: tuple[Repair, ...] = ("tilt", "gaps", "grids", "orientations")


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How to ingest.

    Attributes:
        repair: What is repaired instead of refused.
        min_slices: Fewest slices of a volume.
        suv: Whether PET becomes SUV by body weight.
        shift_dates: Whether the manifest gets study dates, moved by a number of days per patient.
        kind: Volumes or pictures; volumes if the source holds any, if not given.
        workers: Threads.
        name: Name of the dataset; the output folder's if not given.
    """

    repair: frozenset[str] = frozenset()
    min_slices: int = 3
    suv: bool = False
    shift_dates: bool = False
    kind: Literal["volumes", "pictures"] | None = None
    workers: int = 2
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Callbacks of an ingest, called from its own thread."""

    on_files: Callable[[int], None] = lambda count: None
    on_cases: Callable[[int], None] = lambda total: None
    on_case: Callable[[str], None] = lambda case_id: None


@dataclass(frozen=True, slots=True, eq=False)
class IngestContext:
    """What all cases of one ingest share.

    Attributes:
        out: Folder of the dataset.
        options: How to ingest.
        names: Pseudonyms of patients, cases and UIDs.
        mapping: Which structure is which label, and which series which channel.
        scrub: Takes identifying values out of free text.
        state: What was done so far.
        notes: Warnings of the readers.
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

    def label_of(self, structure: str) -> str | None:
        """The label of a structure, by its name or by what the mapping shows of it.

        Returns:
            "" if it is to be ignored, None if the mapping names it nowhere.
        """
        found = self.mapping.label_of(structure)
        return self.mapping.label_of(self.scrub.name(structure)) if found is None else found
