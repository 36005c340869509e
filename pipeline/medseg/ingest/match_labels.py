"""All labels of a source, read and matched to their images."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from medseg.cohort import ThreadExecutor, map_in_order
from medseg.ingest.draw_label import lies_on
from medseg.ingest.folder_names import named_by_folder
from medseg.ingest.image_source import ImageSource
from medseg.ingest.kept_numbers import with_kept_numbers
from medseg.ingest.label_source import LabelSource, ValueNames, mask_label, object_label
from medseg.ingest.mask_match import MaskMatcher
from medseg.ingest.match import WORDS, LostLabel, Match, MatchedLabel, MatchedLabels, MatchKind, settle
from medseg.ingest.object_layout import single_objects
from medseg.ingest.object_match import ObjectMatcher
from medseg.ingest.refusal import Refusal
from medseg.scans import is_picture_file
from medseg.scans.dicom import Instance

MASK_BY_VALUES = "mask known by its few whole values"
_REMEDY_BY_VALUES = "name it like its image, or list it under images in the mapping if it is one"


def match_labels(
    objects: Sequence[Instance],
    masks: Sequence[Path],
    images: Sequence[ImageSource],
    root: Path,
    *,
    by_values: Collection[Path] = (),
    workers: int,
) -> MatchedLabels:
    """Read the label objects and mask files of a source, and find the image of each.

    Args:
        objects: Headers of SEG and RTSTRUCT files.
        masks: Files that are masks.
        images: All images of the source.
        root: Source folder.
        by_values: Masks whose names do not say so.
        workers: Number of threads.
    """
    object_matcher, mask_matcher, value_names = ObjectMatcher(images), MaskMatcher(images, root), ValueNames(root)
    masks = _masks_of_kind(masks, images)
    names = {folder: value_names.near(folder) for folder in {path.parent for path in masks}}
    threads = ThreadExecutor(workers)
    found: list[tuple[LabelSource, Match | Refusal]] = [
        (label, object_matcher.of_object(label)) for label in map_in_order(threads, object_label, objects)
    ]
    matched = map_in_order(
        threads, lambda path: _match_mask(path, mask_matcher, names[path.parent], path in by_values), masks
    )
    if any(label.has_objects for label, _ in matched):
        matched = [(label.as_objects(), match) for label, match in matched]
    settled = [settle(label, match) for label, match in [*found, *matched]]
    return MatchedLabels(
        _told_apart([one for one in settled if isinstance(one, MatchedLabel)], root),
        tuple(one for one in settled if isinstance(one, LostLabel)),
    )


def _told_apart(labels: Sequence[MatchedLabel], root: Path) -> tuple[MatchedLabel, ...]:
    """The labels with names that tell the masks of one image apart."""
    return single_objects(with_kept_numbers(named_by_folder(labels, root)))


def _masks_of_kind(masks: Sequence[Path], images: Sequence[ImageSource]) -> Sequence[Path]:
    """The masks without mask pictures if the dataset holds volumes; those are set aside with their pictures."""
    if any(image.is_picture and not image.refusal for image in images):
        return masks
    return [path for path in masks if not is_picture_file(path)]


def _match_mask(
    path: Path, matcher: MaskMatcher, value_names: dict[int, str], is_by_values: bool
) -> tuple[LabelSource, Match | Refusal]:
    """A mask file with its image: the only one that fits by name or folder, or the only such one on its grid."""
    near = matcher.of_mask(path)
    shared = matcher.shared_words(path, near.images)
    kind = MASK_BY_VALUES if is_by_values else "mask"
    label = mask_label(path, shared_words=shared, value_names=value_names, kind=kind)
    remedy = _REMEDY_BY_VALUES if is_by_values else "name it like its image"
    if label.refusal or not near.images or label.grid is None:
        fact = "no image beside it, and none with a like name, was found"
        return label, Refusal("no_image", fact, remedy if is_by_values else "")
    on_grid = [image for image in near.images if lies_on(label, image)]
    with_grid: MatchKind = "name_and_grid" if near.is_by_name else "folder_and_grid"
    if len(on_grid) == 1:
        return label, Match(on_grid[0], with_grid)
    if len(near.images) == 1 and not near.needs_grid:
        return label, Match(near.images[0], "name" if near.is_by_name else "folder")
    if not on_grid and near.needs_grid:
        return label, Refusal("no_image", "no image beside it lies on its grid and has a like name", remedy)
    count = len(on_grid) or len(near.images)
    return label, Refusal("ambiguous", f"{count} images fit it equally well (by {WORDS[with_grid]})", remedy)
