"""The metrics of one quantity in one case, or in a structure of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from medseg.evaluation.regression.dose_points import ComparedDose

ALL = "all"
"""Scope of the numbers over all voxels of a case; no structure has this name."""


@dataclass(frozen=True, slots=True)
class QuantityMetrics:
    """Metrics of one quantity in one part of a case.

    Attributes:
        case_id: Id of the case.
        quantity: Name of the quantity.
        scope: `all` for every voxel whose value is known, or the name of a structure.
        unit: Unit of the quantity.
        values: Value by metric name; NaN where it is undefined.
        voxels: Count of voxels whose reference is known.
        unknown_share: Share of the part's voxels whose reference is not known, which are left out of all values.
        dose: Dose–volume histograms of reference and prediction; None if the quantity is no dose, and for the scope
            `all`.
    """

    case_id: str
    quantity: str
    scope: str
    unit: str
    values: dict[str, float]
    voxels: int
    unknown_share: float = 0.0
    dose: ComparedDose | None = field(default=None, compare=False, repr=False)
