"""How nnU-Net brings a scan onto the grid of a network."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from medseg.configuration import Config

SchemeName = Literal["ct", "zscore", "none", "to_01", "rgb_to_01"]
SplineOrder = Literal[0, 1, 2, 3, 4, 5]


class NnunetScheme(Config):
    """Normalisation of one channel.

    Attributes:
        kind: `ct` clips and standardises by numbers of the training set, `zscore` standardises by the scan itself,
            `to_01` maps its range to 0 to 1, `rgb_to_01` divides by 255, `none` leaves it as it is.
        is_masked: Whether `zscore` counts and changes the voxels inside the nonzero region alone.
        clip: Range of `ct`.
        mean: Subtrahend of `ct`.
        std: Divisor of `ct`.
    """

    kind: SchemeName
    is_masked: bool = False
    clip: tuple[float, float] | None = None
    mean: float | None = None
    std: float | None = None

    @model_validator(mode="after")
    def _ct_has_numbers(self) -> Self:
        if self.kind == "ct" and None in (self.clip, self.mean, self.std):
            raise ValueError("normalisation ct must have clip, mean and std")
        return self


class NnunetResampling(Config):
    """Resampling between a scan's grid and the network's.

    Attributes:
        order: Order of the splines.
        order_z: The same along the coarse axis, where that is resampled on its own.
        separate_z: Whether the coarse axis is resampled on its own; None decides by the spacings.
    """

    order: SplineOrder
    order_z: SplineOrder = 0
    separate_z: bool | None = None


class NnunetPreprocess(Config):
    """Grid and intensities of the input of an nnU-Net model.

    Attributes:
        is_reoriented: Whether the axes of a scan are first turned to R, A and S.
        transpose: Axis of the scan as nnU-Net reads it, which is `(k, j, i)`, that becomes each axis of the patch.
        spacing_mm: Spacing of the network's grid along those axes; two numbers for a 2D network, whose slices follow
            the first axis at the scan's own spacing.
        schemes: Normalisation of each channel.
        image: Resampling of the image.
        logits: Resampling of the network's logits to the scan's grid.
        labels: Resampling of the labels of an earlier stage.
    """

    is_reoriented: bool = False
    transpose: tuple[int, int, int] = (0, 1, 2)
    spacing_mm: tuple[float, ...] = Field(min_length=2, max_length=3)
    schemes: tuple[NnunetScheme, ...] = Field(min_length=1)
    image: NnunetResampling = NnunetResampling(order=3)
    logits: NnunetResampling = NnunetResampling(order=1)
    labels: NnunetResampling = NnunetResampling(order=1)

    @model_validator(mode="after")
    def _axes_fit(self) -> Self:
        if sorted(self.transpose) != [0, 1, 2]:
            raise ValueError(f"transpose must name each of the axes 0, 1 and 2 once, got {self.transpose}")
        if min(self.spacing_mm) <= 0:
            raise ValueError(f"spacing_mm must be positive, got {self.spacing_mm}")
        if self.logits.order != 1 or self.logits.order_z > 1:
            raise ValueError("logits must be resampled with order 1 and order_z 0 or 1")
        return self

    @property
    def is_2d(self) -> bool:
        """Whether the network sees single slices."""
        return len(self.spacing_mm) == 2
