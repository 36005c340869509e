"""Quantities in the store: values as they were read, and NaN where one is not known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from medseg.cohort import SERIAL
from medseg.geometry import Geometry
from medseg.manifest import load_manifest
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.regression import PreparedValues, prepare_values, resample_values
from medseg.preprocess.regression.prepare import sample_centres
from medseg.scans import write_scan

from tests.grids import OBLIQUE
from tests.quantity_data import dose_of, smooth_image, write_dose_dataset

SHAPE = (16, 14, 12)


def prepared(path: Path, *, spacing_mm: tuple[float, float, float] | None = None) -> PreparedValues:
    manifest, root = load_manifest(path)
    config = PreprocessConfig(spacing_mm=spacing_mm, normalisation=(ChannelNormalisation(kind="none"),))
    store = path.parent / "store"
    return prepare_values(manifest.cases, manifest, root, config=config, store=store, executor=SERIAL)


def test_values_and_images_are_stored_in_single_precision_as_they_were_read(tmp_path: Path) -> None:
    (case, _), failures = prepared(write_dose_dataset(tmp_path, cases=2))
    assert not failures
    assert (case.image().dtype, case.values().dtype) == (np.float32, np.float32)
    np.testing.assert_array_equal(case.values()[...][0], dose_of(smooth_image(0, SHAPE)))
    np.testing.assert_array_equal(case.native_values(), case.values()[...])
    np.testing.assert_array_equal(case.image()[...][0], smooth_image(0, SHAPE))


def test_a_second_preparation_finds_the_entries_and_another_dose_makes_a_new_one(tmp_path: Path) -> None:
    path = write_dose_dataset(tmp_path, cases=1)
    first = prepared(path).cases[0]
    assert prepared(path).cases[0].folder == first.folder
    dose = dose_of(smooth_image(9, SHAPE))
    write_scan(dose[np.newaxis], Geometry(SHAPE, np.diag([2.0, 2.0, 3.0, 1.0])), tmp_path / "case_0_dose.nii.gz")
    changed = prepared(path).cases[0]
    assert changed.folder != first.folder
    np.testing.assert_array_equal(changed.native_values()[0], dose)


def test_what_is_not_known_is_not_known_on_a_coarser_grid_either(tmp_path: Path) -> None:
    case = prepared(write_dose_dataset(tmp_path, cases=1, unknown=True), spacing_mm=(4.0, 4.0, 6.0)).cases[0]
    values, native = case.values()[...], case.native_values()
    assert case.unknown == (3 / 16,)
    assert np.isnan(native[:, :3]).all()
    assert not np.isnan(native[:, 3:]).any()
    assert np.isnan(values[:, :1]).all()
    assert not np.isnan(values[:, -3:]).any()


def test_one_bad_case_fails_alone(tmp_path: Path) -> None:
    path = write_dose_dataset(tmp_path, cases=2)
    (tmp_path / "case_0_dose.nii.gz").unlink()
    done = prepared(path)
    assert [case.case_id for case in done.cases] == ["case_1"]
    assert "case_0_dose.nii.gz must exist" in done.failures[0].reason


def test_a_linear_quantity_stays_linear_on_a_finer_grid() -> None:
    grid = OBLIQUE
    i, j, k = grid.spacing_mm
    target = grid.resampled((0.7 * i, 0.9 * j, 0.6 * k))
    index = np.moveaxis(np.indices(grid.shape, dtype=np.float64), 0, -1)
    ramp = (grid.world_mm(index.reshape(-1, 3)) @ [0.3, -1.2, 0.7] + 50).reshape(1, *grid.shape).astype(np.float32)
    index = np.moveaxis(np.indices(target.shape, dtype=np.float64), 0, -1)
    expected = (target.world_mm(index.reshape(-1, 3)) @ [0.3, -1.2, 0.7] + 50).reshape(target.shape)
    inner = tuple(slice(1, -1) for _ in range(3))
    np.testing.assert_allclose(resample_values(ramp, grid, target)[0][inner], expected[inner], rtol=1e-5)


def test_the_same_grid_changes_no_value() -> None:
    values = np.random.default_rng(0).uniform(-1e3, 1e3, (2, *OBLIQUE.shape)).astype(np.float32)
    values[0, 2] = np.nan
    np.testing.assert_array_equal(resample_values(values, OBLIQUE, OBLIQUE), values)


def test_centres_are_known_voxels_and_the_tenth_that_is_most_unusual() -> None:
    values = np.zeros((1, 10, 10, 10), np.float32)
    values[0, :, :, 9] = np.linspace(10, 20, 100).reshape(10, 10)
    values[0, 0] = np.nan
    centres = sample_centres(values)
    assert (centres[:, 1] > 0).all()
    assert (centres[:, 0] == 0).sum() == 900
    unusual = centres[centres[:, 0] == 1, 1:]
    assert len(unusual) == 90
    assert (unusual[:, 2] == 9).all()
