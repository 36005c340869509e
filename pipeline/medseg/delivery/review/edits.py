"""Corrected voxels of a mask, as a review holds them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field, model_validator

from medseg.configuration import Config
from medseg.errors import DeliveryError
from medseg.records import Labelmap

_MOST = 1 << 40  # voxels, beyond any scan, whose sums no integer overflows


class Edit(Config):
    """The voxels that got one value.

    Attributes:
        value: Label value; 0 where a structure was erased.
        runs: Start and length of each run of neighbouring voxels, in turn. A voxel's number is `i + I * (j + J * k)` in
            the mask's own array of shape `(I, J, K)`.
    """

    value: int = Field(ge=0, le=65535)
    runs: tuple[int, ...]

    @model_validator(mode="after")
    def _runs_are_pairs(self) -> Edit:
        if len(self.runs) % 2 or not all(0 <= number <= _MOST for number in self.runs):
            raise ValueError("runs must be pairs of start and length, none negative or beyond any scan")
        return self

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return sum(self.runs[1::2])


def apply_edits(mask: Labelmap, edits: Sequence[Edit], *, values: Sequence[int], case_id: str) -> Labelmap:
    """A mask with its corrections; the mask that is given stays as it is.

    Args:
        mask: Label values of shape `(I, J, K)`.
        edits: Corrected voxels.
        values: Values that a voxel may get.
        case_id: Id of the case, for errors.

    Returns:
        Label values of the same shape, in an unsigned type that holds all of them.

    Raises:
        DeliveryError: If a voxel lies outside of the mask, or gets a value that no label has.
    """
    corrected = mask.ravel(order="F").astype(np.result_type(mask, np.min_scalar_type(max(values, default=0))))
    for edit in edits:
        starts, lengths = np.array(edit.runs[::2], np.int64), np.array(edit.runs[1::2], np.int64)
        if edit.value not in values or (len(starts) and int((starts + lengths).max()) > mask.size):
            raise DeliveryError(
                f"corrections must give voxels of the mask, of shape {mask.shape}, one of the values "
                f"{sorted(values)}, got value {edit.value} up to voxel {int((starts + lengths).max(initial=0))}",
                remedy="review the case again, on a new page made of this folder of masks",
                case_id=case_id,
            )
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            corrected[start : start + length] = edit.value
    return corrected.reshape(mask.shape, order="F")
