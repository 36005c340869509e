from __future__ import annotations

import numpy as np
import pytest
from medseg.audit.facts import LabelFacts
from medseg.audit.label_facts import label_values, measure_labels
from medseg.geometry import Geometry

from tests.grids import grid

NAMES = {"liver": 1, "tumour": 2}


def measure(label: np.ndarray, geometry: Geometry, *, is_instances: bool = False) -> dict[str, LabelFacts]:
    names = {"cell": 1} if is_instances else NAMES
    return measure_labels(label, geometry, names, is_instances=is_instances, is_picture=False)


def test_box_has_its_volume_and_centre() -> None:
    geometry = grid((20, 20, 20), spacing_mm=(1, 2, 5), origin_mm=(10, 20, 30), angles=(0.1, 0.2, 0.3), axcodes="LPS")
    label = np.zeros(geometry.shape, np.uint8)
    label[2:6, 3:8, 4:10] = 1
    facts = measure(label, geometry)["liver"]
    assert facts.voxels == 4 * 5 * 6
    assert facts.ml == pytest.approx(120 * 10 / 1000)
    np.testing.assert_allclose(facts.centroid_mm, geometry.world_mm(np.array([[3.5, 5.0, 6.5]]))[0])


def test_memory_order_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    label = (rng.random((9, 12, 15)) < 0.1).astype(np.uint8) * rng.integers(1, 3, (9, 12, 15), dtype=np.uint8)
    label[2:7, 2:7, 2:7] = 1
    rows, columns = (measure(np.array(label, order=order), grid((9, 12, 15))) for order in ("C", "F"))
    assert rows == columns
    assert rows["liver"].specks > 0


def test_labels_that_are_not_there_have_no_facts() -> None:
    label = np.zeros((5, 5, 5), np.uint8)
    label[1, 1, 1] = 7
    assert measure(label, grid((5, 5, 5))) == {}
    assert label_values(label) == [7]


def with_speck(voxels: int, *, spacing_mm: float = 1.0, body: int = 20) -> LabelFacts:
    """A cube of `body` voxels a side with a row of `voxels` beside it."""
    shape = (60, 60, 60)
    label = np.zeros(shape, np.uint8)
    label[:body, :body, :body] = 1
    label[40, 40, 5 : 5 + voxels] = 1
    return measure(label, grid(shape, spacing_mm=(spacing_mm,) * 3))["liver"]


@pytest.mark.parametrize(
    ("voxels", "spacing_mm", "body", "specks"),
    [
        (1, 1.0, 20, 1),
        (10, 1.0, 20, 1),
        (11, 1.0, 20, 0),  # more than ten voxels
        (6, 1.0, 6, 0),  # more than a fiftieth of the largest
        (4, 1.0, 6, 1),
        (10, 4.0, 20, 0),  # 0.64 ml, and more than a thousandth
        (4, 4.0, 20, 1),  # 0.26 ml
        (8, 5.0, 20, 1),  # 1 ml, but a thousandth of the largest
    ],
)
def test_what_is_a_speck(voxels: int, spacing_mm: float, body: int, specks: int) -> None:
    facts = with_speck(voxels, spacing_mm=spacing_mm, body=body)
    assert facts.specks == specks
    assert facts.speck_voxels == voxels * specks
    assert facts.speck_ml == pytest.approx(specks * voxels * spacing_mm**3 / 1000)


def test_voxel_that_touches_at_a_corner_is_no_speck() -> None:
    label = np.zeros((30, 30, 30), np.uint8)
    label[:20, :20, :20] = 1
    label[20, 20, 20] = 1
    assert measure(label, grid((30, 30, 30)))["liver"].specks == 0


def test_small_instances_are_no_specks_but_their_crumbs_are() -> None:
    cells = np.zeros((40, 40, 1), np.uint16)
    cells[2:4, 2:4] = 1
    cells[10:30, 10:30] = 500
    assert measure(cells, grid((40, 40, 1)), is_instances=True)["cell"].specks == 0
    cells[38, 38] = 500
    facts = measure(cells, grid((40, 40, 1)), is_instances=True)["cell"]
    assert (facts.specks, facts.voxels) == (1, 4 + 400 + 1)
