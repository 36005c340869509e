"""The scan that a mask was drawn on, found again and known to be unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from medseg.errors import ManifestError, ScanError
from medseg.inference.inputs.digest import files_digest, with_voxel_files
from medseg.inference.inputs.private_text import private_error, private_warnings
from medseg.inference.source_record import SeriesRecord, SourceRecord
from medseg.records import Scan
from medseg.scans import read_scan

_CHANGED = "predict again from the scan as it is now, or bring back the files that the mask was drawn on"


class Sourced(Protocol):
    """The record of a result that names what its case was read from."""

    @property
    def case_id(self) -> str:
        """Id of the case."""

    @property
    def source(self) -> SourceRecord | None:
        """What the case was read from; None in records of early versions."""


@dataclass(frozen=True, slots=True)
class SourcePlaces:
    """Where the sources of masks are looked for.

    Attributes:
        folders: Folders below which the recorded paths are looked for, after the paths as they were recorded.
        pseudonyms: Private table of the prediction; None where ids are no pseudonyms.
        sources: Sources by pseudonym, out of the table.
        key: Secret of the table's checksums; None where ids are no pseudonyms.
    """

    folders: tuple[Path, ...] = ()
    pseudonyms: Path | None = None
    sources: dict[str, SourceRecord] = field(default_factory=dict, repr=False)
    key: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, folders: Sequence[Path] = (), *, pseudonyms: Path | None = None) -> SourcePlaces:
        """The places of some folders and of a private table.

        Raises:
            ManifestError: If the table or its key is missing or damaged.
        """
        if pseudonyms is None:
            return cls(tuple(folders))
        from medseg.inference.inputs.pseudonym_table import load_pseudonym_table
        from medseg.ingest.key import load_key

        sources = load_pseudonym_table(pseudonyms)
        key = pseudonyms.with_name(f"{pseudonyms.name}.key")
        if not key.is_file():
            raise ManifestError(
                f"table of pseudonyms {pseudonyms.name}: must have its key {key.name} beside it, got none",
                remedy="put the key back beside the table, as the prediction wrote both",
            )
        return cls(tuple(folders), pseudonyms, sources, load_key(key))


def find_source(record: Sourced, places: SourcePlaces) -> Scan:
    """Read the scan that a mask was drawn on.

    Args:
        record: Record of the case in `predictions.json`.
        places: Where to look.

    Returns:
        The scan on its own grid, with its origin; of several DICOM series the first, whose grid the mask has.

    Raises:
        ScanError: If the scan is not found, or is not the one that the mask was drawn on.
    """
    source = places.sources.get(record.case_id) if places.pseudonyms else record.source
    if source is None or not (source.files or any(one.instances_sha256 for one in source.series)):
        raise _unknown(record, places)
    recorded = record.source.sha256 if record.source is not None else None
    if source.kind == "dicom":
        return _find_series(source.series, recorded, places, case_id=record.case_id)
    return _find_files(source.files, recorded, places, case_id=record.case_id)


def _unknown(record: Sourced, places: SourcePlaces) -> ScanError:
    if places.pseudonyms:
        return ScanError(
            "the private table must hold the case, got none of this id",
            remedy="give the table that this prediction wrote",
            case_id=record.case_id,
        )
    if record.source is not None and record.source.sha256 is not None:
        return ScanError(
            "the scan must be known, got a case under a pseudonym",
            remedy="give the private table that the prediction wrote, by the option pseudonyms",
            case_id=record.case_id,
        )
    return ScanError(
        "the record must name the scan, got one of an earlier version of medseg",
        remedy="predict again",
        case_id=record.case_id,
    )


def private_files(record: Sourced, places: SourcePlaces) -> tuple[Path, ...]:
    """All files whose names an error about the source of a case may hold, for ids that are pseudonyms."""
    source = places.sources.get(record.case_id)
    if source is None:
        return ()
    folders = {Path(folder) for one in source.series for found in _places_of(one, places) for folder in found}
    within = [path for folder in sorted(folders) if folder.is_dir() for path in (folder, *folder.iterdir())]
    return (*(file for files in _candidates(source.files, places) for file in files), *within)


def _find_files(names: Sequence[str], recorded: str | None, places: SourcePlaces, *, case_id: str) -> Scan:
    candidates = _candidates(names, places)
    if recorded is None:  # nothing else than its place tells the scan
        candidates = [tuple(root / name for name in names) for root in (Path(), *places.folders)]
    whole = [files for files in candidates if all(file.is_file() for file in files)]
    if not whole:
        raise ScanError(
            f"the scan must be where it was predicted from, got no file {names[0]} here or in the folders given",
            remedy="start in the folder of the prediction, or give the folder that holds the scan now",
            case_id=case_id,
        )
    for files in whole:
        if recorded in (None, files_digest(with_voxel_files(files), is_series=False, key=places.key)):
            return _read(files, places, case_id=case_id)
    raise _changed(names[0], case_id)


def _candidates(names: Sequence[str], places: SourcePlaces) -> list[tuple[Path, ...]]:
    """Where the files may be: as recorded, then below each folder by the longest part of their paths."""
    found = [tuple(root / name for name in names) for root in (Path(), *places.folders)]
    longest = max((len(Path(name).parts) for name in names), default=0)
    for root in places.folders:
        for folder in (root, *_folders_below(root)):
            found += [
                tuple(folder.joinpath(*Path(name).parts[-length:]) for name in names)
                for length in range(longest - 1, 0, -1)
            ]
    return list(dict.fromkeys(found))


def _read(files: Sequence[Path], places: SourcePlaces, *, case_id: str) -> Scan:
    if places.key is None:
        return read_scan(files, case_id=case_id)
    try:
        with private_warnings(files):
            return read_scan(files, case_id=case_id)
    except ScanError as error:
        raise private_error(error, files, case_id=case_id) from None  # its cause names the files


def _find_series(records: Sequence[SeriesRecord], recorded: str | None, places: SourcePlaces, *, case_id: str) -> Scan:
    """Read the first series of a case, from the first place where all of its series are as they were."""
    errors = []
    possible = list(zip(*(_places_of(record, places) for record in records), strict=True))
    existing = [one for one in possible if all(any(map(Path.is_dir, folders)) for folders in one)]
    for folders in existing or possible[:1]:
        moved = [
            record.model_copy(update={"folders": tuple(map(str, now))})
            for record, now in zip(records, folders, strict=True)
        ]
        try:
            return _read_series(moved, recorded, places, case_id=case_id)
        except ScanError as error:
            errors.append(error)
    raise ScanError(errors[0].fact, remedy=errors[0].remedy, case_id=case_id) from errors[0]


def _read_series(records: Sequence[SeriesRecord], recorded: str | None, places: SourcePlaces, *, case_id: str) -> Scan:
    from medseg.inference.inputs.series_record import find_source_series
    from medseg.scans.dicom import read_series, silence_dicom

    silence_dicom()
    series = [find_source_series(record) for record in records]
    files = tuple(dict.fromkeys(one.path for found in series for one in found.instances))
    if recorded is not None and files_digest(files, is_series=True, key=places.key) != recorded:
        raise _changed("series", case_id)
    return read_series(series[0]).scan


def _places_of(record: SeriesRecord, places: SourcePlaces) -> tuple[tuple[Path, ...], ...]:
    """Folders in which the files of a series may be now: as recorded, the same below those given, anywhere in these."""
    recorded = tuple(map(Path, record.folders))
    below = tuple(root / folder for root in places.folders for folder in recorded)
    anywhere = tuple(folder for root in places.folders for folder in (root, *_folders_below(root)))
    return recorded, below, anywhere


def _folders_below(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_dir())


def _changed(what: str, case_id: str) -> ScanError:
    return ScanError(
        f"the scan must be the one that the mask was drawn on, got {what} with other content",
        remedy=_CHANGED,
        case_id=case_id,
    )
