"""What nnU-Net's models see of a scan: the box that is not 0, in normalised intensities."""

from __future__ import annotations

import numpy as np
import pytest
from medseg.errors import ConfigError, ScanError
from medseg.geometry import Geometry
from medseg.origin import PictureOrigin
from medseg.preprocess.nnunet import (
    NnunetPreprocess,
    NnunetResampling,
    NnunetScheme,
    StageLabels,
    nnunet_grids,
    nnunet_image,
)
from medseg.preprocess.nnunet.crop import nonzero_box, nonzero_region
from medseg.preprocess.nnunet.normalise import normalise
from medseg.records import Scan
from pydantic import ValidationError
from scipy import ndimage

NONE = NnunetScheme(kind="none")
RNG = np.random.default_rng(0)


def scan_of(array: np.ndarray, spacing_mm: tuple[float, float, float] = (1.0, 2.0, 3.0)) -> Scan:
    i, j, k = array.shape[-3:]
    return Scan(array.astype(np.float32), Geometry((i, j, k), np.diag([*spacing_mm, 1.0])))


def test_box_holds_what_is_not_zero_in_some_channel() -> None:
    array = np.zeros((2, 6, 7, 8), np.float32)
    array[0, 2, 3, 4] = array[1, 4, 3, 6] = -1
    assert nonzero_box(array) == (range(2, 5), range(3, 4), range(4, 7))
    assert nonzero_box(np.zeros((1, 3, 4, 5), np.float32)) == (range(3), range(4), range(5))


def test_region_has_its_holes_filled_as_scipy_fills_them() -> None:
    array = (ndimage.gaussian_filter(RNG.normal(size=(20, 21, 22)), 1.5) > 0.02).astype(np.float32)
    array[5:15, 5:15, 5:15] = 1
    array[8:12, 8:12, 8:12] = 0
    filled = ndimage.binary_fill_holes(array)
    assert filled[10, 10, 10]
    np.testing.assert_array_equal(nonzero_region(array[None]), filled)


def test_ct_is_clipped_and_standardised_by_the_training_set() -> None:
    scheme = NnunetScheme(kind="ct", clip=(-100, 300), mean=50, std=25)
    found = normalise(np.array([[[-500.0, 50.0, 75.0, 900.0]]]), scheme)
    np.testing.assert_allclose(found, [[[-6, 0, 1, 10]]])
    assert found.dtype == np.float32


def test_zscore_counts_and_changes_the_region_alone_if_it_is_masked() -> None:
    image = np.array([[[1.0, 3.0, 100.0]]])
    region = np.array([[[True, True, False]]])
    masked = normalise(image, NnunetScheme(kind="zscore", is_masked=True), region=region)
    np.testing.assert_allclose(masked, [[[-1, 1, 100]]])
    whole = normalise(image, NnunetScheme(kind="zscore"), region=region)
    np.testing.assert_allclose(whole, (image - image.mean()) / image.std(), rtol=1e-6)


def test_zscore_of_a_constant_is_zero() -> None:
    assert not normalise(np.full((2, 2, 2), 7.0), NnunetScheme(kind="zscore")).any()


def test_ranges_and_colours_are_mapped_to_0_to_1() -> None:
    image = np.array([[[-2.0, 0.0, 6.0]]])
    np.testing.assert_allclose(normalise(image, NnunetScheme(kind="to_01")), [[[0, 0.25, 1]]])
    np.testing.assert_allclose(normalise(image + 2, NnunetScheme(kind="rgb_to_01")), [[[0, 2 / 255, 8 / 255]]])
    with pytest.raises(ScanError, match="must have values from 0 to 255, got -2 to 6"):
        normalise(image, NnunetScheme(kind="rgb_to_01"))


def test_axes_are_read_backwards_and_transposed() -> None:
    config = NnunetPreprocess(transpose=(1, 0, 2), spacing_mm=(1.0, 6.0, 1.0), schemes=(NONE,))
    scan = scan_of(1 + RNG.random((1, 6, 4, 5)))
    grids = nnunet_grids(scan, config)
    assert grids.native.shape == (4, 5, 6)  # of (k, j, i) = (5, 4, 6) the second first
    assert grids.network.shape == (8, 2, 6)  # 4 × 2 mm at 1 mm, 5 × 3 mm at 6 mm rounded half to even, 6 × 1 mm at 1 mm
    assert grids.network.spacing_mm == pytest.approx((1.0, 7.5, 1.0))


def test_scan_is_turned_to_ras_first_if_the_reader_did_so() -> None:
    array = 1 + RNG.random((1, 3, 4, 5))
    flipped = Scan(array[:, ::-1].astype(np.float32), Geometry((3, 4, 5), np.diag([-1.0, 1, 1, 1])))
    config = NnunetPreprocess(is_reoriented=True, spacing_mm=(1.0, 1.0, 1.0), schemes=(NONE,))
    image = nnunet_image(flipped, nnunet_grids(flipped, config), config)
    np.testing.assert_array_equal(image[0], array[0].transpose(2, 1, 0).astype(np.float32))


@pytest.mark.parametrize(
    ("spacing_mm", "target_mm", "rule", "axis"),
    [
        ((1, 1, 5), (5.0, 1.0, 1.0), None, 0),
        ((1, 1, 2), (5.0, 1.0, 1.0), None, 0),  # the network's grid alone is coarse
        ((1, 1, 2), (2.0, 1.0, 1.0), None, None),
        ((1, 5, 5), (1.0, 1.0, 1.0), None, None),  # two axes share the largest spacing
        ((1, 1, 5), (5.0, 1.0, 1.0), False, None),
        ((1, 1, 2), (2.0, 1.0, 1.0), True, 0),
    ],
)
def test_a_coarse_axis_is_resampled_on_its_own(
    spacing_mm: tuple[float, float, float], target_mm: tuple[float, ...], rule: bool | None, axis: int | None
) -> None:
    config = NnunetPreprocess(spacing_mm=target_mm, schemes=(NONE,))
    grids = nnunet_grids(scan_of(np.ones((1, 6, 6, 6)), spacing_mm), config)
    assert grids.coarse_axis(NnunetResampling(order=3, separate_z=rule)) == axis


def test_slices_of_a_picture_lie_far_apart() -> None:
    scan = scan_of(np.ones((1, 8, 6, 1)), (0.3, 0.3, 1.0))
    picture = Scan(scan.array, scan.geometry, PictureOrigin(__file__))  # type: ignore[arg-type]
    config = NnunetPreprocess(spacing_mm=(2.0, 1.0), schemes=(NONE,))
    assert nnunet_grids(picture, config).network.shape == (3, 8, 1)  # 6 rows at 2, 8 columns at 1, one slice


def test_labels_of_an_earlier_stage_become_channels() -> None:
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[:3], labels[3:] = 1, 2
    scan = scan_of(np.ones((1, 6, 6, 6)), (2, 2, 2))
    config = NnunetPreprocess(spacing_mm=(1.0, 1.0, 1.0), schemes=(NONE,))
    image = nnunet_image(scan, nnunet_grids(scan, config), config, earlier=StageLabels(labels, (1, 2)))
    assert image.shape == (3, 12, 12, 12)
    expected = np.repeat(labels, 2, axis=0)[:, 0, 0]
    np.testing.assert_array_equal(image[1, 0, 0], expected == 1)
    np.testing.assert_array_equal(image[2, 5, 7], expected == 2)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValidationError, match="normalisation ct must have clip, mean and std"):
        NnunetScheme(kind="ct", clip=(0, 1))
    with pytest.raises(ValidationError, match="must name each of the axes 0, 1 and 2 once"):
        NnunetPreprocess(transpose=(0, 0, 1), spacing_mm=(1, 1, 1), schemes=(NONE,))
    with pytest.raises(ValidationError, match="must be positive"):
        NnunetPreprocess(spacing_mm=(1, 0, 1), schemes=(NONE,))
    with pytest.raises(ValidationError, match="must be resampled with order 1"):
        NnunetPreprocess(spacing_mm=(1, 1, 1), schemes=(NONE,), logits=NnunetResampling(order=3))
    config = NnunetPreprocess(spacing_mm=(1.0, 1.0, 1.0), schemes=(NONE, NONE))
    scan = scan_of(np.ones((1, 4, 4, 4)))
    with pytest.raises(ConfigError, match="one scheme for each of 1 channels, got 2"):
        nnunet_image(scan, nnunet_grids(scan, config), config)
