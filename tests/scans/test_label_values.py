"""A label is its scaled values, as every other program shows them, whatever way its file codes them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ScanError
from medseg.scans import read_label
from PIL import Image

LABELS = np.zeros((6, 5, 4), np.uint8)
LABELS[1:5, 1:4, 1:3], LABELS[2:4, 2:3, 1:3] = 1, 2


def write_stored(
    path: Path, stored: np.ndarray, *, slope: float = 1.0, intercept: float = 0.0, kind: Any = nibabel.Nifti1Image
) -> Path:
    """A NIfTI file of exactly these stored values under exactly this slope."""
    image = kind(stored, np.diag([1.0, 2.0, 3.0, 1.0]), dtype=stored.dtype)
    header = image.header.copy()
    start = 352 if kind is nibabel.Nifti1Image else 544
    header["vox_offset"], header["scl_slope"], header["scl_inter"] = start, slope, intercept
    header["magic"] = b"n+1" if start == 352 else header["magic"]
    content = header.binaryblock + b"\0" * 4 + stored.tobytes(order="F")
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    return path


@st.composite
def codings(draw: st.DrawFn) -> dict[str, Any]:
    """A way to store whole values from 0 to 2: a type, a slope, an intercept and the noise of single precision."""
    dtype = np.dtype(draw(st.sampled_from(["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])))
    kind = draw(st.sampled_from([nibabel.Nifti1Image, nibabel.Nifti2Image]))
    ending = draw(st.sampled_from([".nii", ".nii.gz"]))
    if dtype.kind == "f":
        slope, intercept = draw(st.sampled_from([(1.0, 0.0), (0.1, 0.0), (-1.0, 2.0), (1 / 127, -1.0), (3.0, 7.0)]))
        noise = draw(st.floats(-2e-5, 2e-5))
        stored = (LABELS.astype(np.float64) * (1 + noise) - intercept) / slope
        return {"stored": stored.astype(dtype), "slope": slope, "intercept": intercept, "kind": kind, "ending": ending}
    factor = draw(st.sampled_from([1, 2, 10, 60, 63]))
    shift = draw(st.integers(0, 127 - 2 * factor)) if factor < 63 else 0
    is_turned = draw(st.booleans())
    stored = (2 - LABELS if is_turned else LABELS).astype(np.int64) * factor + shift
    slope = -1 / factor if is_turned else 1 / factor
    intercept = (2 if is_turned else 0) - shift * slope
    return {"stored": stored.astype(dtype), "slope": slope, "intercept": intercept, "kind": kind, "ending": ending}


@settings(max_examples=120, deadline=None)
@given(coding=codings())
def test_every_coding_of_a_nifti_label_loads_alike(tmp_path_factory: pytest.TempPathFactory, coding: Any) -> None:
    path = tmp_path_factory.mktemp("label") / f"a{coding.pop('ending')}"
    write_stored(path, coding.pop("stored"), **coding)
    shown = nibabel.load(path).get_fdata()
    np.testing.assert_allclose(shown, LABELS, atol=1e-4)  # another program shows the values
    label, geometry = read_label(path, case_id="c")
    np.testing.assert_array_equal(label, LABELS)
    assert label.dtype == np.uint8
    assert geometry.spacing_mm == pytest.approx((1, 2, 3))


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8"])
def test_every_type_of_an_itk_label_loads_alike(tmp_path: Path, ending: str, dtype: str) -> None:
    values = LABELS.transpose(2, 1, 0).astype(dtype)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(tmp_path / f"a{ending}"))
    np.testing.assert_array_equal(read_label(tmp_path / f"a{ending}", case_id="c")[0], LABELS)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_noise_of_single_precision_is_rounded_away(tmp_path: Path, ending: str) -> None:
    values = LABELS.transpose(2, 1, 0).astype(np.float32) * np.float32(1.0000153)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(tmp_path / f"a{ending}"))
    np.testing.assert_array_equal(read_label(tmp_path / f"a{ending}", case_id="c")[0], LABELS)


def test_picture_of_label_values_loads_alike(tmp_path: Path) -> None:
    Image.fromarray(LABELS[:, :, 1].T).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_label(tmp_path / "a.png", case_id="c")[0][..., 0], LABELS[:, :, 1])


def test_stored_background_may_be_other_than_zero(tmp_path: Path) -> None:
    write_stored(tmp_path / "a.nii", 3 - LABELS, slope=-1.0, intercept=3.0)
    np.testing.assert_array_equal(read_label(tmp_path / "a.nii", case_id="c")[0], LABELS)


def test_negative_zero_is_background(tmp_path: Path) -> None:
    write_stored(tmp_path / "a.nii", np.where(LABELS == 0, np.float32(-0.0), LABELS.astype(np.float32)))
    np.testing.assert_array_equal(read_label(tmp_path / "a.nii", case_id="c")[0], LABELS)


def test_values_spread_over_the_range_of_a_byte_are_rounded_to_half_a_step(tmp_path: Path) -> None:
    stored = np.array([0, 128, 255], np.uint8)[LABELS]  # 128 is shown as 1.0039
    write_stored(tmp_path / "a.nii", stored, slope=2 / 255)
    np.testing.assert_array_equal(read_label(tmp_path / "a.nii", case_id="c")[0], LABELS)


@pytest.mark.parametrize("slope", [1 / 127, np.float32(0.1), 7.0])
def test_large_values_survive_a_slope_in_single_precision(tmp_path: Path, slope: float) -> None:
    values = np.arange(1, 121).reshape(6, 5, 4) * 7
    stored = np.rint(values / slope).astype(np.int32)
    write_stored(tmp_path / "a.nii", stored, slope=slope)
    np.testing.assert_array_equal(read_label(tmp_path / "a.nii", case_id="c")[0], values)


def test_slope_that_makes_fractions_is_named(tmp_path: Path) -> None:
    write_stored(tmp_path / "a.nii", LABELS, slope=0.75)
    fact = r"whole numbers, got fractions or NaN: 0\.75, 1\.5 \(stored values times the header's slope 0\.75 plus"
    with pytest.raises(ScanError, match=fact):
        read_label(tmp_path / "a.nii", case_id="c")


def test_probabilities_in_a_byte_are_no_labels(tmp_path: Path) -> None:
    write_stored(tmp_path / "a.nii", LABELS * np.uint8(120), slope=1 / 255)
    with pytest.raises(ScanError, match=r"got fractions or NaN: 0\.470588, 0\.94117[67] \(stored"):
        read_label(tmp_path / "a.nii", case_id="c")


def test_intercept_below_zero_is_named(tmp_path: Path) -> None:
    write_stored(tmp_path / "a.nii", LABELS, slope=1.0, intercept=-1.0)
    with pytest.raises(ScanError, match=r"must not be negative, got -1 \(stored values .* intercept -1\)"):
        read_label(tmp_path / "a.nii", case_id="c")


@pytest.mark.parametrize("slope", [0.0, np.nan, np.inf])
def test_slope_without_meaning_scales_nothing(tmp_path: Path, slope: float) -> None:
    write_stored(tmp_path / "a.nii", LABELS, slope=slope)
    np.testing.assert_array_equal(read_label(tmp_path / "a.nii", case_id="c")[0], LABELS)
