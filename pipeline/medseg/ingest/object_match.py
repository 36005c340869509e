"""The image of a label object, found by its references, otherwise by its position."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medseg.ingest.image_source import ImageSource
from medseg.ingest.label_source import LabelSource
from medseg.ingest.match import WORDS, Match, MatchKind
from medseg.ingest.refusal import Refusal
from medseg.scans.dicom import LabelObject

_ON_PLANE = 0.1
_MOST_PLANES = 0.9


class ObjectMatcher:
    """Index of the images of a source by everything that a SEG or RTSTRUCT may refer to."""

    def __init__(self, images: Sequence[ImageSource]) -> None:
        self._by_uid: dict[str, list[ImageSource]] = defaultdict(list)
        self._by_series: dict[str, list[ImageSource]] = defaultdict(list)
        self._by_frame: dict[str, list[ImageSource]] = defaultdict(list)
        for image in images:
            if image.is_aside:
                continue
            for instance in image.found.instances if image.found else ():
                self._by_uid[instance.sop_uid].append(image)
            self._by_series[image.series_uid].append(image)
            self._by_frame[image.frame_of_reference_uid].append(image)

    def of_object(self, label: LabelSource) -> Match | Refusal:
        """The image of a label object, by its referenced images, its referenced series or its frame of reference."""
        found = label.label_object
        if found is None:
            return Refusal("unreadable", "it cannot be read")
        steps: tuple[tuple[MatchKind, list[ImageSource]], ...] = (
            ("images", [i for uid in sorted(found.referenced_images) for i in self._by_uid.get(uid, [])]),
            ("series", [i for uid in sorted(found.referenced_series) if uid for i in self._by_series.get(uid, [])]),
            ("frame", self._in_frame(found)),
        )
        for kind, candidates in steps:
            if candidates:
                return _best(_unique(candidates), found, label.path, kind)
        return Refusal("no_image", "no image that it refers to, and none in its frame of reference, was found")

    def _in_frame(self, found: LabelObject) -> list[ImageSource]:
        uid = found.frame_of_reference_uid
        fits = [(_fit(found, image), image) for image in self._by_frame.get(uid, [])] if uid else []
        return [image for fit, image in fits if fit >= _MOST_PLANES]


def _best(candidates: list[ImageSource], found: LabelObject, path: Path, kind: MatchKind) -> Match | Refusal:
    """The only candidate, or the one that fits best, or of those the one in the nearest folder."""
    if len(candidates) == 1:
        return Match(candidates[0], kind)
    votes = [sum(i.sop_uid in found.referenced_images for i in c.found.instances) if c.found else 0 for c in candidates]
    rank = [
        (vote, round(_fit(found, one), 2), _shared_path(path, one)) for vote, one in zip(votes, candidates, strict=True)
    ]
    best = [one for one, value in zip(candidates, rank, strict=True) if value == max(rank)]
    if len(best) == 1:
        return Match(best[0], kind)
    fact = f"{len(best)} images fit it equally well (by {WORDS[kind]})"
    return Refusal("ambiguous", fact, "keep each label beside its image")


def _fit(found: LabelObject, image: ImageSource) -> float:
    """Fraction of a label's planes that lie on slices of an image and within it, from 0 to 1."""
    if image.grid is None or not len(found.planes_mm):
        return 0.0
    voxels = image.grid.voxels_of_lps(found.planes_mm)
    inside = ((voxels >= -1) & (voxels <= np.array(image.grid.shape))).all(axis=1)
    off = np.abs(voxels[:, 2] - np.rint(voxels[:, 2]))
    return float((inside & (off <= _ON_PLANE)).mean())


def _shared_path(path: Path, image: ImageSource) -> int:
    shared = 0
    for one, other in zip(path.parent.parts, image.folder.parts, strict=False):
        if one != other:
            break
        shared += 1
    return shared


def _unique(images: Sequence[ImageSource]) -> list[ImageSource]:
    return list({id(image): image for image in images}.values())
