"""Folders whose scan files became one patient, although their names may be those of several."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from medseg.ingest.image_source import ImageSource
from medseg.ingest.key import Pseudonyms
from medseg.ingest.patient_name import VISIT, is_generic, patient_of_file
from medseg.ingest.structure_name import normalised
from medseg.scans import scan_stem

_REMEDY = (
    "if they are several people, ingest again with files as patients (the option patients-from of medseg ingest), else "
    "they share a fold"
)
_NUMBER = re.compile(r"\d+")


def shared_folder_warnings(images: Sequence[ImageSource], names: Pseudonyms) -> list[str]:
    """A sentence on the folders that may hold several patients, with one of them by its pseudonym.

    The names of a folder's files may be those of patients if they count, such as `anna_1` and `anna_2`, or if all files
    of the source became one patient. Visits, modalities and names that hold the folder's own are of one patient.

    Args:
        images: All images of the source, with the patients that their names and folders give.
        names: Pseudonyms.
    """
    by_patient: dict[str, list[ImageSource]] = defaultdict(list)
    for image in images:
        if not image.is_aside:
            by_patient[image.patient].append(image)
    found = []
    for patient, members in by_patient.items():
        if any(one.found is not None or one.is_named_by_file for one in members):
            continue
        largest = max((_names_in(members, one.folder.name) for one in members), key=len)
        if len(largest) > 1 and (len(by_patient) == 1 or _count(largest)):
            found.append((len(largest), names.patient(patient, is_id=members[0].has_patient_id)))
    if not found:
        return []
    most, patient = max(found)
    fact = f"{len(found)} folder(s) of files became one patient each, though the files' names may be those of several"
    return [f"{fact}: patient {patient} has {most} names in one folder; {_REMEDY}"]


def _names_in(members: Sequence[ImageSource], folder: str) -> set[str]:
    """The names of the files of a folder that may be patients, apart from channel and modality."""
    stems = {patient_of_file(scan_stem(one.files[0])) for one in members if one.folder.name == folder}
    own = normalised(folder)
    return {stem for stem in stems if not (VISIT.fullmatch(stem) or is_generic(stem) or own in normalised(stem))}


def _count(names: Collection[str]) -> bool:
    """Whether two of the names differ in their numbers alone."""
    return max(Counter(_NUMBER.sub("#", name) for name in names if _NUMBER.search(name)).values(), default=0) > 1
