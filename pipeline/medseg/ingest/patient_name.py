"""The patient of a scan file, by its own name or those of its folders: one patient must not become two."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from medseg.ingest.name_tokens import is_role_folder, name_tokens
from medseg.ingest.paired_folders import paired_folders
from medseg.ingest.structure_name import MODALITIES
from medseg.scans import scan_stem

_MOST_OF_ONE_PATIENT = 12
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+")  # https://bids-specification.readthedocs.io, entities
VISIT = re.compile(
    r"(ses|session|visit|visite|scan|exam|study|studie|series|serie|timepoint|tp|time|day|week|month|year|baseline|bl|"
    r"follow[ _-]?up|fu|pre|post|anat|func|dwi|fmap|perf|nifti|dicom|native|raw|data|images?|v|t)?[ _-]?\d{0,4}"
    r"|(19|20)\d\d[ ._-]?\d\d[ ._-]?\d\d",
    re.IGNORECASE,
)
CHANNEL = re.compile(r"_000\d$")  # of nnU-Net
_LAST_WORD = re.compile(r"[ _.-]+([A-Za-z0-9]+)$")


class PatientName(NamedTuple):
    """The patient of a file.

    Attributes:
        patient: Name or id as the source gives it.
        is_by_file: Whether it was taken from the name of the file, and not of its folder.
        is_id: Whether it is an id that may be kept, and not a name in place of one.
    """

    patient: str
    is_by_file: bool
    is_id: bool = True


def patient_names(
    paths: Sequence[Path],
    root: Path,
    known: Mapping[Path, set[PatientName]] | None = None,
    *,
    masks: Collection[Path] = (),
) -> dict[Path, PatientName]:
    """The patient of each scan file.

    A folder with few scans is named for a patient, apart from its subfolders for visits, dates and modalities. In a
    folder with many scans, or one named for its content such as `imagesTr`, each file is named for its patient, apart
    from channel and modality. A folder beside another that holds a mask of the same name for each of its scans is one
    of content, too, in whatever language it is named.

    Args:
        paths: All scan files that are not masks.
        root: Source folder; its own name is ignored.
        known: Patients of the DICOM files below each folder; if there is only one, the folder's other scans are of
            that patient too.
        masks: All mask files.
    """
    counts = Counter(path.parent for path in paths)
    paired = paired_folders(paths, masks, lambda path: patient_of_file(scan_stem(path)))
    roles = {folder for folder in counts if folder in paired or is_role_folder(folder.name)}
    repeated = _repeated_in_role_folders(paths, roles)
    names = {}
    for path in paths:
        folder = path.parent.relative_to(root)
        is_shared = counts[path.parent] > _MOST_OF_ONE_PATIENT
        by_role = path.parent in roles - repeated
        if folder == PurePath() or is_shared or by_role:
            names[path] = PatientName(patient_of_file(scan_stem(path)), True)
        else:
            patient = patient_folder(folder.parent if path.parent in paired and folder.parent.parts else folder)
            inside = (known or {}).get(root / patient, set())
            names[path] = next(iter(inside)) if len(inside) == 1 else PatientName(patient, False)
    return names


def _repeated_in_role_folders(paths: Sequence[Path], roles: Collection[Path]) -> set[Path]:
    """Role folders such as `P1/images` with file names that recur for other patients, such as `ct.nii.gz`."""
    holders: dict[str, set[Path]] = defaultdict(set)
    for path in paths:
        if path.parent in roles:
            holders[scan_stem(path)].add(path.parent.parent)
    return {
        path.parent for path in paths
        if path.parent in roles and (len(holders[scan_stem(path)]) > 1 or is_generic(scan_stem(path)))
    }  # fmt: skip


def is_generic(stem: str) -> bool:
    """Whether a name holds nothing but words for a kind of file or a modality."""
    return not name_tokens(stem) - MODALITIES


def patient_folder(folder: PurePath) -> str:
    """The path of a patient: down to the last folder that is not named for a visit, date, modality or role."""
    parts = list(folder.parts)
    for number, part in enumerate(parts):
        if _SUBJECT.fullmatch(part):
            return "/".join(parts[: number + 1])
    while len(parts) > 1 and (VISIT.fullmatch(parts[-1]) or is_generic(parts[-1])):
        parts.pop()
    return "/".join(parts)


def patient_of_file(stem: str) -> str:
    """The patient by the name of a file, which is that without a trailing channel and modality."""
    subject = _SUBJECT.match(stem)
    if subject:
        return subject.group()
    stem = CHANNEL.sub("", stem)
    while (last := _LAST_WORD.search(stem)) and is_generic(last.group(1)):
        stem = stem[: last.start()]
    return stem
