"""What the page of a case says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from medseg.delivery.certificate.contents import Expected, Number
from medseg.delivery.certificate.measured_again import MeasuredAgain
from medseg.scans.statements import Key, Statements
from medseg.text import printable

_ROUNDED = 6e-4  # relative, of four digits
_A4 = "210 x 297 mm"
_MM = 25.4 / 72  # of a point
_LONGEST = 25  # letters of a name that stand on the page in any case
_NUMBER = r"(\d[\d.,]*(?:e[+-]?\d+)?)"
_NOT_CERTIFIED = "NOT CERTIFIED"


def expected_page(measured: MeasuredAgain, *, case_id: str, mask_sha256: str, is_passed: bool) -> Expected:
    """What the page must say, by the mask that was read back.

    Args:
        measured: Measurements of that mask.
        case_id: Id of the case.
        mask_sha256: SHA-256 of the mask's file, whose first digits stand on the page.
        is_passed: Whether the other files passed their checks.
    """
    said: dict[Key, str | Number] = {
        ("page", "number of pages"): Number(1, 0),
        ("page", "size"): _A4,
        ("page", "title"): case_id,
        ("page", "checksum of the mask"): mask_sha256[:12],
        ("page", "notice that it is not certified"): "no" if is_passed else "yes",
    }
    if _is_plain(case_id):
        said["page", "id of the case"] = case_id
    for row in measured.structures:
        if row.voxels and _is_plain(row.name):
            near = measured.near_volume(row.volume_ml, share=_ROUNDED)
            said[f"structure {row.number}", "volume in ml"] = near
    return said


def read_page(path: Path, *, case_id: str, mask_sha256: str, names: Sequence[tuple[int, str]]) -> Statements:
    """Read the page with pypdf.

    Args:
        path: File of the page.
        case_id: Id that is looked for in its text.
        mask_sha256: Checksum whose first digits are looked for.
        names: Numbers and names of the structures with voxels, in their order, whose volumes are looked for.

    Raises:
        ValueError: If the file is damaged.
    """
    import pypdf

    try:
        document = pypdf.PdfReader(path, strict=True)
        text = document.pages[0].extract_text()
        width, height = (float(size) * _MM for size in document.pages[0].mediabox[2:])
        title = document.metadata.title if document.metadata else None
        pages = len(document.pages)
    except Exception as error:  # pypdf lets errors of many kinds through on damaged files
        raise ValueError("a page must be a whole PDF, got damage") from error
    said: dict[Key, str | float] = {
        ("page", "number of pages"): pages,
        ("page", "size"): f"{width:.0f} x {height:.0f} mm",
        ("page", "title"): title or "",
        ("page", "notice that it is not certified"): "yes" if _has(text, _NOT_CERTIFIED) else "no",
    }
    looked_for = {"id of the case": case_id if _is_plain(case_id) else "", "checksum of the mask": mask_sha256[:12]}
    said |= {("page", what): words for what, words in looked_for.items() if words and _has(text, words)}
    return Statements(library=f"pypdf {pypdf.__version__}", values=said | _volumes(text, names))


def _volumes(text: str, names: Sequence[tuple[int, str]]) -> dict[Key, str | float]:
    """The volume behind each name, name after name."""
    said: dict[Key, str | float] = {}
    head = re.search(r"structure\s+volume", text)  # what stands above the table may name structures, too
    place = head.end() if head else 0
    for number, name in names:
        if not _is_plain(name):
            continue
        rest = "" if len(name) <= _LONGEST else r"[^\n]*?"
        found = re.compile(rf"{_spaced(name[:_LONGEST])}{rest}\s*{_NUMBER}\s*ml").search(text, place)
        if found is not None:
            said[f"structure {number}", "volume in ml"] = found[1].replace(",", "")
            place = found.end()
    return said


def _has(text: str, words: str) -> bool:
    return re.search(_spaced(words), text) is not None


def _spaced(words: str) -> str:
    """Pattern of words, between whose letters a reader of PDF may find spaces."""
    return r"\s*".join(re.escape(letter) for letter in printable(words) if not letter.isspace())


def _is_plain(words: str) -> bool:
    """Whether a text can be read out of a PDF: fonts hold Latin letters, and others as drawings."""
    return words.isprintable() and all(ord(letter) < 0x100 for letter in words) and bool(words.strip())
