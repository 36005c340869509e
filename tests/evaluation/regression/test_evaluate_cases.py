from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.evaluation.regression import MeasuredQuantities, QuantityContract, evaluate_quantity_cases
from medseg.manifest import load_manifest

from tests.evaluation.regression.made_dataset import GRID, write_dataset, write_map, write_volume
from tests.evaluation.regression.made_doses import beam
from tests.grids import grid

DOSE = beam(GRID.shape, GRID.spacing_mm)[0]


def measured(folder: Path) -> MeasuredQuantities:
    manifest, root = load_manifest(folder)
    contract = QuantityContract()
    return evaluate_quantity_cases(manifest.cases, manifest, root, maps=folder / "maps", contract=contract)


def test_every_quantity_is_measured_over_the_scan_and_in_every_structure(tmp_path: Path) -> None:
    write_dataset(tmp_path, errors={"a": 1.0})
    found = measured(tmp_path)
    assert found.failures == ()
    rows = {(row.quantity, row.scope): row for row in found.rows}
    assert list(rows) == [(name, scope) for name in ("dose", "ct") for scope in ("all", "PTV", "cord", "spleen")]
    assert rows["dose", "all"].values["mae"] == pytest.approx(1, abs=1e-6)
    assert rows["dose", "all"].values["gamma_pass_rate"] == 1  # 1 of 60 Gy is less than 3 %
    assert rows["dose", "PTV"].values["dmean_error"] == pytest.approx(1, abs=1e-5)
    assert rows["ct", "cord"].values["bias"] == pytest.approx(-10, abs=1e-4)
    assert rows["dose", "spleen"].voxels == 0
    assert "gamma_pass_rate" not in rows["ct", "all"].values
    assert rows["dose", "PTV"].voxels == int((DOSE > 45).sum())


def test_unknown_voxels_are_left_out_and_counted(tmp_path: Path) -> None:
    write_dataset(tmp_path, errors={"a": 1.0})
    partly = DOSE.copy()
    partly[:6] = np.nan
    write_volume(partly, tmp_path / "a_dose.nii.gz")
    off = np.where(np.isnan(partly), 50, DOSE + np.float32(1))
    write_map(tmp_path / "maps", "dose", "a", off.astype(np.float32))
    rows = [row for row in measured(tmp_path).rows if row.quantity == "dose"]
    assert rows[0].values["mae"] == pytest.approx(1, abs=1e-6)
    assert (rows[0].voxels, rows[0].unknown_share) == (DOSE[6:].size, 0.25)
    known = int((DOSE[6:] > 45).sum())
    assert rows[1].voxels == known
    assert rows[1].unknown_share == pytest.approx(1 - known / (DOSE > 45).sum())


def test_cases_without_a_label_are_measured_as_a_whole(tmp_path: Path) -> None:
    path = write_dataset(tmp_path, errors={"a": 1.0})
    path.write_text(path.read_text().replace('"label": "a_label.nii.gz", ', ""))
    assert [(row.quantity, row.scope) for row in measured(tmp_path).rows] == [("dose", "all"), ("ct", "all")]


def _no_map(maps: Path) -> None:
    (maps / "ct" / "a.nii.gz").unlink()


def _other_unit(maps: Path) -> None:
    write_map(maps, "dose", "a", DOSE, unit="cGy")


def _other_grid(maps: Path) -> None:
    shifted = grid((24, 20, 14), spacing_mm=(2.0, 2.5, 3.0))
    write_volume(DOSE.reshape(shifted.shape), maps / "dose" / "a.nii.gz", geometry=shifted)


def _not_finite(maps: Path) -> None:
    write_map(maps, "dose", "a", np.where(DOSE > 50, np.nan, DOSE).astype(np.float32))


def _damaged_sidecar(maps: Path) -> None:
    (maps / "dose" / "a.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_no_map, "case a: predicted ct must lie in maps/ct, found none"),
        (_other_unit, "case a: predicted dose must be in Gy, as the manifest says, got 'cGy'"),
        (_other_grid, "case a: predicted dose must lie on the grid of its reference"),
        (_not_finite, "case a: predicted dose must hold finite values, got"),
        (_damaged_sidecar, "case a: a.json beside predicted dose must be JSON"),
    ],
)
def test_bad_case_is_listed_and_does_not_stop_the_others(tmp_path: Path, spoil: Any, reason: str) -> None:
    write_dataset(tmp_path, errors={"a": 1.0, "b": 2.0})
    spoil(tmp_path / "maps")
    found = measured(tmp_path)
    assert [failure.reason[: len(reason)] for failure in found.failures] == [reason]
    assert {row.case_id for row in found.rows} == {"b"}


def test_unit_that_nobody_states_is_reported(tmp_path: Path) -> None:
    write_dataset(tmp_path, errors={"a": 1.0, "b": 2.0})
    (tmp_path / "maps" / "dose" / "b.json").unlink()
    write_map(tmp_path / "maps", "ct", "a", DOSE, unit=None)
    assert measured(tmp_path).without_unit == {"dose": ("b",), "ct": ("a",)}
