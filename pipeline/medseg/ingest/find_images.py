"""All images of a source, DICOM series and files, and the choice of those that go into one dataset."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from medseg.cohort import ThreadExecutor, map_in_order
from medseg.ingest.channel_vote import most_common_channels
from medseg.ingest.context import IngestOptions
from medseg.ingest.image_source import ImageSource, file_image, series_image
from medseg.ingest.patient_name import PatientName, patient_names
from medseg.ingest.patients_from import with_patients_from
from medseg.ingest.refusal import Refusal
from medseg.ingest.walk import Source
from medseg.scans.dicom import SeriesRules, find_series

_UNSURE_ENDS = "a file beside its own cannot be read; it may have been a slice at one of its ends"


def find_images(files: Source, scans: Sequence[Path], root: Path, options: IngestOptions) -> list[ImageSource]:
    """Sort the slices of a source into series, and name the patient of every series and file.

    Args:
        files: Files of the source.
        scans: Scan files that are neither DICOM nor masks.
        root: Source folder.
        options: Settings of the ingest.
    """
    rules = SeriesRules(options.min_slices, "orientations" in options.repair)
    series = find_series_images(files, rules, repair=options.repair)
    masks = {*files.volumes, *files.pictures} - set(scans)
    patient_of = patient_names(scans, root, _patients_below(series), masks=masks)
    threads = ThreadExecutor(options.workers)
    of_files = map_in_order(threads, lambda path: file_image(path, root, patient_of[path]), scans)
    images = with_patients_from([*series, *of_files], options.patients_from, root)
    return _one_kind(images, options.kind)


def find_series_images(files: Source, rules: SeriesRules, *, repair: frozenset[str]) -> list[ImageSource]:
    """The volumes and pictures of all DICOM series of a source.

    Args:
        files: Files of the source.
        rules: Rules for volumes.
        repair: Problems of series that are repaired instead of refused.
    """
    series = [series_image(found, repair=repair) for found in find_series(files.instances, rules)]
    return _doubtful(series, {one.path.parent for one in files.unreadable})


def _patients_below(images: Sequence[ImageSource]) -> dict[Path, set[PatientName]]:
    """The patients of the DICOM series below each folder."""
    patients: dict[Path, set[PatientName]] = defaultdict(set)
    for image in images:
        for folder in (image.folder, *image.folder.parents):
            patients[folder].add(PatientName(image.patient, False, image.has_patient_id))
    return patients


def _doubtful(images: Sequence[ImageSource], damaged: set[Path]) -> list[ImageSource]:
    """The images, with a note where a file beside theirs is damaged: it may have been their first or last slice."""
    return [
        replace(image, notes=(*image.notes, _UNSURE_ENDS)) if {path.parent for path in image.files} & damaged else image
        for image in images
    ]


def _one_kind(images: Sequence[ImageSource], kind: Literal["volumes", "pictures"] | None) -> list[ImageSource]:
    """Set aside images that do not fit into one dataset: pictures beside volumes, colour beside grey."""
    usable = [image for image in images if not image.refusal]
    wants_pictures = kind == "pictures" if kind else all(image.is_picture for image in usable)
    channels = most_common_channels(image for image in usable if image.is_picture == wants_pictures)
    return [_aside(image, wants_pictures, channels) for image in images]


def _aside(image: ImageSource, wants_pictures: bool, channels: int) -> ImageSource:
    if image.refusal:
        return image
    if image.is_picture != wants_pictures:
        remedy = f"ingest these and their masks apart, with the kind {'pictures' if image.is_picture else 'volumes'}"
        refusal = Refusal("other_kind", "a dataset must hold volumes or pictures, got both", remedy)
    elif image.channels != channels:
        fact = f"images of a dataset must have the same channels ({channels}), got {image.channels}"
        refusal = Refusal("other_channels", fact, "ingest them apart")
    else:
        return image
    return replace(image, refusal=refusal)
