"""The table of forms: how each is written, and by which libraries it is read back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from medseg.delivery.certificate import ContentCheck
from medseg.delivery.export.delivered_case import DeliveredCase
from medseg.delivery.export.form_checks import (
    header_check,
    identity_check,
    itksnap_check,
    map_check,
    report_checks,
    rtstruct_check,
    seg_check,
    seg_nrrd_check,
    sidecar_check,
    slicer_check,
    table_check,
)
from medseg.errors import DeliveryError
from medseg.scans.read_back import ReadBack
from medseg.scans.segment import Segment

LEAST_DICE_OF_CONTOURS = 0.995
PAGE = "pdf"
REPORT = "sr"
MEASUREMENTS_NAME = "measurements.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFile:
    """A file that was written, and how to read it back.

    Attributes:
        path: The file.
        readers: Independent readers of its voxels; empty for files that hold none.
        least_dice: Overlap with the mask that each structure must reach.
        structures: Numbers of the structures that it holds; all if not given.
        checks: Readers of its words and numbers, such as names and measurements.
    """

    path: Path
    readers: tuple[Callable[[], ReadBack], ...] = ()
    least_dice: float = 1.0
    structures: frozenset[int] | None = None
    checks: tuple[ContentCheck, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether it holds every voxel of every structure."""
        return bool(self.readers) and self.least_dice >= 1 and self.structures is None


Made = tuple[WrittenFile, ...]
Write = Callable[[DeliveredCase, Path, Made], Made]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form of a case.

    Attributes:
        words: What it is, in words.
        write: Writes the files of a case into a folder; it gets the files that were made before. None for the page,
            on which the checks of all others stand.
        needs: `dicom` if it refers to a DICOM series, `volume` if it needs a place in the patient, "" if neither.
        is_default: Whether it is written where no form is chosen.
    """

    words: str
    write: Write | None
    needs: Literal["", "volume", "dicom"] = ""
    is_default: bool = False

    def fits(self, case: DeliveredCase) -> bool:
        """Whether the case can have this form."""
        if self.needs == "dicom":
            return case.is_dicom
        return not (self.needs == "volume" and case.is_picture)


def default_forms(case: DeliveredCase) -> tuple[str, ...]:
    """The forms that a case has where none is chosen; a binary SEG stands for one that cannot hold what overlaps."""
    chosen = [name for name, form in FORMS.items() if form.is_default and form.fits(case)]
    values = [value for segment in case.segments for value in segment.values]
    overlap = len(set(values)) < len(values)
    return tuple("seg-binary" if overlap and name == "seg" else name for name in chosen)


def write_form(name: str, case: DeliveredCase, folder: Path, made: Made) -> Made:
    """Write a case in one form.

    Args:
        name: Name in `FORMS`.
        case: Case.
        folder: Folder of the case.
        made: Files that were made before.

    Raises:
        DeliveryError: If the case cannot have this form.
    """
    form = FORMS[name]
    if form.write is None:
        raise ValueError(f"form {name} is written after all others")
    if not form.fits(case):
        raise _unfit(form, case)
    try:
        return form.write(case, folder, made)
    except DeliveryError as error:
        raise DeliveryError(error.fact, remedy=error.remedy, case_id=case.case_id) from error


def _unfit(form: Form, case: DeliveredCase) -> DeliveryError:
    found = "a picture" if case.is_picture else "another file"
    if form.needs == "dicom" and not case.is_picture:
        return DeliveryError(
            f"{form.words}: the mask must be drawn on a DICOM series, got {found}",
            remedy="predict from the DICOM study, or leave the form out",
            case_id=case.case_id,
        )
    return DeliveryError(
        f"{form.words}: the scan must have a place in the patient, got {found}",
        remedy="leave the form out",
        case_id=case.case_id,
    )


def mask_readers(case: DeliveredCase, path: Path) -> tuple[Callable[[], ReadBack], ...]:
    """Two independent readers of a mask that `write_mask` wrote for a case."""
    from medseg.scans import read_nifti_with_nibabel, read_nifti_with_simpleitk
    from medseg.scans.picture_reading import read_picture_with_pillow, read_picture_with_simpleitk

    if case.is_picture:
        grid = case.scan.geometry
        return (
            partial(read_picture_with_pillow, path, case.segments, grid),
            partial(read_picture_with_simpleitk, path, case.segments, grid),
        )
    return (
        partial(read_nifti_with_nibabel, path, case.segments),
        partial(read_nifti_with_simpleitk, path, case.segments),
    )


def _write_nifti(case: DeliveredCase, folder: Path, made: Made) -> Made:
    from medseg.delivery.label_files import write_itksnap_labels, write_label_sidecar, write_slicer_colours
    from medseg.scans import write_mask

    path = write_mask(case.labels, case.scan, folder, case_id=case.case_id)
    headers = () if case.is_picture else (header_check(case, path),)
    mask = WrittenFile(path=path, readers=mask_readers(case, path), checks=headers)
    sidecar = folder / f"{case.case_id}.json"
    write_label_sidecar(case.segments, sidecar, mask=path.name, algorithm=case.algorithm)
    names = WrittenFile(path=sidecar, checks=(sidecar_check(case, sidecar, mask=path.name),))
    if case.is_picture:
        return mask, names
    itksnap, slicer = folder / f"{case.case_id}.itksnap.txt", folder / f"{case.case_id}.ctbl"
    write_itksnap_labels(case.segments, itksnap)
    write_slicer_colours(case.segments, slicer)
    return (
        mask,
        names,
        WrittenFile(path=itksnap, checks=(itksnap_check(case, itksnap),)),
        WrittenFile(path=slicer, checks=(slicer_check(case, slicer),)),
    )


def _write_seg_nrrd(case: DeliveredCase, folder: Path, made: Made) -> Made:
    from medseg.scans import read_seg_nrrd_with_pynrrd, read_seg_nrrd_with_simpleitk, write_seg_nrrd

    path = folder / f"{case.case_id}.seg.nrrd"
    write_seg_nrrd(case.labels, case.segments, case.scan, path)
    readers = (partial(read_seg_nrrd_with_simpleitk, path), partial(read_seg_nrrd_with_pynrrd, path))
    return (WrittenFile(path=path, readers=readers, checks=(seg_nrrd_check(case, path),)),)


def _write_structures(case: DeliveredCase, folder: Path, made: Made) -> Made:
    from medseg.delivery.label_files import write_label_masks, write_label_sidecar

    place = folder / "structures"
    names = write_label_masks(case.labels, case.segments, case.scan, place)
    files = [_structure_file(case, place / names[segment.number], segment) for segment in case.segments]
    index = place / "structures.json"
    write_label_sidecar(case.segments, index, mask=f"{case.case_id}.nii.gz", algorithm=case.algorithm, files=names)
    check = sidecar_check(case, index, mask=f"{case.case_id}.nii.gz", files=names)
    return (*files, WrittenFile(path=index, checks=(check,)))


def _structure_file(case: DeliveredCase, path: Path, segment: Segment) -> WrittenFile:
    """A mask in which a structure is 1, read back by two libraries."""
    from medseg.scans import read_nifti_with_nibabel, read_nifti_with_simpleitk

    alone = (replace(segment, values=(1,)),)
    readers = (partial(read_nifti_with_nibabel, path, alone), partial(read_nifti_with_simpleitk, path, alone))
    structures = frozenset({segment.number})
    return WrittenFile(path=path, readers=readers, structures=structures, checks=(header_check(case, path),))


def _write_seg(case: DeliveredCase, folder: Path, made: Made, *, kind: Literal["labelmap", "binary"]) -> Made:
    from medseg.scans.dicom import read_seg_with_dcmqi, read_seg_with_highdicom, write_seg

    path = folder / (f"{case.case_id}.seg.dcm" if kind == "labelmap" else f"{case.case_id}.binary.seg.dcm")
    write_seg(case.labels, case.segments, case.scan, path, kind=kind, algorithm=case.algorithm)
    readers = (partial(read_seg_with_highdicom, path), partial(read_seg_with_dcmqi, path))
    checks = (identity_check(case, path), seg_check(case, path, kind))
    return (WrittenFile(path=path, readers=readers, checks=checks),)


def _write_rtstruct(case: DeliveredCase, folder: Path, made: Made) -> Made:
    from medseg.scans.dicom import (
        quiet_dicom,
        read_rtstruct_independently,
        read_rtstruct_with_medseg,
        write_rtstruct,
    )

    path = folder / f"{case.case_id}.rtstruct.dcm"
    with quiet_dicom():
        write_rtstruct(case.labels, case.segments, case.scan, path, algorithm=case.algorithm)
    readers = (
        partial(read_rtstruct_with_medseg, path, case.scan),
        partial(read_rtstruct_independently, path, case.scan),
    )
    checks = (identity_check(case, path), rtstruct_check(case, path))
    return (WrittenFile(path=path, readers=readers, least_dice=LEAST_DICE_OF_CONTOURS, checks=checks),)


def _write_measurements(case: DeliveredCase, folder: Path, made: Made) -> Made:
    from medseg.delivery.measurements import write_measurements_csv

    path = folder / MEASUREMENTS_NAME
    write_measurements_csv(case.measurements, path)
    return (WrittenFile(path=path, checks=(table_check(path),)),)


def _write_report(case: DeliveredCase, folder: Path, made: Made) -> Made:
    from medseg.scans.dicom import write_measurement_report

    seg = next((file.path for file in made if file.path.name.endswith(".seg.dcm")), None)
    if seg is None:
        raise DeliveryError(
            "the report of measurements must refer to a DICOM SEG, got none", remedy="deliver the form seg too"
        )
    path = folder / f"{case.case_id}.sr.dcm"
    write_measurement_report(case.measurements, case.segments, case.scan, seg, path, algorithm=case.algorithm)
    return (WrittenFile(path=path, checks=(identity_check(case, path), *report_checks(case, path, seg))),)


def _write_probabilities(case: DeliveredCase, folder: Path, made: Made) -> Made:
    """Copy the maps that the prediction wrote."""
    if not case.maps.is_dir():
        raise DeliveryError(
            "probability maps must be written by the prediction, got none",
            remedy="predict with probabilities into another folder, or leave the form out",
        )
    place = folder / case.maps.parent.name
    shutil.copytree(case.maps, place)
    return tuple(WrittenFile(path=path, checks=(map_check(case, path),)) for path in sorted(place.iterdir()))


FORMS: dict[str, Form] = {
    "nifti": Form(words="NIfTI mask and label files", write=_write_nifti, is_default=True),
    "seg-nrrd": Form(words="3D Slicer segmentation", write=_write_seg_nrrd, needs="volume", is_default=True),
    "structures": Form(words="a NIfTI mask of each structure", write=_write_structures, needs="volume"),
    "probabilities": Form(words="a map of the probability of each structure", write=_write_probabilities),
    "seg": Form(words="DICOM SEG", write=partial(_write_seg, kind="labelmap"), needs="dicom", is_default=True),
    "seg-binary": Form(words="binary DICOM SEG", write=partial(_write_seg, kind="binary"), needs="dicom"),
    "rtstruct": Form(words="DICOM RTSTRUCT", write=_write_rtstruct, needs="dicom"),
    "csv": Form(words="table of measurements", write=_write_measurements, is_default=True),
    REPORT: Form(words="DICOM SR of measurements", write=_write_report, needs="dicom"),
    PAGE: Form(words="page for people", write=None, is_default=True),
}
