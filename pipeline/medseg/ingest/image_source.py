"""One image of a source, a DICOM series or a file, before its voxels are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medseg.cohort import CASE_ERRORS
from medseg.errors import PipelineError, ScanError
from medseg.geometry import Geometry
from medseg.ingest.patient_name import PatientName
from medseg.ingest.refusal import Refusal
from medseg.origin import PictureOrigin
from medseg.scans import read_grid, scan_stem, voxel_files
from medseg.scans.dicom import REPAIRS, FoundSeries, Instance, straight_geometry


@dataclass(frozen=True, slots=True, eq=False)
class ImageSource:
    """A volume or picture that may become a channel of a case.

    Attributes:
        key: Identity of the image, the same in a later run; never written.
        patient: Name or id of the patient as the source gives it; never written.
        study: Study UID, or the folder of a file; never written.
        series_uid: DICOM (0020,000E); "" for files.
        modality: DICOM (0008,0060); "" for files.
        description: Description of the series, or the file's name.
        institution: Name of the site, or "".
        scanner: Maker and model of the scanner, or "".
        study_date: `YYYYMMDD`, or "".
        frame_of_reference_uid: DICOM (0020,0052); "" for files.
        files: All files of the image.
        folder: Folder of the first file.
        channels: Number of values per voxel.
        is_picture: Whether the image is 2D, without a position in the patient.
        grid: Grid of the voxels after repairs; None if it cannot be read.
        refusal: Reason why the image goes into no case; None if it may.
        is_moved: Whether a repair moves the slices.
        notes: Notes on the image for a person.
        found: DICOM series of the image; None for files.
        is_named_by_file: Whether the patient was taken from a file's own name.
        has_patient_id: Whether `patient` is an id, and not a name in place of one.
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
    refusal: Refusal | None = None
    is_moved: bool = False
    notes: tuple[str, ...] = ()
    found: FoundSeries | None = None
    is_named_by_file: bool = False
    has_patient_id: bool = True

    @property
    def is_aside(self) -> bool:
        """Whether the image is set aside, such as a localizer."""
        return self.refusal is not None and self.refusal.is_aside

    @property
    def picture_origin(self) -> PictureOrigin | None:
        """Origin of a picture file; None for volumes and DICOM."""
        return PictureOrigin(self.files[0]) if self.is_picture and self.found is None else None

    def known_grid(self) -> Geometry:
        """The grid of the image.

        Raises:
            ScanError: If the image cannot be read.
        """
        if self.grid is not None:
            return self.grid
        if self.refusal is not None:
            raise ScanError(self.refusal.fact, remedy=self.refusal.remedy)
        raise ScanError("the image has no grid")

    def known_series(self) -> FoundSeries:
        """The DICOM series of the image.

        Raises:
            ScanError: If the image is a file of another kind.
        """
        if self.found is None:
            raise ScanError("the image is no DICOM series")
        return self.found


def series_image(found: FoundSeries, *, repair: frozenset[str]) -> ImageSource:
    """The image of a DICOM series, with a refusal if it cannot be used."""
    first = found.first
    grid: Geometry | None = None
    refusal = _refusal(found, repair)
    is_moved = bool(found.problems) and refusal is None
    if refusal is None:
        try:
            grid = _series_grid(found)
        except PipelineError as error:
            refusal = Refusal.of_error("unreadable", error)
    series = first.series_uid or str(first.path.parent)
    parts = (f"one of several in its series, told apart by {_words(found)}",) if found.told_apart_by else ()
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
        channels=first.channels,
        is_picture=found.is_picture,
        grid=grid,
        refusal=refusal,
        is_moved=is_moved,
        notes=(*found.notes, *parts),
        found=found,
        has_patient_id=bool(first.identity.patient_id),
    )


def _refusal(found: FoundSeries, repair: frozenset[str]) -> Refusal | None:
    """All problems of a series that are not repaired; None if there are none."""
    problems = [problem for problem in found.problems if REPAIRS.get(problem.kind) not in repair]
    if not problems:
        return None
    is_unwanted = any(problem.kind == "set_aside" for problem in problems)
    fact, remedy = ("; ".join(parts) for parts in zip(*((one.message, one.remedy) for one in problems), strict=True))
    return Refusal("unwanted" if is_unwanted else "series", fact, remedy)


def file_image(path: Path, root: Path, name: PatientName) -> ImageSource:
    """The image of a NIfTI, NRRD, MetaImage or picture file, with a refusal if it cannot be used.

    Args:
        path: File of the image.
        root: Source folder.
        name: Patient that the file belongs to.
    """
    grid: Geometry | None = None
    channels, is_picture, refusal = 1, False, None
    try:
        grid, channels, is_picture = read_grid(path, case_id="file")
    except CASE_ERRORS as error:
        refusal = Refusal.of_error("unreadable", error).without_name(path.name)
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
        files=(path, *(one for one in voxel_files(path) if one.is_file())),
        folder=path.parent,
        channels=channels,
        is_picture=is_picture,
        grid=grid,
        refusal=refusal,
        is_named_by_file=name.is_by_file,
        has_patient_id=name.is_id,
    )


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
