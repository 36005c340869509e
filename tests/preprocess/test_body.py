"""The body's box, by hand-made scans, and what the network is given of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.errors import ConfigError
from medseg.geometry import Geometry
from medseg.preprocess import BodyCrop, ChannelNormalisation, PreprocessConfig, body_box, crop_to_body, preprocess_scan
from medseg.preprocess.segmentation import StoredCase, prepare_cases
from medseg.records import Array, Case, Scan
from medseg.scans import write_scan
from pydantic import ValidationError

from tests.grids import OBLIQUE
from tests.manifest.datasets import manifest_of

NOTHING = (ChannelNormalisation(kind="none"),)
SHAPE = (30, 20, 10)
SPACING = Geometry(SHAPE, np.diag([1.0, -2.0, 5.0, 1.0]))


def cropping(*, margin_mm: float = 0.0, above: float | None = None) -> PreprocessConfig:
    return PreprocessConfig(normalisation=NOTHING, body=BodyCrop(above=(above,), margin_mm=margin_mm))


def scan_of(*channels: Array, geometry: Geometry = SPACING) -> Scan:
    return Scan(np.stack(channels).astype(np.float32), geometry)


def in_air(value: float = 40.0) -> Array:
    """A body from (8, 5, 3) to (20, 12, 7) in noisy air."""
    array = np.random.default_rng(0).normal(-1000, 60, SHAPE)
    array[8:20, 5:12, 3:7] = value
    return array


def test_body_of_a_ct_is_what_is_above_the_threshold() -> None:
    crop = BodyCrop(above=(-500.0,), margin_mm=0)
    assert body_box(scan_of(in_air()), crop) == (range(8, 20), range(5, 12), range(3, 7))


def test_margin_is_in_millimetres_and_ends_at_the_scan() -> None:
    crop = BodyCrop(above=(-500.0,), margin_mm=10)
    assert body_box(scan_of(in_air()), crop) == (range(30), range(17), range(1, 9))


@pytest.mark.parametrize("padding", [0.0, -1.0, 77.5])
def test_body_of_a_padded_scan_is_what_is_not_the_padding(padding: float) -> None:
    array = np.full(SHAPE, padding)
    array[3:29, 4:20, 2:9] = np.random.default_rng(1).normal(100, 10, (26, 16, 7))
    array[0, 0, 0] = 5.0  # a corner of its own
    crop = BodyCrop(above=(None,), margin_mm=0)
    assert body_box(scan_of(array), crop) == (range(29), range(20), range(9))
    array[0, 0, 0] = padding
    assert body_box(scan_of(array), crop) == (range(3, 29), range(4, 20), range(2, 9))


def test_noise_to_the_borders_is_no_padding() -> None:
    array = np.abs(np.random.default_rng(2).normal(0, 5, SHAPE))
    assert body_box(scan_of(array), BodyCrop(above=(None,), margin_mm=0)) == tuple(range(n) for n in SHAPE)


def test_body_is_that_of_all_channels_together() -> None:
    one, other = np.zeros(SHAPE), np.zeros(SHAPE)
    one[4:6, 4:6, 4:6] = other[10:12, 3:5, 8:9] = 9
    crop = BodyCrop(above=(None, None), margin_mm=0)
    assert body_box(scan_of(one, other), crop) == (range(4, 12), range(3, 6), range(4, 9))


@pytest.mark.parametrize("above", [-500.0, None])
def test_scan_without_a_body_is_left_whole(above: float | None) -> None:
    array = np.full(SHAPE, -1000.0)
    assert crop_to_body(scan_of(array), cropping(above=above)).box == tuple(range(n) for n in SHAPE)


def test_scan_of_other_channels_is_refused_as_any_is() -> None:
    cropped = crop_to_body(scan_of(in_air(), in_air()), cropping()).scan
    with pytest.raises(ConfigError, match="must have one entry for each of 2 channels, got 1"):
        preprocess_scan(cropped, cropping())


def test_cropped_scan_lies_where_it_lay() -> None:
    scan = scan_of(np.where(in_air() > 0, 40.0, 0.0), geometry=Geometry(SHAPE, SPACING.affine))
    cropped, box = crop_to_body(scan, cropping())
    np.testing.assert_array_equal(cropped.array[0], scan.array[0, 8:20, 5:12, 3:7])
    first = np.array([[extent.start for extent in box]], dtype=float)
    np.testing.assert_allclose(cropped.geometry.world_mm(np.zeros((1, 3))), scan.geometry.world_mm(first))


def test_without_the_setting_nothing_is_cropped_and_no_file_knows_of_it() -> None:
    config = PreprocessConfig(normalisation=NOTHING)
    scan = scan_of(in_air())
    assert crop_to_body(scan, config).scan is scan
    assert "body" not in config.model_dump(mode="json")
    assert "body" in cropping().model_dump(mode="json")


def test_rule_must_be_given_for_every_channel() -> None:
    with pytest.raises(ValidationError, match=r"body\.above must have one entry per channel, 1, got 2"):
        PreprocessConfig(normalisation=NOTHING, body=BodyCrop(above=(None, None)))


def prepared(root: Path, config: PreprocessConfig) -> StoredCase:
    """A case with a label inside the body and a voxel of another outside of it."""
    i, j, k = OBLIQUE.shape
    image, label = np.zeros((1, i, j, k), np.float32), np.zeros((1, i, j, k), np.uint8)
    image[0, 1 : i - 2, 2 : j - 1, 1 : k - 1] = np.random.default_rng(0).normal(50, 5, (i - 3, j - 3, k - 2))
    label[0, 2 : i - 3, 3 : j - 2, 2 : k - 2] = 1
    label[0, i - 1, 0, 0] = 2
    write_scan(image, OBLIQUE, root / "image.nii.gz")
    write_scan(label, OBLIQUE, root / "label.nii.gz")
    manifest = manifest_of([], labels={"background": 0, "organ": 1, "lost": 2})
    case = Case(case_id="a", patient_id="a", images=("image.nii.gz",), label="label.nii.gz")
    done = prepare_cases([case], manifest, root, config=config, store=root / "store")
    assert done.failures == ()
    return done.cases[0]


def test_stored_case_keeps_the_whole_label_and_counts_what_the_crop_cuts(tmp_path: Path) -> None:
    i, j, k = OBLIQUE.shape
    case = prepared(tmp_path, cropping())
    assert case.box == (range(1, i - 2), range(2, j - 1), range(1, k - 1))
    assert case.outside == {2: 1}
    assert set(case.voxels) == {0, 1}
    assert case.native.is_close(OBLIQUE)
    assert case.native_label().shape == OBLIQUE.shape
    assert case.native_label()[i - 1, 0, 0] == 2
    assert case.seen.shape == (i - 3, j - 3, k - 2)
    drawn = case.native_label()[1 : i - 2, 2 : j - 1, 1 : k - 1]
    expected = np.where(case.native_label() == 2, 0, case.native_label())
    np.testing.assert_array_equal(case.on_native(drawn, np.zeros(OBLIQUE.shape, np.uint8)), expected)


def test_store_of_whole_scans_is_as_it_was(tmp_path: Path) -> None:
    case = prepared(tmp_path, PreprocessConfig(normalisation=NOTHING))
    assert (case.box, case.outside) == (None, {})
    assert case.seen is case.native
    assert "box" not in (case.folder / "case.json").read_text(encoding="utf-8")


def test_training_sees_what_prediction_sees(tmp_path: Path) -> None:
    case = prepared(tmp_path, cropping(margin_mm=1))
    array = np.zeros((1, *OBLIQUE.shape), np.float32)
    i, j, k = OBLIQUE.shape
    array[0, 1 : i - 2, 2 : j - 1, 1 : k - 1] = np.random.default_rng(0).normal(50, 5, (i - 3, j - 3, k - 2))
    image, grid, _ = preprocess_scan(crop_to_body(Scan(array, OBLIQUE), cropping(margin_mm=1)).scan, cropping())
    np.testing.assert_allclose(np.asarray(case.image()[...]), image.numpy(), rtol=1e-3)
    assert case.grid.is_close(grid)
