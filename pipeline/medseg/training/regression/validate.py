"""Whole validation volumes of values, measured on their native grids."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from medseg.evaluation.regression import ALL, QuantityMetrics, quantity_metrics
from medseg.evaluation.regression.voxel_errors import known_range
from medseg.inference.regression.volumes import predicted_values
from medseg.inference.segmentation.config import InferenceConfig
from medseg.networks.precision import PrecisionKind
from medseg.preprocess.regression import StoredValues
from medseg.records import Array
from medseg.targets import Quantities


def validate_values(
    network: nn.Module,
    case: StoredValues,
    config: InferenceConfig,
    *,
    target: Quantities,
    device: torch.device,
    precision: PrecisionKind,
) -> tuple[Array, list[QuantityMetrics]]:
    """Predict a case, restore it to the native grid as `predict` does, and measure it over all known voxels.

    Args:
        network: Network to measure; left in evaluation mode.
        case: Prepared case.
        config: Sliding window.
        target: Quantities, with the numbers that the network learns.
        device: Device of the network.
        precision: Number format of the forward pass.

    Returns:
        Values `(Q, I, J, K)` in units on the native grid, and a row for each quantity.
    """
    image = torch.from_numpy(np.asarray(case.image()[...]))
    values = predicted_values(
        network.eval(), image, case.grid, case.native, config, target=target, device=device, precision=precision
    )
    rows = []
    for name, reference, predicted, unknown in zip(
        target.names, case.native_values(), values, case.unknown, strict=True
    ):
        quantity = target.quantities[name]
        numbers = quantity_metrics(
            reference,
            predicted,
            spacing_mm=case.native.spacing_mm,
            value_range=quantity.range or known_range(reference),
            prescription=quantity.prescription,
        )
        voxels = int(np.count_nonzero(~np.isnan(reference)))
        rows.append(QuantityMetrics(case.case_id, name, ALL, quantity.unit, numbers, voxels, unknown))
    return values, rows
