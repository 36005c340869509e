"""Where the values of a quantity come from: a dose, the doses of beams that are summed, or an image series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.cohort import CASE_ERRORS, ThreadExecutor, map_in_order
from medseg.ingest.image_source import ImageSource, dicom_patient
from medseg.ingest.quantity_rule import QuantityRule
from medseg.ingest.refusal import Refusal
from medseg.scans.dicom import DoseObject, Instance, read_dose_object

_PREDICTED = Refusal("unwanted", "a dose that medseg predicted, which is no reference")
_COPY = Refusal("copy", "a copy of another dose of the source")


@dataclass(frozen=True, slots=True, eq=False)
class DoseSource:
    """An RT Dose of the source.

    Attributes:
        instance: Header of the file.
        dose: What it says of its dose; None if it cannot be read.
        refusal: Reason why it cannot be read; None if it can.
    """

    instance: Instance
    dose: DoseObject | None
    refusal: Refusal | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return self.instance.path

    @property
    def is_beam(self) -> bool:
        """Whether it is the dose of a single beam."""
        return self.dose is not None and self.dose.summation == "BEAM"

    @property
    def patient(self) -> str:
        """Patient as the source gives it; never written."""
        return dicom_patient(self.instance)


@dataclass(frozen=True, slots=True, eq=False)
class QuantitySource:
    """The source of a quantity of one case.

    Attributes:
        name: Name of the quantity.
        rule: Its rule in the mapping.
        doses: Doses, several for beams that are summed; empty for a series.
        image: Image series; None for doses.
    """

    name: str
    rule: QuantityRule
    doses: tuple[DoseSource, ...] = ()
    image: ImageSource | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files."""
        return self.image.files if self.image is not None else tuple(one.path for one in self.doses)


def dose_sources(instances: Sequence[Instance], *, workers: int) -> list[DoseSource]:
    """The doses of files, each once; copies and those that cannot be used have a refusal.

    Args:
        instances: Headers of RT Dose files.
        workers: Number of threads.
    """
    found = map_in_order(ThreadExecutor(workers), _dose_source, sorted(instances, key=lambda one: one.path))
    seen: set[str] = set()
    once = []
    for one in found:
        is_copy = one.refusal is None and bool(one.instance.sop_uid) and one.instance.sop_uid in seen
        once.append(replace(one, refusal=_COPY) if is_copy else one)
        seen.add(one.instance.sop_uid)
    return once


def _dose_source(instance: Instance) -> DoseSource:
    """The dose of a file, with a refusal if it cannot be used."""
    try:
        dose = read_dose_object(instance.path)
    except CASE_ERRORS as error:
        return DoseSource(instance, None, Refusal.of_error("unreadable", error))
    return DoseSource(instance, dose, _PREDICTED if dose.is_predicted else None)
