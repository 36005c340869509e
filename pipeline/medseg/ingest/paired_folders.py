"""Folders of images whose masks lie under the same names in a folder beside them, whatever the folders are called."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from medseg.ingest.name_tokens import ROLE_WORDS, name_tokens
from medseg.ingest.structure_name import MODALITIES, normalised


def paired_folders(scans: Sequence[Path], masks: Collection[Path], name_of: Callable[[Path], str]) -> set[Path]:
    """Folders such as `Bilder`, beside `Masken`, which are named for their content and not for a patient.

    Each scan of such a folder has a mask of its own name in one folder beside it that holds masks alone. A folder may
    be a patient's, and is none of these, if it shares a word with the folder of its masks, such as `P1` with `P1_seg`,
    or if its scans have names such as `ct` or such as those of another folder beside it.

    Args:
        scans: All scan files that are not masks.
        masks: All mask files.
        name_of: Name of a scan file or mask file, apart from channel and modality.
    """
    scans_in, masks_in = _names_by_folder(scans, name_of), _names_by_folder(masks, name_of)
    beside: dict[Path, list[Path]] = defaultdict(list)
    for folder in masks_in:
        beside[folder.parent].append(folder)
    paired = {
        folder
        for folder, names in scans_in.items()
        if all(name_tokens(name) - MODALITIES for name in names)
        and any(_are_paired(folder, other, names, masks_in) for other in beside[folder.parent] if other not in scans_in)
    }
    holders = Counter((folder.parent, name) for folder, names in scans_in.items() for name in names)
    return {
        folder for folder in paired
        if _is_of_content(folder) or all(holders[folder.parent, name] == 1 for name in scans_in[folder])
    }  # fmt: skip


def _are_paired(folder: Path, other: Path, names: set[str], masks_in: dict[Path, set[str]]) -> bool:
    """Whether another folder holds a mask of each scan of a folder, and no name ties the two to a patient."""
    return names <= masks_in[other] and not _share_word(folder, other)


def _names_by_folder(paths: Collection[Path], name_of: Callable[[Path], str]) -> dict[Path, set[str]]:
    """Names of the files of each folder, without the words for a kind of file."""
    names: dict[Path, set[str]] = defaultdict(set)
    for path in paths:
        words = normalised(name_of(path)).split("_")
        names[path.parent].add("_".join(word for word in words if word not in ROLE_WORDS))
    return names


def _share_word(folder: Path, other: Path) -> bool:
    return not _is_of_content(folder) and bool(name_tokens(folder.name) & name_tokens(other.name))


def _is_of_content(folder: Path) -> bool:
    """Whether a folder's name holds nothing but words for a kind of file or a modality."""
    return not name_tokens(folder.name) - MODALITIES
