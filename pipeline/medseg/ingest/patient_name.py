"""The patient of a scan file, by the names of its folders or its own: one patient must not become two."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from medseg.ingest.name_tokens import is_role_folder, name_tokens
from medseg.ingest.structure_name import MODALITIES
from medseg.scans import scan_stem

_MOST_OF_ONE_PATIENT = 12
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+")  # https://bids-specification.readthedocs.io, entities
_VISIT = re.compile(
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
        patient: Name or id in the source's own words.
        is_by_file: Whether it was taken from the file's name, and not from its folder's.
        is_id: Whether it may stay as it is where ids are kept.
    """

    patient: str
    is_by_file: bool
    is_id: bool = True


def patient_names(
    paths: Sequence[Path], root: Path, known: Mapping[Path, set[PatientName]] | None = None
) -> dict[Path, PatientName]:
    """The patient of each scan file.

    A folder with few scans is a patient's; its parts for visits, dates and modalities are not. Where a folder holds
    many scans, or is named for what it holds, as `imagesTr`, each file is named for its patient, but for channel and
    modality.

    Args:
        paths: All scan files that are no masks.
        root: The source folder, whose own name says nothing.
        known: The patients of the DICOM files below each folder: a folder with those of one patient is that one's.
    """
    counts = Counter(path.parent for path in paths)
    repeated = _repeated_in_role_folders(paths)
    names = {}
    for path in paths:
        folder = path.parent.relative_to(root)
        is_shared = counts[path.parent] > _MOST_OF_ONE_PATIENT
        by_role = is_role_folder(folder.name) and path.parent not in repeated
        if folder == PurePath() or is_shared or by_role:
            names[path] = PatientName(_of_file(scan_stem(path)), True)
        else:
            patient = _of_folder(folder)
            inside = (known or {}).get(root / patient, set())
            names[path] = next(iter(inside)) if len(inside) == 1 else PatientName(patient, False)
    return names


def _repeated_in_role_folders(paths: Sequence[Path]) -> set[Path]:
    """Role folders such as `P1/images` with files that other patients' have too, such as `ct.nii.gz`."""
    holders: dict[str, set[Path]] = defaultdict(set)
    for path in paths:
        if is_role_folder(path.parent.name):
            holders[scan_stem(path)].add(path.parent.parent)
    return {
        path.parent for path in paths
        if is_role_folder(path.parent.name) and (len(holders[scan_stem(path)]) > 1 or _is_generic(scan_stem(path)))
    }  # fmt: skip


def _is_generic(stem: str) -> bool:
    return not name_tokens(stem) - MODALITIES


def _of_folder(folder: PurePath) -> str:
    """The path down to the last folder that is no visit, date, modality or role."""
    parts = list(folder.parts)
    for number, part in enumerate(parts):
        if _SUBJECT.fullmatch(part):
            return "/".join(parts[: number + 1])
    while len(parts) > 1 and (_VISIT.fullmatch(parts[-1]) or _is_generic(parts[-1])):
        parts.pop()
    return "/".join(parts)


def _of_file(stem: str) -> str:
    """The name without channel and modality at its end."""
    subject = _SUBJECT.match(stem)
    if subject:
        return subject.group()
    stem = CHANNEL.sub("", stem)
    while (last := _LAST_WORD.search(stem)) and _is_generic(last.group(1)):
        stem = stem[: last.start()]
    return stem
