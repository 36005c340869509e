"""The name of a request's file: none of the client's choice leads anywhere, and the bytes tell its form."""

from __future__ import annotations

from pathlib import PurePosixPath

from medseg.manifest.case_names import safe_name
from medseg.scans import SCAN_SUFFIXES, scan_stem

FIRST_BYTES = 256
"""Bytes of a file that tell its form."""
ZIP = ".zip"
_DICOM_PREAMBLE = 128
_LONGEST_STEM = 60


def file_name(name: str, first: bytes) -> tuple[str, str]:
    """Stem and ending of the file to write.

    Args:
        name: Name that the client gives, whose ending counts where it is known; "" for none.
        first: First bytes of the file; those of a zip count more than the name.
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    known = next((one for one in (*SCAN_SUFFIXES, ".dcm", ZIP) if last.lower().endswith(one)), None)
    suffix = ZIP if first.startswith(b"PK\x03\x04") else known or _suffix_of(first)
    stem = scan_stem(PurePosixPath(last)) if known else last
    return safe_name(stem or "scan")[:_LONGEST_STEM], suffix


def _suffix_of(content: bytes) -> str:
    """The ending of bytes without a name: NIfTI, unless they say that they are something else."""
    if content[_DICOM_PREAMBLE : _DICOM_PREAMBLE + 4] == b"DICM":
        return ".dcm"
    if content.startswith(b"\x89PNG"):
        return ".png"
    if content.startswith(b"NRRD0"):
        return ".nrrd"
    return ".nii.gz" if content.startswith(b"\x1f\x8b") else ".nii"
