"""One image of a source, DICOM or file, before it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medseg.cohort import CASE_ERRORS
from medseg.errors import PipelineError
from medseg.geometry import Geometry
from medseg.ingest.patient_name import PatientName
from medseg.origin import PictureOrigin
from medseg.records import reason_of
from medseg.scans import read_grid, scan_stem
from medseg.scans.dicom import REPAIRS, FoundSeries, Instance, straight_geometry


@dataclass(frozen=True, slots=True, eq=False)
class ImageSource:
    """A volume or picture that may become a channel of a case.

    Attributes:
        key: Tells it from every other image of the source, also in a later run; never written.
        patient: Who, in the source's own words; never written.
        study: Study UID, or the folder of a file; never written.
        series_uid: Of DICOM; "" for files.
        modality: DICOM's, or "" for files.
        description: Free text of the series, or the file's name.
        institution: Where it was made, or "".
        scanner: What it was made with, or "".
        study_date: `YYYYMMDD`, or "".
        frame_of_reference_uid: Of DICOM; "" for files.
        files: All files of it.
        folder: Where they lie.
        channels: Values per voxel.
        is_picture: Whether it is 2D without a place in the patient.
        grid: Where its voxels lie once repairs are done; None if it cannot be read.
        refusal: Why it cannot be read, with the remedy; "" if it can.
        is_aside: Whether it is no image that anybody would want, such as a localizer.
        is_moved: Whether a repair moves its slices.
        notes: What a person should know of it.
        found: The DICOM series; None for files.
        is_named_by_file: Whether a file's own name told whose it is.
        has_patient_id: Whether `patient` is an id, and not a name that stands in for one.
    """

    key: str
    patient: str
    study: str
    series_uid: str
    modality: str
    description: str
    institution: str
    scanner: str
    study_date: str
    frame_of_reference_uid: str
    files: tuple[Path, ...]
    folder: Path
    channels: int
    is_picture: bool
    grid: Geometry | None
    refusal: str = ""
    is_aside: bool = False
    is_moved: bool = False
    notes: tuple[str, ...] = ()
    found: FoundSeries | None = None
    is_named_by_file: bool = False
    has_patient_id: bool = True

    @property
    def picture_origin(self) -> PictureOrigin | None:
        """Origin of a picture file; None for volumes and DICOM."""
        return PictureOrigin(self.files[0]) if self.is_picture and self.found is None else None


_VOXEL_ENDINGS = {
    ".hdr": (".img", ".IMG"),
    ".mhd": (".raw", ".zraw", ".raw.gz"),
    ".nhdr": (".raw", ".raw.gz"),
}


def series_image(found: FoundSeries, *, repair: frozenset[str]) -> ImageSource:
    """The image that a DICOM series makes, or why it makes none."""
    first = found.first
    refusals = [problem for problem in found.problems if REPAIRS.get(problem.kind) not in repair]
    grid: Geometry | None = None
    refusal = "; ".join([*(one.message for one in refusals), *(one.remedy for one in refusals)])
    if not refusal:
        try:
            grid = _series_grid(found)
        except PipelineError as error:
            refusal = str(error)
    series = first.series_uid or str(first.path.parent)
    told_apart = (f"one of several in its series, told apart by {_words(found)}",) if found.told_apart_by else ()
    return ImageSource(
        key=f"{series}/{first.modality}/{found.part}/{first.rows}x{first.columns}",
        patient=dicom_patient(first),
        study=first.study_uid or str(first.path.parent),
        series_uid=first.series_uid,
        modality=first.modality,
        description=first.description,
        institution=first.identity.institution,
        scanner=first.scanner,
        study_date=first.study_date,
        frame_of_reference_uid=first.frame_of_reference_uid,
        files=tuple(instance.path for instance in found.instances),
        folder=first.path.parent,
        channels=3 if first.photometric == "PALETTE COLOR" else max(first.samples, 1),
        is_picture=found.is_picture,
        grid=grid,
        refusal=refusal,
        is_aside=any(problem.kind == "set_aside" for problem in found.problems),
        is_moved=bool(found.problems) and not refusals,
        notes=(*found.notes, *told_apart),
        found=found,
        has_patient_id=bool(first.identity.patient_id),
    )


def file_image(path: Path, root: Path, name: PatientName) -> ImageSource:
    """The image that a NIfTI, NRRD, MetaImage or picture file is.

    Args:
        path: The file.
        root: The source folder.
        name: Whose it is.
    """
    grid: Geometry | None = None
    channels, is_picture, refusal = 1, False, ""
    try:
        grid, channels, is_picture = read_grid(path, case_id="file")
    except CASE_ERRORS as error:
        told = reason_of(error).removeprefix("case file: ")
        refusal = told.replace(f"file {path.name}", "the file").replace(path.name, "…")
    relative = path.relative_to(root)
    return ImageSource(
        key=relative.as_posix(),
        patient=name.patient,
        study=relative.parent.as_posix(),
        series_uid="",
        modality="",
        description=scan_stem(relative),
        institution="",
        scanner="",
        study_date="",
        frame_of_reference_uid="",
        files=(path, *voxel_files(path)),
        folder=path.parent,
        channels=channels,
        is_picture=is_picture,
        grid=grid,
        refusal=refusal,
        is_named_by_file=name.is_by_file,
        has_patient_id=name.is_id,
    )


def voxel_files(path: Path) -> tuple[Path, ...]:
    """The files beside a header that hold its voxels."""
    endings = _VOXEL_ENDINGS.get(path.suffix.lower(), ())
    candidates = (path.with_name(path.stem + ending) for ending in endings)
    return tuple(found for found in candidates if found.is_file())


def dicom_patient(instance: Instance) -> str:
    """The patient of a file: the hospital's number, else name and birth date, else the study or the folder."""
    identity = instance.identity
    if identity.patient_id:
        return f"{identity.issuer}|{identity.patient_id}" if identity.issuer else identity.patient_id
    if identity.name.strip("^ "):
        return f"{identity.name}|{identity.birth_date}"
    return instance.study_uid or instance.frame_of_reference_uid or str(instance.path.parent)


def _series_grid(found: FoundSeries) -> Geometry:
    if found.planes is None:
        frame = found.frames[0]
        rows_mm, columns_mm = frame.spacing_mm or (1.0, 1.0)
        return Geometry.flat(frame.columns, frame.rows, spacing_mm=(columns_mm, rows_mm))
    return straight_geometry(found.planes) if found.problems else found.planes.geometry()


def _words(found: FoundSeries) -> str:
    return ", ".join(mark.replace("_", " ") for mark in found.told_apart_by)
