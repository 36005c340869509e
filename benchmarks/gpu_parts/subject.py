"""The plan that is measured: what `medseg` plans on a CUDA machine for CT volumes of a common size."""

from __future__ import annotations

import numpy as np
from medseg.planning import CaseFingerprint, Fingerprint, Plan, make_plan
from medseg.planning.plan import override_plan
from medseg.records import Manifest

CT_SHAPE = (512, 512, 275)
CT_SPACING_MM = (0.78, 0.78, 1.0)
_TINY = {
    "channels": [4, 8, 8],
    "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
    "kernels": [[3, 3, 3]] * 3,
    "blocks": [1, 1, 1],
    "decoder_blocks": [1, 1],
}


def ct_plan(*, labels: int, is_quick: bool, spacing_mm: float | None = None) -> Plan:
    """A plan for CT volumes of 512×512×275 voxels.

    Args:
        labels: Count of labels, without the background.
        is_quick: Whether to shrink network and patch to what a CPU does in milliseconds.
        spacing_mm: Spacing of the network's grid in place of the plan's own.
    """
    manifest = Manifest(
        name="ct",
        channels=("CT",),
        labels={"background": 0} | {f"label {value}": value for value in range(1, labels + 1)},
        cases=(),
    )
    intensities = np.random.default_rng(0).normal(40, 60, (1, 1000))
    spacing = CT_SPACING_MM if spacing_mm is None else (spacing_mm,) * 3
    shape = tuple(round(n * old / new) for n, old, new in zip(CT_SHAPE, CT_SPACING_MM, spacing, strict=True))
    case = CaseFingerprint((shape[0], shape[1], shape[2]), (spacing[0], spacing[1], spacing[2]), intensities)
    plan = make_plan(Fingerprint((case,), (), is_2d=False), manifest, device="cuda")
    if not is_quick:
        return plan
    tiny = {"network": _TINY, "training": {"patch_size": [16, 16, 16]}, "inference": {"patch_size": [16, 16, 16]}}
    return override_plan(plan, tiny, source="the quick benchmark")


def sizes(patch: tuple[int, int, int], batch: int) -> str:
    """Patch and batch as rows name them."""
    return f"{'×'.join(map(str, patch))} × {batch}"
