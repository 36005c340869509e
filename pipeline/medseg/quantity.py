"""What a volume of measured values holds: its unit, and the numbers that its errors are compared with."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medseg.text import Text

_Finite = Annotated[float, Field(allow_inf_nan=False)]


class Quantity(BaseModel):
    """A quantity with a value in every voxel, such as a dose or the intensities of another modality.

    Attributes:
        unit: Unit of the values as it is shown: `Gy`, `HU`, `SUV`; `1` for numbers without one.
        prescription: Prescribed dose in the same unit, of which errors are also given in per cent; None without one.
        range: Lowest and highest value that PSNR and SSIM compare with; None for those of each case's reference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Text = Field(min_length=1, max_length=32, description="Unit of the values: Gy, HU, SUV; 1 without one.")
    prescription: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Prescribed dose in the same unit; errors are also shares of it."
    )
    range: tuple[_Finite, _Finite] | None = Field(
        None, description="Lowest and highest value, for PSNR and SSIM; by default those of each reference."
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if not self.unit.strip():
            raise ValueError(f"unit must be a unit as it is shown, or 1 for numbers without one, got {self.unit!r}")
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError(f"range must rise from its lowest to its highest value, got {list(self.range)}")
        return self
