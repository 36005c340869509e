"""The masks among the scan files of a source: by the user's word, by their names, and by what they hold."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from medseg.cohort import CASE_ERRORS, ThreadExecutor, map_in_order
from medseg.geometry import Geometry
from medseg.ingest.context import IngestOptions
from medseg.ingest.find_images import find_images
from medseg.ingest.image_source import ImageSource
from medseg.ingest.mapping import Mapping
from medseg.ingest.name_tokens import masks_and_images
from medseg.ingest.walk import Source
from medseg.scans import few_whole_values, read_grid

MOST_VALUES = 64
_LIKE_A_MASK = "it holds few whole values, as a mask does, but lies on no other scan's grid; it was taken as an image"


class Roles(NamedTuple):
    """The images and masks of a source.

    Attributes:
        images: All images, DICOM series and files.
        masks: Files that are masks.
        by_values: Those of the masks whose names do not say so.
    """

    images: list[ImageSource]
    masks: list[Path]
    by_values: frozenset[Path]


def find_roles(files: Source, root: Path, mapping: Mapping | None, options: IngestOptions) -> Roles:
    """Sort the scan files of a source into images and masks.

    A file of few whole values that lies on another scan's grid is a mask whatever its name, unless the mapping says
    otherwise: as an image it would be a case of its own, and the case that it belongs to would have no label.

    Args:
        files: Files of the source.
        root: Source folder.
        mapping: Mapping given by the user, whose word on a file counts; None if there is none.
        options: Settings of the ingest.
    """
    masks, scans, told = _by_name(files, root, mapping)
    asked = [path for path in scans if path not in told]
    values = map_in_order(ThreadExecutor(options.workers), partial(few_whole_values, most=MOST_VALUES), asked)
    doubtful = [path for path, found in zip(asked, values, strict=True) if found and (len(found) > 1 or 0 in found)]
    images = find_images(files, [path for path in scans if path not in set(doubtful)], root, options)
    by_values = _on_a_grid(doubtful, images)
    unlike = set(doubtful) - by_values
    if unlike:
        images = find_images(files, [path for path in scans if path not in by_values], root, options)
        images = [
            replace(image, notes=(*image.notes, _LIKE_A_MASK)) if unlike.intersection(image.files) else image
            for image in images
        ]
    return Roles(images, [*masks, *(path for path in doubtful if path in by_values)], by_values)


def _by_name(files: Source, root: Path, mapping: Mapping | None) -> tuple[list[Path], list[Path], set[Path]]:
    """Masks and images by the user's word or by their names, and the files that the user's word is about."""
    paths = [*files.volumes, *files.pictures]
    named = set(masks_and_images(paths, root)[0])
    told_masks = {path for path in paths if mapping and _fits(path, root, mapping.masks)}
    told_images = {path for path in paths if mapping and _fits(path, root, mapping.images)} - told_masks
    masks = (named | told_masks) - told_images
    return [path for path in paths if path in masks], [path for path in paths if path not in masks], told_images


def _fits(path: Path, root: Path, patterns: Sequence[str]) -> bool:
    relative = path.relative_to(root).as_posix().casefold()
    return any(fnmatch.fnmatchcase(relative, pattern.casefold()) for pattern in patterns)


def _on_a_grid(paths: Iterable[Path], images: Sequence[ImageSource]) -> frozenset[Path]:
    """The files that lie on the grid of an image, up to the order and direction of the axes."""
    grids: dict[tuple[bool, tuple[int, ...]], list[Geometry]] = defaultdict(list)
    for image in images:
        if image.grid is not None:
            grids[image.is_picture, tuple(sorted(image.grid.shape))].append(image.grid)
    found = set()
    for path in paths:
        try:
            grid, _, is_picture = read_grid(path, case_id="file")
        except CASE_ERRORS:
            continue
        near = grids[is_picture, tuple(sorted(grid.shape))]
        if any(grid.shape == other.shape if is_picture else _is_same(grid, other) for other in near):
            found.add(path)
    return frozenset(found)


def _is_same(grid: Geometry, other: Geometry) -> bool:
    return grid.reoriented(other.axcodes).is_close(other)
