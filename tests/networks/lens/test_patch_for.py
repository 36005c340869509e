"""Patches for structures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medseg.errors import ConfigError
from medseg.networks.lens import patch_for_structure

LENGTH = st.floats(0, 500)


def test_patch_holds_structure_and_field_in_voxels_of_the_grid() -> None:
    """(60 + 20) / 2 = 40 and (30 + 20) / 3 = 16.7 voxels, up to multiples of 16 and 4."""
    sizes = {"spacing_mm": (2.0, 3.0), "field_mm": (20.0, 20.0)}
    assert patch_for_structure((60, 30), **sizes) == (40, 17)
    assert patch_for_structure((60, 30), **sizes, multiple=(16, 4)) == (48, 20)
    assert patch_for_structure((60, 30), **sizes, margin=0.5) == (35, 14)
    assert patch_for_structure((60, 30), spacing_mm=(2.0, 3.0)) == (30, 10)


def test_rounding_error_costs_no_voxel() -> None:
    assert patch_for_structure((0.1,), spacing_mm=(0.1,), field_mm=(0.2,)) == (3,)


def test_nothing_needs_one_step() -> None:
    assert patch_for_structure((0.0, 0.0), spacing_mm=(1.0, 1.0), multiple=(1, 8)) == (1, 8)


@given(structure=LENGTH, field=LENGTH, spacing=st.floats(0.1, 10), step=st.integers(1, 32))
def test_patch_is_enough_and_one_step_less_is_not(structure: float, field: float, spacing: float, step: int) -> None:
    (patch,) = patch_for_structure((structure,), spacing_mm=(spacing,), field_mm=(field,), multiple=(step,))
    assert patch % step == 0
    assert patch * spacing >= (structure + field) * (1 - 1e-6)
    assert patch == step or (patch - step) * spacing < structure + field


@pytest.mark.parametrize(
    ("structure", "spacing", "field", "margin", "step"),
    [(-1, 1, 1, 1, 1), (1, 0, 1, 1, 1), (1, 1, -1, 1, 1), (1, 1, 1, -0.5, 1), (1, 1, 1, 1, 0)],
)
def test_impossible_length_is_refused(structure: float, spacing: float, field: float, margin: float, step: int) -> None:
    with pytest.raises(ConfigError, match="must not be negative, spacing and multiple positive"):
        patch_for_structure((structure,), spacing_mm=(spacing,), field_mm=(field,), margin=margin, multiple=(step,))
