from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from medseg.delivery.charts import COLOURS
from medseg.delivery.regression import save_dvh_chart, save_volume_picture
from medseg.evaluation.regression import QuantityContract, QuantityMetrics, measure_quantity
from medseg.geometry import Geometry
from medseg.quantity import Quantity
from medseg.records import Array
from PIL import Image

from tests.evaluation.regression.made_doses import beam
from tests.grids import grid

GRID = grid((14, 12, 9), spacing_mm=(2.0, 2.5, 3.0), angles=(0.1, 0.0, 0.2), axcodes="LPS")
DOSE, PREDICTED = beam(GRID.shape, GRID.spacing_mm)
GRAY = Quantity(unit="Gy", prescription=60.0)
UNKNOWN = (0x60, 0x60, 0x60)


def picture(
    path: Path, reference: Array, predicted: Array, geometry: Geometry = GRID, quantity: Quantity = GRAY
) -> Array:
    save_volume_picture(reference, predicted, geometry, path, quantity=quantity, title="a case")
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def share_of(pixels: Array, colour: tuple[int, int, int]) -> float:
    return float((np.abs(pixels - colour).max(axis=2) <= 3).mean())


def test_equal_volumes_have_a_white_difference(tmp_path: Path) -> None:
    same = picture(tmp_path / "same.png", DOSE, DOSE)
    other = picture(tmp_path / "other.png", DOSE, DOSE + np.where(DOSE > 30, 8, 0))
    is_red = [(pixels[..., 0] > pixels[..., 2] + 60) & (pixels[..., 1] < 120) for pixels in (same, other)]
    assert is_red[0].mean() < 0.01  # the colour bar alone
    assert is_red[1].mean() > 0.05


def test_unknown_voxels_are_grey_in_reference_and_difference(tmp_path: Path) -> None:
    partly = DOSE.copy()
    partly[:7] = np.nan
    assert share_of(picture(tmp_path / "all.png", DOSE, PREDICTED), UNKNOWN) < 0.005
    assert share_of(picture(tmp_path / "partly.png", partly, PREDICTED), UNKNOWN) > 0.1


def test_plane_of_the_largest_error_is_shown(tmp_path: Path) -> None:
    wrong = DOSE.copy()
    wrong[1:4, 2:5, 3:6] += 40
    assert share_of(picture(tmp_path / "wrong.png", DOSE, wrong), (103, 0, 31)) > 0.004  # the end of the red


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_single_slice_is_one_row(tmp_path: Path, axis: int) -> None:
    shape = [14, 12, 9]
    shape[axis] = 1
    reference, predicted = (np.take(values, [4], axis=axis) for values in (DOSE, PREDICTED))
    pixels = picture(tmp_path / "slice.png", reference, predicted, grid((shape[0], shape[1], shape[2])))
    assert pixels.shape[0] < pixels.shape[1]


@pytest.mark.parametrize("value", [0.0, -3.5])
def test_volume_of_one_value_can_be_drawn(tmp_path: Path, value: float) -> None:
    flat = np.full(GRID.shape, value, np.float32)
    assert picture(tmp_path / "flat.png", flat, flat, quantity=Quantity(unit="HU")).size


def structures_of(case_id: str, count: int = 2) -> list[QuantityMetrics]:
    cuts = np.linspace(5, 55, count)
    return measure_quantity(
        DOSE,
        PREDICTED,
        name="dose",
        quantity=GRAY,
        case_id=case_id,
        spacing_mm=GRID.spacing_mm,
        structures={f"part {n}": lambda cut=cut: cut < DOSE for n, cut in enumerate(cuts)} | {"no": lambda: DOSE > 99},
        contract=QuantityContract(),
    )


def test_chart_has_a_line_for_each_structure_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "dvh.png"
    save_dvh_chart(structures_of("a"), path, quantity=GRAY, title="dose of case a")
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    drawn = [share_of(pixels, tuple(round(255 * part) for part in to_rgb(colour))) > 0.0005 for colour in COLOURS[:3]]  # type: ignore[arg-type]
    assert drawn == [True, True, False]


def test_more_structures_than_colours_can_be_drawn(tmp_path: Path) -> None:
    save_dvh_chart(structures_of("a", 12), tmp_path / "dvh.png", quantity=GRAY, title="dose")
    assert (tmp_path / "dvh.png").stat().st_size > 0
