"""Facts of the files of a case: their checksums and headers."""

from __future__ import annotations

import hashlib
from pathlib import Path

from medseg.audit.facts import FileFacts
from medseg.audit.finding import Finding
from medseg.records import Case
from medseg.scans import pair_of, read_nifti_forms


def read_files(case: Case, root: Path) -> tuple[FileFacts, ...]:
    """Facts of the image files, then of the label, and last of those of raters."""
    names = [(name, False) for name in case.images] + [(name, True) for name in case.label_files]
    return tuple(_file(root, name, is_label=is_label) for name, is_label in names)


def read_quantity_files(case: Case, root: Path) -> tuple[FileFacts, ...]:
    """Facts of the files of the quantities; like labels, they are no channels."""
    return tuple(_file(root, name, is_label=True) for name in (case.quantities or {}).values())


def _file(root: Path, name: str, *, is_label: bool) -> FileFacts:
    forms = read_nifti_forms(root / name) if (root / name).is_file() else None
    return FileFacts(name, is_label, _sums(root, name), forms)


def check_sums(case: Case, files: tuple[FileFacts, ...]) -> list[Finding]:
    """Findings on files that differ from the manifest's checksums."""
    return [
        Finding(
            "checksum",
            "error",
            case.case_id,
            f"file {name} must have the manifest's SHA-256, got another",
            "copy it again, or find out who changed it",
        )
        for file in files
        for name, found in file.sha256.items()
        if (case.sha256 or {}).get(name, found) != found
    ]


def _sums(root: Path, name: str) -> dict[str, str]:
    sums = {}
    for path in pair_of(root / name):
        if path.is_file():
            with path.open("rb") as stream:
                sums[path.relative_to(root).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return sums
