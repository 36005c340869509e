"""How large a scan becomes on the grids of a model: a few voxels of a metre each may be as much work as a body."""

from __future__ import annotations

import math
from collections.abc import Iterator

from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.inference.inputs import CaseInput
from medseg.inference.nnunet import AdoptedModel
from medseg.inference.requests import RequestLimits
from medseg.inference.segmentation.ensemble import Ensemble
from medseg.inference.segmentation.mask_model import MaskModel
from medseg.inference.segmentation.predictor import Predictor
from medseg.preprocess import network_grid
from medseg.preprocess.nnunet import NnunetPreprocess
from medseg.preprocess.nnunet.grid import nnunet_axes
from medseg.scans import read_grid


def check_network_size(model: MaskModel, case: CaseInput, limits: RequestLimits) -> None:
    """Refuse a scan that has too many voxels on the grid of a network, before its voxels are read.

    Args:
        model: Loaded model.
        case: Case of a request.
        limits: Limits of the request.

    Raises:
        ScanError: If it has more.
        GeometryError: If its grid is not a straight voxel grid, or far beyond any network's.
    """
    grid = _grid_of(case)
    size = max(_sizes(model, grid), default=0) if grid is not None else 0
    if size > limits.most_voxels:
        raise ScanError(
            f"a scan must have at most {limits.most_voxels} voxels on the grid of the network, got {size}",
            remedy="check the voxel size in its header, or send a smaller part of it",
            case_id=case.case_id,
        )


def _grid_of(case: CaseInput) -> Geometry | None:
    """Grid of the first channel; None where the header alone does not tell it."""
    if case.series:
        return case.series[0].grid
    try:
        return read_grid(case.files[0], case_id=case.case_id).geometry
    except ScanError:  # such as a fourth axis, which means channels for this model alone
        return None


def _sizes(model: MaskModel, grid: Geometry) -> Iterator[int]:
    """Voxels of a whole scan for each network."""
    for member in model.members if isinstance(model, Ensemble) else (model,):
        if isinstance(member, Predictor):
            yield math.prod(network_grid(grid, member.card.preprocess).shape)
        elif isinstance(member, AdoptedModel):
            yield _adopted_size(grid, member.card.preprocess)


def _adopted_size(grid: Geometry, config: NnunetPreprocess) -> int:
    native = nnunet_axes(grid, config)
    target = config.spacing_mm if not config.is_2d else (*config.spacing_mm, native.spacing_mm[2])
    steps = zip(native.shape, native.spacing_mm, target, strict=True)
    return math.prod(max(1, round(size * old / new)) for size, old, new in steps)
