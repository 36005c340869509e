"""A dataset from a folder of hospital scans."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.atomic import check_writable
from medseg.cohort import SERIAL, Executor
from medseg.errors import ConfigError
from medseg.ingest import IngestOptions, IngestReport, PatientsFrom, Pseudonyms, ingest, load_key
from medseg.ingest import Progress as IngestProgress
from medseg.runs.cluster import case_executor
from medseg.runs.machine import worker_count


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    """Choices of an ingest.

    Attributes:
        out: Folder of the dataset; an ingest that stopped is continued.
        mapping: File that says which structure is which label; proposed and written if not given.
        repair: Names of repairs to make where a volume would be refused.
        min_slices: Fewest slices of a volume.
        suv: Whether PET becomes SUV by body weight.
        kind: Kind of scans to take; volumes, if there are any, if not given.
        key: File of the pseudonyms' key; beside the dataset, made if missing, if not given.
        keep_ids: Whether patient ids and UIDs are pseudonyms already.
        shift_dates: Whether study dates are kept, moved by 1 to 365 days per patient.
        name: Name of the dataset; that of the output folder if not given.
        workers: Threads that read scans.
        patients_from: Property that makes a patient: the header's id, the folder, the study or the file's name.
        modality: Only modality to take, such as CT; all if not given.
        cluster: Cluster that builds the cases: `local`, `auto`, or host and port of its head; this process if not
            given. It is given the key of the pseudonyms.
    """

    out: Path
    mapping: Path | None = None
    repair: frozenset[str] = frozenset()
    min_slices: int = 3
    suv: bool = False
    kind: Literal["volumes", "pictures"] | None = None
    key: Path | None = None
    keep_ids: bool = False
    shift_dates: bool = False
    name: str | None = None
    workers: int | None = None
    patients_from: PatientsFrom = "id"
    modality: str | None = None
    cluster: str | None = None

    @property
    def key_file(self) -> Path:
        """File of the pseudonyms' key."""
        folder = self.out.absolute()
        return self.key or folder.with_name(folder.name + ".key")

    @property
    def sources_file(self) -> Path:
        """Private table beside the key that says what became of every series and file of the source."""
        return self.key_file.with_name(f"{self.out.absolute().name}.sources.csv")


def ingest_source(source: Path, settings: IngestSettings, *, progress: IngestProgress | None = None) -> IngestReport:
    """Find every scan in a folder, DICOM or not, and write a dataset with pseudonyms, labels and a manifest.

    Args:
        source: Folder of any depth.
        settings: Choices.
        progress: Callbacks for files read and cases made.

    Raises:
        PipelineError: If the key lies inside the dataset or cannot be read, or the source holds nothing usable.
    """
    if settings.out.resolve() in settings.key_file.resolve().parents:
        raise ConfigError(f"key file {settings.key_file} must not lie in the dataset, with which it would be passed on")
    check_writable(settings.out, option="out")
    check_writable(settings.key_file.parent, option="key")
    names = Pseudonyms(load_key(settings.key_file), keep_ids=settings.keep_ids)
    options = IngestOptions(
        repair=settings.repair,
        min_slices=settings.min_slices,
        suv=settings.suv,
        shift_dates=settings.shift_dates,
        kind=settings.kind,
        workers=worker_count(settings.workers),
        name=settings.name,
        patients_from=settings.patients_from,
        modality=settings.modality,
    )
    with _elsewhere(settings, source) as elsewhere:
        return ingest(
            source,
            settings.out,
            names=names,
            mapping_file=settings.mapping,
            options=options,
            private=settings.sources_file,
            progress=progress or IngestProgress(),
            elsewhere=elsewhere,
        )


@contextmanager
def _elsewhere(settings: IngestSettings, source: Path) -> Iterator[Executor | None]:
    """The cluster that builds the cases, if one is asked for."""
    if settings.cluster is None:
        yield None
        return
    folders, workers = [source], settings.workers
    with case_executor(settings.cluster, here=SERIAL, out=settings.out, folders=folders, workers=workers) as executor:
        yield executor
