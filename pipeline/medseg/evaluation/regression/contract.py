"""What is measured of quantities and how: the settings without which two results cannot be compared."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from medseg.configuration import Config, parse_config, read_yaml
from medseg.evaluation.regression.gamma import Normalisation

_Percent = Annotated[float, Field(ge=0, le=100, strict=True, allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]


class QuantityContract(Config):
    """Everything that decides what the numbers of quantities mean; results under other contracts are not compared.

    Attributes:
        version: Version of this form.
        gamma_dose_percent: Difference of dose that gamma allows, in percent.
        gamma_distance_mm: Distance that gamma allows.
        gamma_low_dose_percent: Dose below which gamma leaves voxels out, in percent of the largest reference dose.
        gamma_normalisation: Whether gamma's percent are of the largest reference dose or of each voxel's own.
        dose_at_volumes_percent: Shares of a structure for which the dose of its hottest part is measured: 95 for D95.
        volume_at_prescription_percent: Doses, in percent of the prescription, for which the share of a structure that
            gets them is measured.
        volume_at_doses: The same for doses in the quantity's unit: 20 for V20.
    """

    version: Literal[1] = 1
    gamma_dose_percent: _Positive = 3.0
    gamma_distance_mm: _Positive = 3.0
    gamma_low_dose_percent: _Percent = 10.0
    gamma_normalisation: Normalisation = "global"
    dose_at_volumes_percent: tuple[_Percent, ...] = (2.0, 50.0, 95.0, 98.0)
    volume_at_prescription_percent: tuple[_Positive, ...] = (50.0, 95.0, 107.0)
    volume_at_doses: tuple[_Positive, ...] = ()

    @field_validator("dose_at_volumes_percent", "volume_at_prescription_percent", "volume_at_doses")
    @classmethod
    def _no_twins(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len({f"{value:g}" for value in values}) < len(values):
            raise ValueError(f"must name each once, in six digits, got {list(values)}")
        return values

    @property
    def digest(self) -> str:
        """Checksum of the content, the same for the same settings in any order of their keys."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def load_quantity_contract(path: Path) -> QuantityContract:
    """Read a contract from YAML; what it leaves out has the default.

    Raises:
        ConfigError: If the file cannot be read, or a key or value is wrong.
    """
    content = read_yaml(path, what="contract")
    return parse_config(QuantityContract, content, source=f"contract {path}")
