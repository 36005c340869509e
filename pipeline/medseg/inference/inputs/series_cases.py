"""Cases of DICOM studies: the series of each that the network takes, through the reader of ingest."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from medseg.errors import ScanError
from medseg.inference.inputs.case_input import InputChoice, PassedOver
from medseg.inference.inputs.draft import Draft
from medseg.inference.inputs.fitting_series import is_chosen, is_part_of_uid, number_of, pick_series
from medseg.inference.inputs.given_files import GivenFiles
from medseg.inference.inputs.series_record import series_record
from medseg.inference.source_record import SourceRecord
from medseg.ingest.find_images import find_series_images
from medseg.ingest.image_source import ImageSource
from medseg.ingest.key import safe_id
from medseg.ingest.patient_name import patient_folder
from medseg.ingest.walk import Source
from medseg.scans.dicom import LABEL_CLASSES, SeriesRules

COPY = "a copy of another file of its series, or a damaged one beside a whole one"
LABEL = "a label object, and no scan"
NOT_CHOSEN = "its study has none of the series that were chosen"
OTHER = "another series of its study is taken"


@dataclass(frozen=True, slots=True)
class Studies:
    """What the DICOM files of the inputs are.

    Attributes:
        drafts: Cases, and studies that make none.
        passed_over: Series and label objects that are in no case.
    """

    drafts: tuple[Draft, ...]
    passed_over: tuple[PassedOver, ...]


def find_studies(files: Source, given: GivenFiles, channels: Sequence[str], choice: InputChoice) -> Studies:
    """A case of every study: of each folder that was given, for a network of one channel.

    Args:
        files: Files of the inputs.
        given: Paths that they were found by.
        channels: Names of the channels that the network takes.
        choice: Choices of the user, the wanted series among them.
    """
    images = find_series_images(files, SeriesRules(), repair=frozenset())
    passed = [_passed(one.path, LABEL, (one.path,), given) for one in files.instances if one.sop_class in LABEL_CLASSES]
    for image in images:
        passed += [_passed(one.path, COPY, (one.path,), given) for one in image.known_series().left_out]
    drafts = []
    groups = _by_study(images, given, is_single=len(channels) == 1)
    elsewhere = {one for one in choice.series if is_part_of_uid(one) and any(_has(group, one) for group in groups)}
    for group in groups:
        usable = [image for image in group if not image.is_aside]
        if usable and elsewhere and not any(_has(group, one) for one in choice.series):
            passed += [_of_image(image, NOT_CHOSEN, given) for image in group]
            continue
        draft = _draft(usable, group, given, channels, choice) if usable else None
        taken = set(draft.files) if draft else set[Path]()
        passed += [_of_image(one, _why(one), given) for one in group if not taken.issuperset(one.files)]
        drafts += [draft] if draft else []
    return Studies(tuple(drafts), tuple(passed))


def _by_study(images: Iterable[ImageSource], given: GivenFiles, *, is_single: bool) -> list[list[ImageSource]]:
    """Series by patient and study, and by the given folder and what only folders tell apart."""
    groups: dict[tuple[object, ...], list[ImageSource]] = defaultdict(list)
    for image in images:
        first = image.files[0]
        scope = given.number(first) if is_single and first not in given.named else -1
        folder = image.folder if "folder" in image.known_series().told_apart_by else None
        groups[scope, image.patient, image.study, folder].append(image)
    return list(groups.values())


def _has(group: Sequence[ImageSource], chosen: str) -> bool:
    return any(is_chosen(image, chosen, group) for image in group)


def _draft(
    usable: Sequence[ImageSource],
    group: Sequence[ImageSource],
    given: GivenFiles,
    channels: Sequence[str],
    choice: InputChoice,
) -> Draft:
    """The case of a study, or the reason why it is none."""
    error: ScanError | None = None
    picked: tuple[ImageSource, ...] = ()
    try:
        picked = pick_series(usable, channels, choice.series, is_private=choice.pseudonyms is not None)
    except ScanError as raised:
        error = raised
    series = picked or tuple(usable)
    first = series[0]
    return Draft(
        names=_names(series, group, given, is_picked=bool(picked)),
        files=tuple(dict.fromkeys(path for image in series for path in image.files)),
        place=given.place(min(path for image in series for path in image.files)),
        key="\n".join((first.patient, *(image.key for image in series))),
        patient=first.patient,
        has_patient_id=first.has_patient_id,
        source=SourceRecord(kind="dicom", series=tuple(series_record(one.known_series()) for one in series)),
        series=picked,
        error=error,
        notes=tuple(note for image in picked for note in image.notes),
    )


def _names(
    series: Sequence[ImageSource], group: Sequence[ImageSource], given: GivenFiles, *, is_picked: bool
) -> tuple[str, ...]:
    """Names of a case: its patient's id, or its folder's; with the date, with the number, with the folder."""
    first = series[0]
    root = given.folder_of(first.files[0])
    below = [image.folder for image in group if root in (image.folder, *image.folder.parents)]
    inside = Path(os.path.commonpath(below)).relative_to(root)
    folder = PurePath(patient_folder(inside)).name if inside.parts else root.absolute().name
    number = number_of(first) if is_picked else ""
    parts = [_patient_id(first) or folder]
    names = [list(parts)]
    for more in (first.study_date, number, folder):
        parts += [more] if more else []
        names.append(list(parts))
    names.append([parts[0], root.absolute().name, *inside.parts])
    return tuple(dict.fromkeys("_".join(map(safe_id, one)) for one in names))


def _patient_id(image: ImageSource) -> str:
    """(0010,0020), or "" for none or several; a name in its place is never part of an id."""
    ids = {one.identity.patient_id for one in image.known_series().instances}
    return ids.pop() if len(ids) == 1 else ""


def _why(image: ImageSource) -> str:
    """Reason why a series of a study is not the one that is predicted."""
    first = image.known_series().first
    if not first.has_pixels:
        return f"no image, but {first.sop_class or 'an object of an unknown kind'}"
    return image.refusal.fact if image.refusal else OTHER


def _of_image(image: ImageSource, reason: str, given: GivenFiles) -> PassedOver:
    place = image.files[0] if len(image.files) == 1 else image.folder
    return _passed(place, reason, image.files, given)


def _passed(path: Path, reason: str, files: tuple[Path, ...], given: GivenFiles) -> PassedOver:
    return PassedOver(given.shown(path), reason, files)
