"""Words in file names that distinguish images from masks and one patient from another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from medseg.ingest.structure_name import normalised
from medseg.scans import scan_stem

_MASK_WORDS = frozenset(
    [
        "mask", "masks", "seg", "segs", "segmentation", "segmentations", "label", "labels", "labelmap",
        "labelmaps", "gt", "roi", "rois", "annotation", "annotations", "contour", "contours", "delineation",
        "instance", "instances",
    ]
)  # fmt: skip
_IMAGE_WORDS = frozenset(
    [
        "image", "images", "img", "imgs", "scan", "scans", "volume", "volumes", "data", "tr", "ts", "train",
        "test", "nifti", "nii",
    ]
)  # fmt: skip
ROLE_WORDS = _MASK_WORDS | _IMAGE_WORDS


def name_tokens(name: str) -> frozenset[str]:
    """The words of a name without those for a kind of file, such as `mask`."""
    return frozenset(normalised(name).split("_")) - ROLE_WORDS - {""}


def masks_and_images(paths: Sequence[Path], root: Path) -> tuple[list[Path], list[Path]]:
    """Sort scan files into masks and images by their names and those of their folders.

    Args:
        paths: Scan files.
        root: Source folder; its own name is ignored.
    """
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in paths:
        by_folder[path.parent].append(path)
    masks = {path for folder, members in by_folder.items() for path in _masks_in(folder, members, root)}
    return [path for path in paths if path in masks], [path for path in paths if path not in masks]


def _masks_in(folder: Path, members: list[Path], root: Path) -> list[Path]:
    """The masks of a folder: its files with a mask word in their name, or all files of a folder named for masks."""
    own = [path for path in members if _MASK_WORDS & _words(scan_stem(path))]
    parts = folder.relative_to(root).parts
    is_mask_folder = bool(parts) and bool(_MASK_WORDS & _words(parts[-1]))
    is_below_masks = any(is_role_folder(part) and _MASK_WORDS & _words(part) for part in parts)
    if not (is_mask_folder or is_below_masks):
        return own
    if not own or is_role_folder(parts[-1]):
        return [path for path in members if not (own and _IMAGE_WORDS & _words(scan_stem(path)))]
    return own


def _words(name: str) -> set[str]:
    return set(normalised(name).split("_"))


def is_role_folder(name: str) -> bool:
    """Whether a folder is named for its content, such as `images` or `labelsTr`, and not for a patient."""
    words = _words(name)
    return bool(words) and words <= ROLE_WORDS
