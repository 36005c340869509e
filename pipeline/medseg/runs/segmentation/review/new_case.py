"""A scan that was not in the data set yet, as a case of it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medseg.atomic import atomic_path
from medseg.errors import ManifestError
from medseg.inference.case_record import CaseRecord
from medseg.inference.inputs.find_source import SourcePlaces, find_source
from medseg.origin import ItkOrigin, NiftiOrigin, PictureOrigin
from medseg.records import Array, Case, Manifest, Scan
from medseg.scans import scan_stem, write_scan


def make_case(
    record: CaseRecord,
    manifest: Manifest,
    root: Path,
    *,
    folder: Path,
    patients: Mapping[str, str],
    places: SourcePlaces,
) -> Case:
    """A case for a scan that a person decided on, without its label.

    The scan stays where it is if it lies below the data root, else it is written into `folder`, as it is under
    pseudonyms, whose data set names no file of theirs. Part and fold are those of its patient; a new patient joins the
    fold with the fewest cases.

    Args:
        record: Record of the case's mask.
        manifest: Data set that it joins.
        root: Data root.
        folder: Folder below the data root for scans from elsewhere.
        patients: Patient of each case by its id.
        places: Where the scans are looked for.

    Raises:
        ManifestError: If its patient is not known, or it has other channels than the data set.
        ScanError: If the scan is not found or has changed.
    """
    patient = _patient(record.case_id, manifest, patients)
    scan = find_source(record, places)
    if len(scan.array) != len(manifest.channels):
        raise ManifestError(
            f"its scan must have the {len(manifest.channels)} channels of the data set, got {len(scan.array)}",
            remedy="add the case to the data set with medseg ingest first",
            case_id=record.case_id,
        )
    image = _image(scan, record.case_id, root, folder, is_private=places.pseudonyms is not None)
    relatives = [case for case in manifest.cases if case.patient_id == patient]
    split = relatives[0].split if relatives else "training"
    fold = relatives[0].fold if relatives else _smallest_fold(manifest)
    return Case(case_id=record.case_id, patient_id=patient, images=(image,), split=split, fold=fold)


def _patient(case_id: str, manifest: Manifest, patients: Mapping[str, str]) -> str:
    if case_id in patients:
        return patients[case_id]
    if not manifest.has_patients:
        return case_id
    raise ManifestError(
        "its patient must be known to add it to the data set, got a case that is in no table",
        remedy="give a table of patients with a line for it, or the private table of the prediction",
        case_id=case_id,
    )


def _smallest_fold(manifest: Manifest) -> int | None:
    """The fold with the fewest cases, the first of equals; None where there are no folds."""
    sizes = Counter(case.fold for case in manifest.select("training") if case.fold is not None)
    return min(sorted(sizes), key=sizes.__getitem__) if sizes else None


def _image(scan: Scan, case_id: str, root: Path, folder: Path, *, is_private: bool) -> str:
    """Path of the scan relative to the data root; it is written there if need be, as where its name is private."""
    origin = scan.origin
    file = origin.file.resolve() if isinstance(origin, NiftiOrigin | ItkOrigin | PictureOrigin) else None
    is_below = file is not None and file.is_relative_to(root.resolve())
    if file is not None and is_below and not is_private and len(scan.array) == 1:
        return file.relative_to(root.resolve()).as_posix()
    if isinstance(origin, PictureOrigin) and file is not None:
        path = folder / f"{case_id}{file.name[len(scan_stem(file)) :]}"
        with atomic_path(path) as temporary:
            shutil.copyfile(file, temporary)
    else:
        path = folder / f"{case_id}.nii.gz"
        write_scan(_small(scan.array), scan.geometry, path)
    return path.relative_to(root).as_posix()


def _small(array: Array) -> Array:
    """Whole numbers in 16 bits, where they fit."""
    is_whole = np.array_equal(array, np.rint(array)) and abs(array).max(initial=0) <= np.iinfo(np.int16).max
    return array.astype(np.int16) if is_whole else array
