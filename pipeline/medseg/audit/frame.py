"""The frame of an image: the even margin round what was seen, such as the black round an eye or a scanner's cylinder.

Images of one device share their frame, and its edge is the strongest structure in them; so images are compared inside.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from medseg.records import Array, Mask

EVEN = 0.06
_MOST_UNLIKE_CORNERS = 0.25
_LEAST_FRAME = 0.02
_LEAST_INSIDE = 0.2
_ONE_PIECE = 0.9


def frame_level(volume: Array, *, span: float) -> float | None:
    """Intensity of the frame, which most corners of an image share; None if they do not share any.

    Args:
        volume: Image, shape `(I, J, K)`.
        span: Range of its intensities.
    """
    ends = product(*((slice(0, 2), slice(-2, None)) for _ in range(2)), (slice(0, 1), slice(-1, None)))
    corners = np.array([float(np.median(volume[where])) for where in ends])
    level = float(np.median(corners))
    is_unlike = np.abs(corners - level) > EVEN * span
    return None if is_unlike.mean() > _MOST_UNLIKE_CORNERS else level


def inside_frame(evenness: Array) -> Mask | None:
    """The part of a small image that is no frame, or None if it has no frame.

    A frame is one level from the corners inwards, and leaves one piece: the dark between bright cells is none.

    Args:
        evenness: Fraction of each voxel that has the level of the frame.
    """
    from scipy.ndimage import binary_dilation, label

    pieces, _ = label(evenness > 0.5)
    at_corners = {int(pieces[where]) for where in product(*((0, -1) for _ in range(3)))} - {0}
    frame = np.isin(pieces, sorted(at_corners))
    inside = ~frame
    if frame.mean() < _LEAST_FRAME or inside.mean() < _LEAST_INSIDE:
        return None
    parts, count = label(inside)
    if count > 1 and np.bincount(parts.ravel())[1:].max() < _ONE_PIECE * inside.sum():
        return None
    grown: Mask = binary_dilation(frame, np.ones([3 if n > 1 else 1 for n in frame.shape]))
    return ~grown
