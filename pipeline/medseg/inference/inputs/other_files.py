"""Files of the inputs that are neither a scan nor part of one: damaged ones, and those that are passed over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath

from medseg.errors import ScanError
from medseg.inference.inputs.case_input import PassedOver
from medseg.inference.inputs.draft import Draft
from medseg.inference.inputs.given_files import GivenFiles
from medseg.inference.source_record import SourceRecord
from medseg.ingest.source_files import UnreadableFile
from medseg.ingest.walk import Source
from medseg.manifest.case_names import safe_name
from medseg.scans import SCAN_SUFFIXES

ARCHIVE = "an archive, which is not opened; unpack it"
EMPTY = "it is empty"
NO_SCAN = "its content and its ending are those of no scan"
UNACCOUNTED = "no reason is known; report this as a fault of medseg"
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst")
_DICOM_ENDINGS = (".dcm", ".dic", ".dicom", ".ima")
_COMPANIONS = (".json", ".txt", ".csv", ".tsv", ".md", ".bval", ".bvec", ".yaml", ".yml", ".xml", ".pdf", ".log")
_REMEDY = "give a scan, or the folder of its DICOM files"


def damaged_files(
    unreadable: Iterable[UnreadableFile], drafts: Sequence[Draft], given: GivenFiles
) -> tuple[list[Draft], list[PassedOver]]:
    """Files and folders that cannot be read: beside a case they are passed over, elsewhere their folder has failed.

    Args:
        unreadable: Files with reasons.
        drafts: Cases of the other files.
        given: Paths that they were found by.
    """
    beside = {path.parent for draft in drafts if draft.series and not draft.error for path in draft.files}
    lost: dict[Path, list[UnreadableFile]] = defaultdict(list)
    passed = []
    for one in unreadable:
        if _is_empty(one.path) and one.path not in given.named:
            passed.append(PassedOver(given.shown(one.path), EMPTY, (one.path,)))
        elif one.path.parent in beside:
            passed.append(PassedOver(given.shown(one.path), one.reason, (one.path,)))
        else:
            lost[one.path if one.path.is_dir() else one.path.parent].append(one)
    return [_lost(folder, files, given) for folder, files in lost.items()], passed


def no_scans(files: Iterable[Path], given: GivenFiles) -> list[Draft]:
    """Failures of files that were given themselves, but are no scans; texts and tables are passed over there, too."""
    drafts = []
    for path in files:
        if path in given.named and path.suffix.lower() not in _COMPANIONS:
            found = "an archive, which is not opened" if _is_archive(path) else "other content"
            error = ScanError(
                f"a file must be DICOM or end in one of {', '.join(SCAN_SUFFIXES)}, got {found}", remedy=_REMEDY
            )
            drafts.append(_failed(path, (path,), error, given))
    return drafts


def other_files(files: Source, given: GivenFiles, *, known: Collection[Path]) -> list[PassedOver]:
    """Everything that is passed over, with the reason.

    Args:
        files: Files of the inputs.
        given: Paths that they were found by.
        known: Files that are in a case, refused or passed over already.
    """
    passed = [one for one in files.passed_over if one.path not in known]
    others = [PassedOver(given.shown(one.path), one.reason, (one.path,)) for one in passed]
    ignored = [path for path in files.ignored if path not in known]
    others += [PassedOver(given.shown(p), ARCHIVE if _is_archive(p) else NO_SCAN, (p,)) for p in ignored]
    told = {*known, *ignored, *(one.path for one in files.passed_over)}
    rest = [path for path in given.listed.files if path not in told]
    return others + [PassedOver(given.shown(path), UNACCOUNTED, (path,)) for path in rest]


def _lost(folder: Path, files: Sequence[UnreadableFile], given: GivenFiles) -> Draft:
    reasons = list(dict.fromkeys(one.reason for one in files))
    name = files[0].path.name
    error = ScanError(
        f"file {name} must be readable, got: {reasons[0]}"
        if len(files) == 1
        else f"its files must be readable, got {len(files)} that cannot be read, such as {name}: {reasons[0]}"
    )
    return _failed(folder, tuple(one.path for one in files), error, given)


def _failed(path: Path, files: tuple[Path, ...], error: ScanError, given: GivenFiles) -> Draft:
    shown = PurePosixPath(given.shown(files[0]))
    parts = (shown if path == files[0] else shown.parent).parts
    names = tuple(map(safe_name, (path.absolute().name, "_".join(parts or (path.absolute().name,)))))
    key = str(path.absolute())
    source = SourceRecord(kind="files", files=tuple(map(str, files)))
    return Draft(names, files, given.place(files[0]), key, key, source, error=error)


def _is_empty(path: Path) -> bool:
    return path.suffix.lower() not in _DICOM_ENDINGS and path.is_file() and path.stat().st_size == 0


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() in _ARCHIVES
