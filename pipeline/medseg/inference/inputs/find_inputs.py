"""From a list of paths to the cases to predict, and a word on everything that is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from medseg.errors import ManifestError, ScanError
from medseg.inference.inputs.case_input import CaseInput, FoundInputs, InputChoice, PassedOver
from medseg.inference.inputs.digest import with_voxel_files
from medseg.inference.inputs.draft import Draft
from medseg.inference.source_record import SeriesRecord, SourceRecord
from medseg.manifest import load_manifest, select_cases
from medseg.records import Case
from medseg.scans import SCAN_SUFFIXES

_MOST_TOLD = 3


def find_inputs(
    paths: Sequence[Path],
    *,
    channels: Sequence[str],
    choice: InputChoice | None = None,
    on_file: Callable[[int], None] = lambda count: None,
) -> FoundInputs:
    """Turn paths into cases.

    Folders are searched at any depth and through links. The files of a NIfTI, NRRD or MetaImage scan or a picture are a
    case; with more than one channel, files `case_0000`, `case_0001`, … of one folder are one case, and so is a picture
    `case_0000` alone, whose colours are the channels. A DICOM study is a case, too: that of the series, or of one
    series for each channel, that fits the names of the channels.

    Args:
        paths: A manifest (or its folder) alone, or files and folders of scans.
        channels: Names of the channels that the network takes.
        choice: Choices among the inputs.
        on_file: Called with the number of files read since the last call.

    Returns:
        Cases, refused cases and everything that was passed over; each file in one of them.

    Raises:
        ManifestError: If a manifest cannot be read or is given with other inputs, or a choice does not fit the inputs.
        ScanError: If a path does not exist, or nothing can be predicted.
    """
    choice = choice or InputChoice()
    if any(map(_holds_manifest, paths)) or (len(paths) == 1 and is_manifest(paths[0])):
        return _from_manifest(paths, choice)
    if choice.fold is not None or choice.split is not None:
        raise ManifestError(
            "fold and split need a manifest as the only input, got image files",
            remedy="leave them out, or give the manifest",
        )
    return _from_files(paths, channels, choice, on_file)


def is_manifest(path: Path) -> bool:
    """Whether a path, given alone, is a manifest or the folder of one."""
    return _holds_manifest(path) or path.suffix == ".json"


def _holds_manifest(path: Path) -> bool:
    return path.name == "dataset.json" or (path / "dataset.json").is_file()


def _from_manifest(paths: Sequence[Path], choice: InputChoice) -> FoundInputs:
    if len(paths) > 1:
        raise ManifestError(
            f"a manifest must be the only input, got {len(paths)} inputs",
            remedy="predict it apart from the others, into a folder of its own",
        )
    if choice.series or choice.pseudonyms:
        raise ManifestError(
            "a choice of series and pseudonyms are for scans, got a manifest, whose cases have their ids",
            remedy="leave them out, or give the scans themselves",
        )
    manifest, root = load_manifest(paths[0], data_root=choice.data_root)
    cases = select_cases(manifest, fold=choice.fold, split=choice.split)
    return FoundInputs(
        tuple(
            CaseInput(case.case_id, tuple(root / name for name in case.images), source=_source_of(case))
            for case in cases
        )
    )


def _source_of(case: Case) -> SourceRecord:
    """The record of a case of a manifest, with the UIDs that it gives, which may be pseudonyms."""
    known = case.study_uid or case.series_uid
    uids = SeriesRecord(
        modality=case.modality or "",
        sop_class="",
        instances=0,
        study_uid=case.study_uid or "",
        series_uid=case.series_uid or "",
    )
    return SourceRecord(kind="files", files=case.images, series=(uids,) if known else ())


def _from_files(
    paths: Sequence[Path], channels: Sequence[str], choice: InputChoice, on_file: Callable[[int], None]
) -> FoundInputs:
    from medseg.inference.inputs.file_cases import file_drafts, scans_and_masks
    from medseg.inference.inputs.given_files import holds_dicom, list_given, read_given
    from medseg.inference.inputs.named_cases import named_cases
    from medseg.inference.inputs.other_files import damaged_files, no_scans, other_files
    from medseg.inference.inputs.series_cases import find_studies
    from medseg.scans.dicom import silence_dicom

    given = list_given(paths, without=choice.out)
    if holds_dicom(given.listed.files):
        silence_dicom()
    files = read_given(given, on_file)
    studies = find_studies(files, given, channels, choice)
    scans, masks = scans_and_masks((*files.volumes, *files.pictures), given, has_studies=bool(studies.drafts))
    drafts = [*studies.drafts, *file_drafts(scans, given, len(channels))]
    failed, damaged = damaged_files(files.unreadable, drafts, given)
    drafts = sorted([*drafts, *failed, *no_scans(files.ignored, given)], key=lambda draft: draft.place)
    passed = [*studies.passed_over, *damaged, *(PassedOver(given.shown(p), why, (p,)) for p, why in masks.items())]
    known = {path for files_of in _files_of(drafts, passed) for path in with_voxel_files(files_of)}
    found = named_cases(drafts, [*passed, *other_files(files, given, known=known)], choice)
    if not found.cases:
        raise _nothing(found, len(given.listed.files))
    if choice.series and not files.instances:
        raise ManifestError("a choice of series is for DICOM, got none", remedy="leave the choice out")
    return found


def _files_of(drafts: Sequence[Draft], passed: Sequence[PassedOver]) -> list[tuple[Path, ...]]:
    return [*(draft.files for draft in drafts), *(one.files for one in passed)]


def _nothing(found: FoundInputs, files: int) -> ScanError:
    """The error of inputs without a case: of the only refused one, of several, or of files that are passed over."""
    if len(found.refused) == 1:
        (one,) = found.refused
        return ScanError(one.error.fact, remedy=one.error.remedy, case_id=one.case_id)
    if found.refused:
        told = "; ".join(f"case {one.case_id}: {one.error.statement}" for one in found.refused[:_MOST_TOLD])
        more = len(found.refused) - _MOST_TOLD
        return ScanError(
            f"one of {len(found.refused)} cases must be fit to be predicted, got none: {told}"
            + (f"; and {more} more" if more > 0 else "")
        )
    reasons = Counter(one.reason for one in found.passed_over)
    told = "".join(f"; {count} passed over: {reason}" for reason, count in reasons.most_common(_MOST_TOLD))
    return ScanError(
        f"input must hold DICOM or images ending in {', '.join(SCAN_SUFFIXES)}, got none in {files} file(s){told}",
        remedy="give the folder that holds them",
    )
