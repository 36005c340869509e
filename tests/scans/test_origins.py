"""Every reader sets the origin, and masks are written in the form that the origin asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.geometry import Geometry
from medseg.origin import ItkOrigin, NiftiOrigin, Origin, PictureOrigin, SeriesOrigin, SourceSlice
from medseg.records import Scan
from medseg.scans import is_picture_file, mask_suffix, read_label, read_picture, read_scan, write_mask, write_scan
from PIL import Image

from tests.grid_strategies import grids
from tests.grids import OBLIQUE

SERIES = SeriesOrigin("1.2.3", "1.2.4", "1.2.5", "CT", (SourceSlice(Path("a"), "1.2.6", "1.2.7"),))
VOLUME_ENDINGS = (".nii.gz", ".nii", ".NII", ".hdr", ".img", ".nrrd", ".nhdr", ".mha", ".mhd")
PICTURE_ENDINGS = (".png", ".PNG", ".tif", ".tiff", ".jpg", ".JPEG")


def write_nifti(path: Path, *, kind: Any = nibabel.Nifti1Image, qform: int = 1, sform: int = 1, **more: Any) -> Path:
    """A volume on the oblique grid, with text about the patient in header and extension."""
    geometry = more.get("geometry", OBLIQUE)
    image = kind(np.ones(geometry.shape, np.int16), geometry.affine)
    image.set_qform(geometry.affine, code=qform)
    image.set_sform(geometry.affine if sform else None, code=sform)
    image.header.set_xyzt_units(more.get("unit", "mm"))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"JANE DOE"))
    image.to_filename(path)
    return path


def write_itk(path: Path) -> Path:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.ones((4, 3, 2), np.int16)), str(path))
    return path


def write_png(path: Path) -> Path:
    Image.fromarray(np.full((4, 6, 3), 99, np.uint8)).save(path)
    return path


def codes_of(path: Path) -> tuple[int, int]:
    header = nibabel.load(path).header
    return int(header["qform_code"]), int(header["sform_code"])


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (".nii.gz", nibabel.Nifti1Image),
        (".nii", nibabel.Nifti2Image),
        (".hdr", nibabel.Nifti1Pair),
        (".img", nibabel.Nifti2Pair),
    ],
)
def test_nifti_comes_from_a_nifti_file_with_its_header(tmp_path: Path, ending: str, kind: Any) -> None:
    path = write_nifti(tmp_path / f"a{ending}", kind=kind, qform=3, sform=4)
    origin = read_scan(path, case_id="c").origin
    assert isinstance(origin, NiftiOrigin)
    assert origin.file == path
    assert (int(origin.header["qform_code"]), int(origin.header["sform_code"])) == (3, 4)
    np.testing.assert_allclose(np.stack([origin.header[f"srow_{row}"] for row in "xyz"]), OBLIQUE.affine[:3], atol=1e-5)


def test_header_of_an_origin_holds_no_extension_which_may_name_the_patient(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii")
    assert len(nibabel.load(path).header.extensions) == 1
    origin = read_scan(path, case_id="c").origin
    assert isinstance(origin, NiftiOrigin)
    assert isinstance(origin.header, nibabel.Nifti1Header)
    assert len(origin.header.extensions) == 0


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_nrrd_and_metaimage_come_from_an_itk_file(tmp_path: Path, ending: str) -> None:
    path = write_itk(tmp_path / f"a{ending}")
    assert read_scan(path, case_id="c").origin == ItkOrigin(path)


@pytest.mark.parametrize("ending", PICTURE_ENDINGS)
def test_picture_comes_from_a_picture_file(tmp_path: Path, ending: str) -> None:
    path = write_png(tmp_path / f"a{ending}")
    assert read_scan(path, case_id="c").origin == PictureOrigin(path)
    assert read_picture(path, case_id="c", is_label=False, upright=True).origin == PictureOrigin(path)


@pytest.mark.parametrize(("ending", "write"), [(".nii", write_nifti), (".mha", write_itk), (".png", write_png)])
def test_channels_in_several_files_come_from_the_first(
    tmp_path: Path, ending: str, write: Callable[[Path], Path]
) -> None:
    files = [write(tmp_path / f"{name}{ending}") for name in "ba"]
    origin = read_scan(files, case_id="c").origin
    assert origin is not None
    assert not isinstance(origin, SeriesOrigin)
    assert origin.file == files[0]


@pytest.mark.parametrize(
    ("origin", "suffix"),
    [
        (None, ".nii.gz"),
        (NiftiOrigin(Path("a.png"), nibabel.Nifti1Header()), ".nii.gz"),
        (ItkOrigin(Path("a.png")), ".nii.gz"),
        (SERIES, ".nii.gz"),
        (PictureOrigin(Path("a.nii.gz")), ".png"),
    ],
    ids=["none", "nifti", "itk", "series", "picture"],
)
def test_form_of_a_mask_is_that_of_the_origin_whatever_its_file_is_called(
    tmp_path: Path, origin: Origin | None, suffix: str
) -> None:
    grid = Geometry((6, 5, 1), np.eye(4))
    scan = Scan(np.zeros((1, *grid.shape), np.float32), grid, origin)
    mask = np.arange(30).reshape(grid.shape) % 4
    path = write_mask(mask, scan, tmp_path, case_id="c")
    assert path.name == f"c{suffix}"
    assert mask_suffix(scan) == suffix
    np.testing.assert_array_equal(read_label(path, case_id="c")[0], mask)


@pytest.mark.parametrize("origin", [None, ItkOrigin(Path("a.nrrd")), SERIES], ids=["made up", "itk", "series"])
def test_mask_of_a_scan_without_nifti_header_has_scanner_coordinates(tmp_path: Path, origin: Origin | None) -> None:
    scan = Scan(np.zeros((1, *OBLIQUE.shape), np.float32), OBLIQUE, origin)
    path = write_mask(np.ones(OBLIQUE.shape, np.uint8), scan, tmp_path, case_id="c")
    assert codes_of(path) == (1, 1)
    assert nibabel.load(path).header.get_xyzt_units()[0] == "mm"
    assert read_label(path, case_id="c")[1].is_close(OBLIQUE, tolerance_mm=1e-4)


@pytest.mark.parametrize(("qform", "sform"), [(0, 0), (1, 0), (0, 2), (3, 4)])
def test_nifti_in_gives_nifti_with_the_same_codes(tmp_path: Path, qform: int, sform: int) -> None:
    scan = read_scan(write_nifti(tmp_path / "a.nii", qform=qform, sform=sform), case_id="c")
    path = write_mask(np.ones(OBLIQUE.shape, np.uint8), scan, tmp_path, case_id="c")
    assert codes_of(path) == (qform, sform)
    assert read_label(path, case_id="c")[1].distance_mm(scan.geometry) == 0


@settings(max_examples=40, deadline=None)
@given(
    geometry=grids(min_size=2),
    codes=st.sampled_from([(0, 0), (1, 0), (0, 2), (2, 1), (3, 4)]),
    unit=st.sampled_from(["mm", "meter", "micron"]),
    data=st.data(),
)
def test_mask_of_a_cropped_scan_lies_where_the_crop_does_with_the_codes_of_its_source(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry, codes: tuple[int, int], unit: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("crop")
    qform, sform = codes
    in_unit = geometry.scaled({"mm": 1.0, "meter": 0.001, "micron": 1000.0}[unit])
    path = write_nifti(folder / "a.nii", geometry=in_unit, qform=qform, sform=sform, unit=unit)
    scan = read_scan(path, case_id="c")
    axis = data.draw(st.integers(0, 2))
    start = data.draw(st.integers(0, geometry.shape[axis] - 1))
    stop = data.draw(st.integers(start + 1, geometry.shape[axis]))
    array = np.take(scan.array, range(start, stop), axis=axis + 1)
    part = replace(scan, array=array, geometry=scan.geometry.cropped(axis, range(start, stop)))
    assert part.origin is scan.origin
    mask = write_mask(np.ones(part.geometry.shape, np.uint8), part, folder, case_id="c")
    assert read_label(mask, case_id="c")[1].is_close(part.geometry, tolerance_mm=1e-3)
    if codes != (0, 0):  # without codes the place follows from the shape, so that a crop about the centre needs none
        assert codes_of(mask) == (codes if start == 0 else (qform or sform, sform or qform))


def test_picture_in_gives_a_picture_mask_that_comes_back(tmp_path: Path) -> None:
    scan = read_scan(write_png(tmp_path / "skin.jpg"), case_id="c")
    mask = np.zeros(scan.geometry.shape, np.uint8)
    mask[1:4, 2:, 0] = 3
    path = write_mask(mask, replace(scan, array=scan.array / 255), tmp_path / "masks", case_id="skin")
    assert path == tmp_path / "masks" / "skin.png"
    assert read_scan(path, case_id="c").origin == PictureOrigin(path)
    np.testing.assert_array_equal(read_label(path, case_id="c")[0], mask)


def test_flat_nifti_is_no_picture(tmp_path: Path) -> None:
    write_scan(np.zeros((3, 6, 5, 1), np.uint8), Geometry((6, 5, 1), np.eye(4)), tmp_path / "a.nii")
    assert mask_suffix(read_scan(tmp_path / "a.nii", case_id="c")) == ".nii.gz"


@pytest.mark.parametrize("ending", PICTURE_ENDINGS)
def test_picture_file_is_told_by_its_ending(ending: str) -> None:
    assert is_picture_file(Path("folder.nii") / f"a{ending}")


@pytest.mark.parametrize("ending", [*VOLUME_ENDINGS, ".dcm", ""])
def test_other_file_is_no_picture(ending: str) -> None:
    assert not is_picture_file(Path("folder.png") / f"a{ending}")
