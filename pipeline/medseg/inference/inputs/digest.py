"""The checksum of a case's files, by which an unchanged input is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from medseg.inference.inputs.case_input import CaseInput
from medseg.scans import voxel_files


def input_digest(case: CaseInput) -> str:
    """SHA-256 of the bytes that a case is read from; keyed where ids are pseudonyms.

    Args:
        case: Case to predict.

    Returns:
        Checksum of the only file; of several, such as channels, slices or a header and its voxels, that over their
        SHA-256 as lines of hexadecimal digits: in order for channels, sorted for the files of a DICOM series.

    Raises:
        OSError: If a file cannot be read, or one that a header names is missing.
    """
    files = case.files if case.series else with_named_files(case.files)
    return files_digest(files, is_series=bool(case.series), key=case.key)


def files_digest(files: Sequence[Path], *, is_series: bool, key: bytes | None) -> str:
    """The same of some files.

    Args:
        files: Files with everything that is read beside them.
        is_series: Whether they are those of DICOM series, whose order does not count.
        key: Secret under which the checksum is hashed; None where ids are not pseudonyms.

    Raises:
        OSError: If a file cannot be read.
    """
    sums = [_file_digest(path) for path in files]
    lines = sorted(sums) if is_series else sums
    digest = lines[0] if len(lines) == 1 else hashlib.sha256("".join(f"{one}\n" for one in lines).encode()).hexdigest()
    if key is None:
        return digest
    from medseg.ingest.key import Pseudonyms

    return Pseudonyms(key).seal(digest)


def with_voxel_files(files: Sequence[Path]) -> tuple[Path, ...]:
    """The files, each followed by the other files that it is read from, as far as they exist."""
    return tuple(one for path in files for one in (path, *filter(Path.is_file, voxel_files(path))))


def with_named_files(files: Sequence[Path]) -> tuple[Path, ...]:
    """The same with the files that a header names and that are missing."""
    return tuple(one for path in files for one in (path, *voxel_files(path)))


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
