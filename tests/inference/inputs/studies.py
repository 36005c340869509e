"""DICOM studies of made-up patients as inputs of a prediction, and the count of everything that goes in."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from medseg.inference import FoundInputs, InputChoice, find_inputs
from medseg.inference.inputs.digest import with_voxel_files
from medseg.inference.inputs.other_files import UNACCOUNTED
from pydicom.uid import EncapsulatedPDFStorage, SecondaryCaptureImageStorage, generate_uid

from tests.dicom_files import save, slice_dataset
from tests.grids import grid
from tests.ingest.sources import GRID, voxels, write_ct, write_rtstruct

SMALL = grid((8, 7, 2))


def find(*paths: Path, channels: tuple[str, ...] = ("CT",), **choice: Any) -> FoundInputs:
    """The inputs of some paths, each file of which must be in a case, passed over or refused."""
    found = find_inputs(paths, channels=channels, choice=InputChoice(**choice))
    check_conserved(found, *paths)
    return found


def check_conserved(found: FoundInputs, *paths: Path) -> None:
    """Every file below the paths is in one case, passed over or refused; links to folders are followed."""
    below = {file for path in paths for file in _files(path)}
    told = Counter(path for one in found.passed_over for path in one.files)
    told += Counter(path for one in found.refused for path in one.files)
    told += Counter(path for one in found.cases for path in with_voxel_files(one.files))
    assert {os.path.realpath(path) for path in told} >= {os.path.realpath(path) for path in below}
    assert all(count == 1 for count in told.values())
    assert UNACCOUNTED not in {one.reason for one in found.passed_over}
    ids = [one.case_id for one in (*found.cases, *found.refused)]
    assert len({name.casefold() for name in ids}) == len(ids)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [Path(parent) / name for parent, _, names in os.walk(path) for name in names]


def write_study(folder: Path, patient: str = "P1", **values: Any) -> None:
    """A study of a CT and a T1 on one grid, a localizer, a short scout, an RTSTRUCT, a report and a screen copy."""
    own = {
        "PatientID": patient,
        "StudyInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
        **values,
    }
    images = write_ct(folder / "CT", SeriesNumber=3, SeriesDescription="Abdomen venous", **own)
    write_ct(folder / "MR", seed=1, SeriesNumber=4, Modality="MR", SeriesDescription="T1 axial", **own)
    write_ct(folder / "loc", SMALL, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesNumber=1, **own)
    write_ct(folder / "scout", SMALL, seed=2, SeriesNumber=2, SeriesDescription="Topogram", **own)
    write_rtstruct({"liver": (2, 5, 2, 5, 1, 3)}, images, folder / "RS.dcm", PatientID=patient)
    copy = slice_dataset(voxels(SMALL)[:, :, 0].T, 1)
    other = slice_dataset(voxels(SMALL)[:, :, 0].T, 1)
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(other, keyword)
    for dataset, kind, modality in ((copy, SecondaryCaptureImageStorage, "CT"), (other, EncapsulatedPDFStorage, "DOC")):
        dataset.SOPClassUID, dataset.Modality, dataset.SeriesInstanceUID = kind, modality, generate_uid()
        for keyword, value in own.items():
            setattr(dataset, keyword, value)
    save(copy, folder / "copy.dcm")
    save(other, folder / "report.dcm")


__all__ = ["GRID", "check_conserved", "find", "write_study"]
