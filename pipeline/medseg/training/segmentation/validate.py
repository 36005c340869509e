"""Whole validation volumes, measured on their native grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from medseg.evaluation.segmentation import Metric, measure_case
from medseg.inference.segmentation import InferenceConfig
from medseg.inference.segmentation.head.sums import HeadSums
from medseg.inference.segmentation.mask_model import Observer
from medseg.inference.segmentation.prepared_scan import observed
from medseg.inference.segmentation.sliding import probability_planes
from medseg.inference.segmentation.strips import draw_strips, lay_out_strips
from medseg.inference.segmentation.windows import lay_out_windows
from medseg.networks.precision import PrecisionKind
from medseg.preprocess.segmentation import StoredCase
from medseg.preprocess.segmentation.restore import restore_planes
from medseg.records import CaseMetrics, Labelmap
from medseg.targets import VoxelTarget


def validate_volume(
    network: nn.Module,
    case: StoredCase,
    config: InferenceConfig,
    *,
    target: VoxelTarget,
    device: torch.device,
    precision: PrecisionKind,
    metrics: Mapping[str, Metric] | None = None,
    observe: Observer | None = None,
    head: HeadSums | None = None,
) -> tuple[Labelmap, list[CaseMetrics]]:
    """Predict, restore to the native grid as `Predictor.mask` does, and measure a case.

    Args:
        network: Network to measure; left in evaluation mode.
        case: Prepared case.
        config: Sliding window.
        target: Meaning of the network's channels.
        device: Device of the network.
        precision: Number format of the forward pass.
        metrics: Metrics of the user's own by name.
        observe: Function that sees the probabilities on the way.
        head: Sums of what the network's head finds, which are complete on return.

    Returns:
        The mask on the native grid and its metrics.
    """
    network.eval()
    image = torch.from_numpy(np.asarray(case.image()[...]).astype(np.float32))
    plan = lay_out_windows(case.grid.shape, config)
    strips = lay_out_strips(plan, case.seen, case.grid, config, classes=target.channels, device=device)
    if strips and head is None:  # a head sums over the whole scan
        drawn = draw_strips(
            network, image, plan.seen, strips, grid=case.grid, native=case.seen, target=target, device=device,
            precision=precision, observe=observe,
        )  # fmt: skip
    else:
        planes = probability_planes(network, image, plan, target=target, device=device, precision=precision, head=head)
        seen = planes if observe is None else observed(planes, observe)
        drawn = restore_planes(seen, case.grid, case.seen, target=target, axis=plan.axis)
    mask = case.on_native(drawn, target.blank(case.native.shape))
    rows = measure_case(
        case.native_label(),
        mask,
        target=target,
        case_id=case.case_id,
        spacing_mm=case.native.spacing_mm,
        metrics=metrics or {},
        unannotated=case.unannotated,
    )
    return mask, list(rows)


def validate_volumes(
    network: nn.Module,
    cases: Sequence[StoredCase],
    config: InferenceConfig,
    *,
    target: VoxelTarget,
    device: torch.device,
    precision: PrecisionKind,
    metrics: Mapping[str, Metric] | None = None,
) -> list[CaseMetrics]:
    """Metrics of several cases, as `validate_volume` measures each.

    Args:
        network: Network to measure; left in evaluation mode.
        cases: Prepared cases.
        config: Sliding window.
        target: Meaning of the network's channels.
        device: Device of the network.
        precision: Number format of the forward pass.
        metrics: Metrics of the user's own by name.
    """
    return [
        row
        for case in cases
        for row in validate_volume(
            network, case, config, target=target, device=device, precision=precision, metrics=metrics
        )[1]
    ]
