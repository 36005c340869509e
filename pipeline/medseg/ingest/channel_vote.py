"""The number of channels that most images of a source have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice

from medseg.cohort import CASE_ERRORS
from medseg.ingest.image_source import ImageSource
from medseg.scans import read_picture


def most_common_channels(images: Iterable[ImageSource]) -> int:
    """Channels of most images, the fewer where two numbers are as common; 1 without an image.

    Where images differ, pictures whose pixels cannot be read do not count. Only as many are read as the vote needs.

    Args:
        images: Images without a refusal.
    """
    groups: dict[int, list[ImageSource]] = defaultdict(list)
    for image in images:
        groups[image.channels].append(image)
    votes = {channels: len(group) for channels, group in groups.items()}
    checked: set[int] = set()
    while votes:
        first = max(votes, key=lambda one: (votes[one], -one))
        rival = max((count for channels, count in votes.items() if channels != first), default=0)
        if first in checked or not rival:
            return first
        votes[first] = _readable(groups[first], most=rival + 1)
        checked.add(first)
    return 1


def _readable(images: Sequence[ImageSource], *, most: int) -> int:
    """Number of images that can be read, counted up to a number."""
    return sum(1 for _ in islice((image for image in images if _is_readable(image)), most))


def _is_readable(image: ImageSource) -> bool:
    """Whether the pixels of a picture file can be read; volumes are not tried, since they are large."""
    if image.found is not None or not image.is_picture:
        return True
    try:
        read_picture(image.files[0], case_id="file", is_label=False, upright=True)
    except CASE_ERRORS:
        return False
    return True
