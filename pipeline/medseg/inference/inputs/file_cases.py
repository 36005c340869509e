"""Cases of NIfTI, NRRD, MetaImage and picture files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from medseg.errors import ScanError
from medseg.inference.inputs.draft import Draft
from medseg.inference.inputs.given_files import GivenFiles
from medseg.inference.mask_folder import MAPS
from medseg.inference.mask_page.picture import PICTURES
from medseg.inference.record import RECORD_NAME
from medseg.inference.source_record import SourceRecord
from medseg.ingest.name_tokens import masks_and_images
from medseg.manifest.case_names import safe_name
from medseg.scans import is_picture_file, scan_stem

MASK = "a mask by its name or that of its folder; give the file itself if it is a scan"
DRAWN = "it lies among the masks of an earlier prediction"
_CHANNEL = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")


def scans_and_masks(
    files: Sequence[Path], given: GivenFiles, *, has_studies: bool
) -> tuple[list[Path], dict[Path, str]]:
    """The files that are scans, and the reasons why others are none.

    A file that was given itself is a scan, and so are all files where no case would be left.

    Args:
        files: Scan files.
        given: Paths that they were found by.
        has_studies: Whether there are cases of DICOM, too.
    """
    found = [path for path in files if path not in given.named]
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in found:
        by_folder[given.folder_of(path)].append(path)
    masks = {path: MASK for folder, members in by_folder.items() for path in masks_and_images(members, folder)[0]}
    drawn = {parent for parent in {path.parent for path in found} if _is_result(parent, given)}
    masks |= {path: DRAWN for path in found if path.parent in drawn}
    if len(masks) == len(files) and not has_studies:
        return list(files), {}
    return [path for path in files if path not in masks], masks


def file_drafts(files: Sequence[Path], given: GivenFiles, channels: int) -> list[Draft]:
    """A case of each file; of several channels, files `case_0000`, `case_0001`, … of a folder are one case.

    A picture `case_0000` alone is a case, too, whose colours are the channels.

    Args:
        files: Scan files.
        given: Paths that they were found by.
        channels: Number of channels that the network takes.
    """
    groups: dict[tuple[Path, str], dict[int, list[Path]]] = defaultdict(lambda: defaultdict(list))
    drafts = []
    for path in files:
        match = _CHANNEL.match(scan_stem(path)) if channels > 1 else None
        if match is None:
            drafts.append(_draft([path], scan_stem(path), given))
        else:
            groups[path.parent, match["case"]][int(match["channel"])].append(path)
    return drafts + [_of_channels(name, group, given, channels) for (_, name), group in groups.items()]


def _is_result(folder: Path, given: GivenFiles) -> bool:
    places = [folder]
    if folder.name == PICTURES:
        places.append(folder.parent)
    if folder.parent.name == MAPS:
        places.append(folder.parent.parent)
    return folder not in given.paths and any((place / RECORD_NAME).is_file() for place in places)


def _of_channels(name: str, group: dict[int, list[Path]], given: GivenFiles, channels: int) -> Draft:
    files = [path for number in sorted(group) for path in group[number]]
    numbers = sorted(number for number, paths in group.items() for _ in paths)
    is_one_picture = numbers == [0] and is_picture_file(files[0])  # of colours, as nnU-Net stores them
    if is_one_picture or numbers == list(range(channels)):
        return _draft(files, name, given)
    error = ScanError(
        f"channel files must be numbered 0000 to {channels - 1:04d}, got {numbers}",
        remedy="add the missing ones or take the others away",
    )
    return _draft(files, name, given, error=error)


def _draft(files: Sequence[Path], name: str, given: GivenFiles, *, error: ScanError | None = None) -> Draft:
    first = files[0]
    key = "\n".join(str(path.absolute()) for path in files)
    source = SourceRecord(kind="files", files=tuple(map(str, files)))
    return Draft(_names(first, name, given), tuple(files), given.place(first), key, key, source, error=error)


def _names(path: Path, name: str, given: GivenFiles) -> tuple[str, ...]:
    """Names of a case from its file: the file's own, with its folders, with the given folder, with its ending."""
    folder = given.folder_of(path)
    inside = PurePosixPath(path.relative_to(folder).as_posix()).parent.parts
    longer = "_".join((*inside, name))
    exact = "_".join(part for part in (folder.absolute().name, longer) if part)
    ending = path.name[len(scan_stem(path)) :].replace(".", "_")
    return tuple(dict.fromkeys(map(safe_name, (name, longer, exact, f"{longer}{ending}", f"{exact}{ending}"))))
