"""The patient of each image: by the id of its header, or by its folder, study or file where ids cannot be trusted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from medseg.ingest.image_source import ImageSource
from medseg.ingest.patient_name import is_generic, patient_of_file
from medseg.scans import scan_stem

PatientsFrom = Literal["id", "folder", "study", "file"]


def with_patients_from(images: Sequence[ImageSource], choice: PatientsFrom, root: Path) -> list[ImageSource]:
    """The images, with patients as they are chosen.

    Args:
        images: All images of a source.
        choice: `id` leaves the patients as they are; `folder` makes one of each folder below the deepest folder that
            holds all images; `study` makes one of each study UID, and of each folder of files that are no DICOM;
            `file` makes one of each name of a file that is no DICOM, apart from channel and modality, unless it holds
            nothing else.
        root: Source folder.
    """
    if choice == "id" or not images:
        return list(images)
    if choice == "study":
        return [replace(image, patient=f"study {image.study}", is_named_by_file=False) for image in images]
    if choice == "file":
        return [_of_file(image) for image in images]
    shared = _shared_folder(images)
    return [_of_folder(image, shared, root) for image in images]


def _of_file(image: ImageSource) -> ImageSource:
    """An image whose patient is its file's name; a series, and a file such as `ct.nii.gz`, keeps its patient."""
    stem = scan_stem(image.files[0])
    if image.found is not None or is_generic(stem):
        return image
    return replace(image, patient=patient_of_file(stem), is_named_by_file=True, has_patient_id=True)


def _shared_folder(images: Sequence[ImageSource]) -> Path:
    """The deepest folder that holds all images."""
    return Path(os.path.commonpath([image.folder for image in images]))


def _of_folder(image: ImageSource, shared: Path, root: Path) -> ImageSource:
    """An image whose patient is the folder below the shared one; a file in the shared folder keeps its patient."""
    inside = image.folder.relative_to(shared).parts
    if not inside:
        return image
    folder = (shared / inside[0]).relative_to(root).as_posix()
    return replace(image, patient=folder, is_named_by_file=False, has_patient_id=True)
