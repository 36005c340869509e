"""From a list of paths to the cases to predict."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import ManifestError, ScanError
from medseg.manifest import load_manifest, select_cases
from medseg.manifest.case_names import is_hidden
from medseg.records import Scan, Split
from medseg.scans import SCAN_SUFFIXES, is_picture_file, scan_stem

_log = logging.getLogger(__name__)
_CHANNEL = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")


@dataclass(frozen=True, slots=True)
class CaseInput:
    """A case to predict.

    Attributes:
        case_id: Name of the case.
        files: Files of its channels, in order.
    """

    case_id: str
    files: tuple[Path, ...]


def find_inputs(
    paths: Sequence[Path],
    *,
    channels: int,
    data_root: Path | None = None,
    fold: int | None = None,
    split: Split | None = None,
) -> list[CaseInput]:
    """Turn paths into cases.

    Args:
        paths: A manifest (or its folder), image files, or folders of image files, of which hidden ones are passed over.
            With more than one channel, files `case_0000`, `case_0001`, … are one case, and so is a picture
            `case_0000` alone, whose colours are the channels.
        channels: Number of channels that the model takes.
        data_root: Data root of a manifest.
        fold: Fold of a manifest to take the validation cases of; all cases if not given.
        split: Split of a manifest to take; all cases if not given.

    Raises:
        ManifestError: If a manifest cannot be read, or fold or split is given without one.
        ScanError: If a path does not exist, two files would make one mask, or nothing is found.
    """
    if len(paths) == 1 and (paths[0].suffix == ".json" or (paths[0] / "dataset.json").is_file()):
        return _from_manifest(paths[0], data_root=data_root, fold=fold, split=split)
    if fold is not None or split is not None:
        raise ManifestError(
            "fold and split need a manifest as the only input, got image files",
            remedy="leave them out, or give the manifest",
        )
    files = [file for path in paths for file in _files(path)]
    inputs = _grouped(files, channels) if channels > 1 else [CaseInput(scan_stem(file), (file,)) for file in files]
    names = [case.case_id for case in inputs]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ScanError(
            "file names must differ but for their ending, got it twice",
            remedy="predict them apart, each into a folder of its own",
            case_id=repeated[0],
        )
    if not inputs:
        fact = f"input must hold images ending in {', '.join(SCAN_SUFFIXES)}, got none"
        raise ScanError(fact, remedy="give the folder that holds them, of DICOM the data set of medseg ingest")
    return inputs


def check_channels(scan: Scan, channels: Sequence[str], *, case_id: str, owner: str = "model") -> None:
    """Refuse a scan with more or fewer channels than a network takes.

    Args:
        scan: Scan as it was read.
        channels: Names of the channels that the network takes.
        case_id: Case that the scan belongs to.
        owner: Name of the network in the message.

    Raises:
        ScanError: If their numbers differ.
    """
    if len(scan.array) != len(channels):
        raise ScanError(
            f"image must have the {owner}'s {len(channels)} channels ({', '.join(channels)}), got {len(scan.array)}",
            remedy="give the scan with these channels alone, in one file, or in files of one channel each, numbered "
            "from _0000 on",
            case_id=case_id,
        )


def warn_of_constant(scan: Scan, channels: Sequence[str], *, case_id: str) -> None:
    """Log the channels of a scan that hold one value everywhere, as where a missing sequence was filled in."""
    for name, channel in zip(channels, scan.array, strict=True):
        if channel.min() == channel.max():
            _log.warning("case %s: channel %s holds one value everywhere", case_id, name)


def _from_manifest(path: Path, *, data_root: Path | None, fold: int | None, split: Split | None) -> list[CaseInput]:
    manifest, root = load_manifest(path, data_root=data_root)
    cases = select_cases(manifest, fold=fold, split=split)
    return [CaseInput(case.case_id, tuple(root / name for name in case.images)) for case in cases]


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(
            file
            for file in path.iterdir()
            if file.name.lower().endswith(SCAN_SUFFIXES) and file.suffix != ".img" and not is_hidden(file.name)
        )
    if not path.exists():
        raise ScanError(f"input {path.name}: must exist, found nothing", remedy="check the path")
    return [path]


def _grouped(files: Sequence[Path], channels: int) -> list[CaseInput]:
    """Cases of files; those with a channel number are joined by folder and case, each other file is a case."""
    inputs = []
    groups: dict[tuple[Path, str], dict[int, Path]] = defaultdict(dict)
    for file in files:
        match = _CHANNEL.match(scan_stem(file))
        if match is None:
            inputs.append(CaseInput(scan_stem(file), (file,)))
        else:
            groups[file.parent, match["case"]][int(match["channel"])] = file
    for (_, case_id), group in groups.items():
        is_one_picture = list(group) == [0] and is_picture_file(group[0])  # of colours, as nnU-Net stores them
        if is_one_picture:
            inputs.append(CaseInput(case_id, (group[0],)))
            continue
        if sorted(group) != list(range(channels)):
            raise ScanError(
                f"channel files must be numbered 0000 to {channels - 1:04d}, got {sorted(group)}",
                remedy="add the missing ones or take the others away",
                case_id=case_id,
            )
        inputs.append(CaseInput(case_id, tuple(group[number] for number in range(channels))))
    return sorted(inputs, key=lambda case: case.case_id)
