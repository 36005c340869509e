"""Compiled loops are loaded while a scan is prepared, and only where they will be used."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys, threading
import numpy as np, torch
from medseg.geometry import Geometry
from medseg.preprocess.segmentation import restore
from medseg.targets import ExclusiveLabels

turned = np.array({axes}, float)
native = Geometry((40, 30, 20), turned)
grid = Geometry((20, 15, 20), native.affine @ np.diag([2, 2, 1, 1]))
target = ExclusiveLabels(labels={{"background": 0, "liver": 1, "spleen": 2}})
restore._MANY_VALUES = {many}
for _ in range(2):
    restore.begin_loading(grid, native, target=target, axis={axis}, device=torch.device("{device}"))
threads = [one for one in threading.enumerate() if one.name == "loading loops"]
assert len(threads) <= 1
for one in threads:
    one.join()
if "numba" not in sys.modules:
    print("nothing")
else:
    from medseg.preprocess.segmentation.cell_kernel import decide_cells, largest_channels
    before = [len(loop.signatures) for loop in (decide_cells, largest_channels)]
    restore.restore_planes([torch.rand(3, *grid.shape)], grid, native, target=target, axis={axis})
    after = [len(loop.signatures) for loop in (decide_cells, largest_channels)]
    print(before, after)
"""
STRAIGHT = "np.eye(4)"
TURNED = "[[0, 0, -1, 5], [1, 0, 0, 6], [0, -1, 0, 7], [0, 0, 0, 1]]"


def said(**values: object) -> str:
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(**values)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(("axes", "axis"), [(STRAIGHT, 0), (STRAIGHT, 2), (TURNED, 1)])
def test_every_loop_of_a_mask_was_loaded_before(axes: str, axis: int) -> None:
    assert said(axes=axes, many=0, axis=axis, device="cpu") == "[1, 1] [1, 1]"


@pytest.mark.parametrize(("many", "device"), [(10**9, "cpu"), (0, "cuda")])
def test_nothing_is_loaded_for_small_masks_and_on_a_gpu(many: int, device: str) -> None:
    assert said(axes=STRAIGHT, many=many, axis=1, device=device) == "nothing"
