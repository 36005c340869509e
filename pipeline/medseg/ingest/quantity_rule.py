"""The rule of the mapping for one quantity."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from medseg.configuration import Config
from medseg.quantity import Quantity

DOSE = "RTDOSE"


class QuantityRule(Config):
    """Where the values of a quantity come from.

    Attributes:
        unit: Unit of the values. A dose is in Gy; PET in a quantity with the unit SUV becomes SUV by body weight.
        prescription: Prescribed dose in the same unit, of which errors are also given in per cent.
        range: Lowest and highest value, for PSNR and SSIM.
        modality: DICOM modality of its files: RTDOSE, or that of image series such as PT.
        description: Pattern of the series description.
        sum_beams: Whether the doses of single beams of one plan are summed where the dose of the plan is missing.
        outside: Value where a source does not reach: not known, which counts in no loss and no metric, or zero.
    """

    unit: str = Field(min_length=1)
    prescription: float | None = Field(None, gt=0)
    range: tuple[float, float] | None = None
    modality: str = DOSE
    description: str = "*"
    sum_beams: bool = False
    outside: Literal["unknown", "zero"] = "unknown"

    @model_validator(mode="after")
    def _check(self) -> QuantityRule:
        if self.is_dose and self.unit != "Gy":
            raise ValueError(f"unit of an RTDOSE must be Gy, got {self.unit!r}")
        if self.sum_beams and not self.is_dose:
            raise ValueError(f"sum_beams must be of an RTDOSE, got modality {self.modality}")
        self.quantity()
        return self

    @property
    def is_dose(self) -> bool:
        """Whether its values come from RT Dose files."""
        return self.modality.upper() == DOSE

    def quantity(self) -> Quantity:
        """Unit and ranges, as the manifest has them."""
        return Quantity(unit=self.unit, prescription=self.prescription, range=self.range)
