"""The configuration of the grid and the intensities that a network sees."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from medseg.configuration import Config

Millimetres = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ChannelNormalisation(Config):
    """Intensities of one channel.

    Attributes:
        kind: `ct` clips to `clip_hu` and uses the given mean and standard deviation; `zscore` uses the scan's own;
            `none` leaves them.
        clip_hu: Lower and upper bound for `ct`.
        mean_hu: Mean that `ct` subtracts.
        std_hu: Standard deviation that `ct` divides by.
    """

    kind: Literal["ct", "zscore", "none"]
    clip_hu: tuple[float, float] | None = None
    mean_hu: float | None = Field(None, allow_inf_nan=False)
    std_hu: float | None = Field(None, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _ct_is_complete(self) -> Self:
        if self.kind == "ct" and (self.clip_hu is None or self.mean_hu is None or self.std_hu is None):
            raise ValueError("kind 'ct' needs clip_hu, mean_hu and std_hu")
        if self.clip_hu is not None and not self.clip_hu[0] < self.clip_hu[1]:
            raise ValueError(f"clip_hu must rise, got {self.clip_hu}")
        return self


class BodyCrop(Config):
    """The crop of scans to the box of the body.

    Attributes:
        above: For each channel the value above which a voxel belongs to the body; None where all do that differ from
            the value that most corners of the scan have, as where scans were padded with zeros.
        margin_mm: Margin around the body.
    """

    above: tuple[Annotated[float, Field(allow_inf_nan=False)] | None, ...] = Field(min_length=1)
    margin_mm: float = Field(10.0, ge=0, allow_inf_nan=False)


class PreprocessConfig(Config):
    """The network's grid and intensities.

    Attributes:
        axcodes: Orientation of the grid's axes; None is R, A, S with a single slice's axis last (2D).
        spacing_mm: Voxel size of the grid along its axes; None keeps each scan's own.
        normalisation: One entry per channel.
        body: Crop of scans to the body before all else, in training as in prediction; masks still have the scan's own
            grid, with background outside. None for whole scans.
    """

    axcodes: str | None = Field("RAS", pattern="^[RLAPSI]{3}$")
    spacing_mm: tuple[Millimetres, Millimetres, Millimetres] | None = None
    normalisation: tuple[ChannelNormalisation, ...] = Field(min_length=1)
    body: BodyCrop | None = Field(None, exclude_if=lambda body: body is None)

    @model_validator(mode="after")
    def _body_is_of_every_channel(self) -> Self:
        if self.body is not None and len(self.body.above) != len(self.normalisation):
            raise ValueError(
                f"body.above must have one entry per channel, {len(self.normalisation)}, got {len(self.body.above)}"
            )
        return self

    @model_validator(mode="after")
    def _axes_are_three(self) -> Self:
        pairs = ("RL", "AP", "SI")
        if self.axcodes and any(sum(code in pair for code in self.axcodes) != 1 for pair in pairs):
            raise ValueError(f"axcodes must name each of R/L, A/P and S/I once, got {self.axcodes!r}")
        return self
