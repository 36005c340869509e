"""Any rigid voxel grid, drawn by hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from medseg.geometry import Geometry

from tests.grids import ALL_AXCODES, grid

_spacings = st.floats(0.3, 6.0)
_millimetres = st.floats(-300, 300)


@st.composite
def grids(draw: st.DrawFn, *, max_tilt: float = np.pi, min_size: int = 1) -> Geometry:
    """Any rigid grid: each axis order and direction, spacing, place, and tilt up to `max_tilt` radians per axis."""
    sizes = st.integers(min_size, 12)
    # Not below a micro-radian: SimpleITK cannot invert a direction whose parts are subnormal numbers.
    tilts = st.floats(-max_tilt, max_tilt).map(lambda angle: round(angle, 6))
    return grid(
        draw(st.tuples(sizes, sizes, sizes)),
        spacing_mm=draw(st.tuples(_spacings, _spacings, _spacings)),
        angles=draw(st.tuples(tilts, tilts, tilts)),
        origin_mm=draw(st.tuples(_millimetres, _millimetres, _millimetres)),
        axcodes=draw(st.sampled_from(ALL_AXCODES)),
    )
