from __future__ import annotations

import pytest
import torch
from medseg.inference.segmentation.importance import gaussian_importance
from medseg.inference.segmentation.windows import axis_starts
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers.utils import _get_scan_interval


@pytest.mark.parametrize("size", [(4, 5, 6), (112, 96, 40), (7, 8, 1), (1, 1, 1), (64, 64)])
def test_weights_are_those_of_monai(size: tuple[int, ...]) -> None:
    expected = compute_importance_map(size, mode="gaussian")
    assert torch.equal(gaussian_importance(size, device=torch.device("cpu")), expected)


@pytest.mark.parametrize("patch", [1, 2, 7, 64, 128])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.75, 0.99])
def test_windows_lie_where_monai_s_lie(patch: int, overlap: float) -> None:
    for size in [*range(1, 40), 63, 64, 65, 127, 128, 129, 300]:
        padded = max(size, patch)
        interval = _get_scan_interval((padded,), (patch,), 1, (overlap,))
        slices = dense_patch_slices((padded,), (patch,), interval)
        expected = [int(window.start) - (padded - size) // 2 for (window,) in slices]
        assert axis_starts(size, patch, overlap) == expected
