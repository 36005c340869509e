"""Words in file names that tell images from masks and one patient from another."""

from __future__ import annotations

from pipeline.manifest.ingest.structure_name import normalised

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


def name_tokens(name: str) -> frozenset[str]:
    """The words of a name, without those that say what kind of file it is."""
    return frozenset(normalised(name).split("_")) - _MASK_WORDS - _IMAGE_WORDS - {""}


def says_mask(stem: str, folder: str) -> bool:
    """Whether the name of a file or of its folder says that it is a mask."""
    return bool(_MASK_WORDS & set(normalised(stem).split("_")) or _MASK_WORDS & set(normalised(folder).split("_")))


def is_role_folder(name: str) -> bool:
    """Whether a folder is named for what it holds, as `images` or `labelsTr`, and not for a patient."""
    words = set(normalised(name).split("_"))
    return bool(words) and words <= _MASK_WORDS | _IMAGE_WORDS
