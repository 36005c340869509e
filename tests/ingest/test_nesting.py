"""The drawing order of structures, which does not depend on the size of a voxel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.ingest.label_source import LabelSource
from medseg.ingest.nesting import drawing_order
from medseg.scans.dicom import Extent

from tests.grids import grid


def label(name: str, low: float, high: float, scale: float) -> LabelSource:
    """A cube between two places along every axis, in voxels."""
    box = np.array([[low] * 3, [high] * 3]) * scale
    size = ((high - low) * scale) ** 3
    return LabelSource(Path(f"{name}.nii.gz"), "mask", (name,), extents=(Extent(name, size, box),))


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6, 20.0])
def test_only_what_lies_within_another_is_drawn_above_it(scale: float) -> None:
    image = grid((30, 30, 30), spacing_mm=(scale, scale, scale))
    beside = [label("large", 0, 9, scale), label("small", 12, 15, scale)]
    assert drawing_order([(image, beside)], str) == ()
    held = [label("inner", 2.0, 9.02, scale), label("outer", 0, 9, scale)]
    assert drawing_order([(image, held)], str) == ("outer", "inner")
    leaving = [label("inner", 2.0, 9.5, scale), label("outer", 0, 9, scale)]
    assert drawing_order([(image, leaving)], str) == ()
