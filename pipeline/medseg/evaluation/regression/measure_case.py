"""All metrics of one quantity in one case."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from medseg.evaluation.regression.contract import QuantityContract
from medseg.evaluation.regression.dose_points import ComparedDose, compared_dose, is_dose
from medseg.evaluation.regression.dvh import dvh
from medseg.evaluation.regression.gamma import gamma_pass_rate
from medseg.evaluation.regression.quantity_metrics import quantity_metrics
from medseg.evaluation.regression.quantity_row import ALL, QuantityMetrics
from medseg.evaluation.regression.voxel_errors import known_range
from medseg.geometry import Triple
from medseg.quantity import Quantity
from medseg.records import Array, Mask

Structures = Mapping[str, Callable[[], Mask]]
"""Function that gives the voxels of a structure, by name: one after the other, so that not all are in memory."""


def measure_quantity(
    reference: Array,
    predicted: Array,
    *,
    name: str,
    quantity: Quantity,
    case_id: str,
    spacing_mm: Triple,
    structures: Structures,
    contract: QuantityContract,
) -> list[QuantityMetrics]:
    """Measure a quantity over the whole scan, then in each structure; of a dose also gamma and histograms.

    Args:
        reference: Values of shape `(I, J, K)`; NaN where they are not known.
        predicted: Values on the same grid and in the same unit.
        name: Name of the quantity.
        quantity: Its unit, range and prescription.
        case_id: Id of the case.
        spacing_mm: Voxel size along `(i, j, k)`.
        structures: Structures of the case; empty if none are known.
        contract: What is measured.

    Raises:
        GeometryError: If the shapes differ.
    """
    limits = quantity.range or known_range(reference)
    rows = []
    for scope, mask in (ALL, None), *structures.items():
        where = mask() if mask is not None else None
        values = quantity_metrics(
            reference,
            predicted,
            spacing_mm=spacing_mm,
            where=where,
            value_range=limits,
            prescription=quantity.prescription,
        )
        dose = None
        if is_dose(quantity):
            values["gamma_pass_rate"] = _gamma(reference, predicted, spacing_mm, where, contract)
            if where is not None:
                dose = _dose(reference, predicted, where, quantity, contract)
                values |= dose.errors
        voxels, unknown_share = _known(reference, where)
        rows.append(QuantityMetrics(case_id, name, scope, quantity.unit, values, voxels, unknown_share, dose))
    return rows


def _gamma(
    reference: Array, predicted: Array, spacing_mm: Triple, where: Mask | None, contract: QuantityContract
) -> float:
    return gamma_pass_rate(
        reference,
        predicted,
        spacing_mm=spacing_mm,
        dose_percent=contract.gamma_dose_percent,
        distance_mm=contract.gamma_distance_mm,
        low_dose_percent=contract.gamma_low_dose_percent,
        normalisation=contract.gamma_normalisation,
        where=where,
    )


def _dose(
    reference: Array, predicted: Array, where: Mask, quantity: Quantity, contract: QuantityContract
) -> ComparedDose:
    """Histograms over the voxels of a structure whose reference is known."""
    known = where & ~np.isnan(reference)
    histograms = [dvh(values, known) for values in (reference, predicted)]
    return compared_dose(*histograms, contract=contract, prescription=quantity.prescription)


def _known(reference: Array, where: Mask | None) -> tuple[int, float]:
    """Count of voxels whose value is known, and the share of the others."""
    voxels = reference.size if where is None else int(np.count_nonzero(where))
    unknown = np.isnan(reference)
    left_out = int(np.count_nonzero(unknown if where is None else unknown & where))
    return voxels - left_out, left_out / voxels if voxels else 0.0
