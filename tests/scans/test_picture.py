from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from medseg.errors import ScanError
from medseg.scans import mask_suffix, read_grid, read_label, read_scan, scan_stem, write_mask
from PIL import Image

ROWS, COLUMNS = 4, 6


def grey(dtype: type = np.uint8) -> np.ndarray:
    """Pixels whose value is 10 × row + column."""
    return (10 * np.arange(ROWS)[:, None] + np.arange(COLUMNS)).astype(dtype)


def colours(channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS, channels)).astype(np.uint8)


def test_i_runs_along_the_columns_and_j_along_the_rows(tmp_path: Path) -> None:
    Image.fromarray(grey()).save(tmp_path / "a.png")
    scan = read_scan(tmp_path / "a.png", case_id="c")
    assert scan.array.shape == (1, COLUMNS, ROWS, 1)
    assert scan.array[0, 5, 2, 0] == 25
    np.testing.assert_array_equal(scan.array[0, :, :, 0].T, grey())


def test_a_pixel_counts_as_one_millimetre(tmp_path: Path) -> None:
    Image.fromarray(grey()).save(tmp_path / "a.png", dpi=(300, 300))
    geometry = read_scan(tmp_path / "a.png", case_id="c").geometry
    assert geometry.spacing_mm == (1, 1, 1)
    assert geometry.shape == (COLUMNS, ROWS, 1)


@pytest.mark.parametrize("ending", [".png", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_are_three_channels_and_opacity_is_dropped(tmp_path: Path, ending: str, mode: str) -> None:
    pixels = colours(len(mode))
    Image.fromarray(pixels, mode).save(tmp_path / f"a{ending}")
    scan = read_scan(tmp_path / f"a{ending}", case_id="c")
    assert scan.array.dtype == np.float32
    np.testing.assert_array_equal(scan.array[..., 0], pixels[..., :3].transpose(2, 1, 0))


def test_grey_with_opacity_is_one_channel(tmp_path: Path) -> None:
    pixels = colours(2)
    Image.fromarray(pixels, "LA").save(tmp_path / "a.png")
    array = read_scan(tmp_path / "a.png", case_id="c").array
    np.testing.assert_array_equal(array[0, :, :, 0].T, pixels[..., 0])


def test_palette_of_an_image_is_looked_up(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png")
    array = read_scan(tmp_path / "a.png", case_id="c").array[..., 0]
    assert array.shape == (3, 2, 2)
    assert array[:, 0, 0].tolist() == [255, 0, 0]
    assert array[:, 0, 1].tolist() == [0, 0, 255]  # row 1, column 0


def test_palette_of_a_label_is_the_value(tmp_path: Path) -> None:
    values = np.array([[0, 1], [2, 1]], np.uint8)
    picture = Image.fromarray(values, "P")
    picture.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    picture.save(tmp_path / "a.png")
    label, _ = read_label(tmp_path / "a.png", case_id="c")
    np.testing.assert_array_equal(label[:, :, 0].T, values)


def test_sixteen_bit_grey_keeps_its_values(tmp_path: Path) -> None:
    pixels = grey(np.uint16) * 1000
    Image.fromarray(pixels).save(tmp_path / "a.png")
    label, _ = read_label(tmp_path / "a.png", case_id="c")
    assert label.dtype == np.uint16
    np.testing.assert_array_equal(label[:, :, 0].T, pixels)
    np.testing.assert_array_equal(read_scan(tmp_path / "a.png", case_id="c").array[0, :, :, 0].T, pixels)


def test_black_and_white_label_is_zero_and_one(tmp_path: Path) -> None:
    pixels = grey() % 2 == 1
    Image.fromarray(pixels).save(tmp_path / "a.png")
    label, _ = read_label(tmp_path / "a.png", case_id="c")
    np.testing.assert_array_equal(label[:, :, 0].T, pixels)


def test_floating_point_tiff_keeps_its_fractions(tmp_path: Path) -> None:
    pixels = grey(np.float32) / 8
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_scan(tmp_path / "a.tif", case_id="c").array[0, :, :, 0].T, pixels)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_jpeg_stored_rotated_is_refused(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(colours(3)).save(tmp_path / "a.jpg", exif=exif)
    with pytest.raises(ScanError, match=f"must be stored upright, got EXIF orientation {orientation}; rotate"):
        read_scan(tmp_path / "a.jpg", case_id="c")


def test_jpeg_stored_upright_is_read(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    Image.fromarray(np.full((ROWS, COLUMNS, 3), 128, np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    array = read_scan(tmp_path / "a.jpg", case_id="c").array
    assert array.shape == (3, COLUMNS, ROWS, 1)
    np.testing.assert_allclose(array, 128, atol=2)


def test_tiff_of_several_pages_is_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(grey()), Image.fromarray(grey())]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ScanError, match="must have one page, got several; split it or use NIfTI"):
        read_scan(tmp_path / "a.tif", case_id="c")


def test_label_in_colours_is_refused(tmp_path: Path) -> None:
    Image.fromarray(colours(3)).save(tmp_path / "a.png")
    with pytest.raises(ScanError, match=r"label a\.png must have one channel, got 3"):
        read_label(tmp_path / "a.png", case_id="c")


@pytest.mark.parametrize(("largest", "dtype"), [(255, np.uint8), (256, np.uint16), (65535, np.uint16)])
def test_mask_of_a_picture_is_a_grey_png_that_comes_back(tmp_path: Path, largest: int, dtype: type) -> None:
    Image.fromarray(colours(3)).save(tmp_path / "a.png")
    scan = read_scan(tmp_path / "a.png", case_id="c")
    mask = np.random.default_rng(2).integers(0, 3, scan.geometry.shape)
    mask[0, 0, 0] = largest
    path = write_mask(mask, scan, tmp_path / "masks", case_id="c")
    assert path.name == "c.png"
    label, geometry = read_label(path, case_id="c")
    assert label.dtype == dtype
    np.testing.assert_array_equal(label, mask)
    assert geometry.is_close(scan.geometry)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).T, mask[:, :, 0])


def test_mask_of_a_jpeg_is_a_png(tmp_path: Path) -> None:
    Image.fromarray(colours(3)).save(tmp_path / "a.JPEG")
    assert mask_suffix(read_scan(tmp_path / "a.JPEG", case_id="c")) == ".png"


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a.nii.gz", "a"), ("a.b.NII.GZ", "a.b"), ("a.nii", "a"), ("a.png", "a"), ("a.tiff", "a"), ("a.x", "a")],
)
def test_stem_of_a_scan_leaves_out_the_whole_ending(name: str, stem: str) -> None:
    assert scan_stem(Path("folder") / name) == stem


@pytest.mark.data
def test_real_nuclei_are_as_simpleitk_reads_them(real_data: Path) -> None:
    folder = real_data / "nuclei_2d"
    for image in sorted((folder / "images").glob("*.png"))[:3]:
        colours_by_itk = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(image)))  # J, I, C
        instances_by_itk = SimpleITK.GetArrayFromImage(
            SimpleITK.ReadImage(str(folder / "instances" / image.name))
        )  # J, I
        scan = read_scan(image, case_id="c")
        label, geometry = read_label(folder / "instances" / image.name, case_id="c")
        np.testing.assert_array_equal(scan.array[..., 0], colours_by_itk.transpose(2, 1, 0)[:3])
        np.testing.assert_array_equal(label[..., 0], instances_by_itk.T)
        assert geometry.is_close(scan.geometry)


@pytest.mark.parametrize("size", [(160, 120), (416, 16), (16, 160), (216, 300)])
@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "jpg"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_of_eight_bits_are_read_whatever_the_size(
    tmp_path: Path, size: tuple[int, int], ending: str, mode: str
) -> None:
    if mode == "RGBA" and ending == "jpg":
        return
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], len(mode)), np.uint8)
    Image.fromarray(pixels, mode).save(tmp_path / f"a.{ending}")
    assert read_scan(tmp_path / f"a.{ending}", case_id="c").array.shape == (3, *size, 1)


def test_large_tiff_in_strips_is_read(tmp_path: Path) -> None:
    """Its strips begin at offsets with any digits."""
    pixels = np.random.default_rng(0).integers(0, 256, (700, 800, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression="tiff_deflate")
    np.testing.assert_array_equal(read_scan(tmp_path / "a.tif", case_id="c").array[..., 0], pixels.transpose(2, 1, 0))


def test_tiff_of_sixteen_bits_per_colour_is_refused(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (ROWS, COLUMNS, 3)).astype(np.uint16)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values, isVector=True), str(tmp_path / "a.tif"))
    with pytest.raises(ScanError, match="must have 8 bits per colour, got 16"):
        read_scan(tmp_path / "a.tif", case_id="c")


@pytest.mark.parametrize("ending", ["gif", "bmp"])
def test_grey_of_a_palette_in_any_order_is_the_value(tmp_path: Path, ending: str) -> None:
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    picture.putpalette([200, 200, 200, 0, 0, 0, 7, 7, 7])
    picture.save(tmp_path / f"a.{ending}")
    for array in (
        read_label(tmp_path / f"a.{ending}", case_id="c")[0],
        read_scan(tmp_path / f"a.{ending}", case_id="c").array[0],
    ):
        np.testing.assert_array_equal(array[:, :, 0].T, [[200, 0], [7, 0]])
    assert read_grid(tmp_path / f"a.{ending}", case_id="c").channels == 1


@pytest.mark.parametrize("ending", ["gif", "bmp"])
def test_colours_of_a_palette_in_any_order_are_no_label(tmp_path: Path, ending: str) -> None:
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    picture.putpalette([200, 0, 0, 0, 0, 0, 7, 7, 7])
    picture.save(tmp_path / f"a.{ending}")
    assert read_scan(tmp_path / f"a.{ending}", case_id="c").array[:, 0, 0, 0].tolist() == [200, 0, 0]
    with pytest.raises(ScanError, match="must have one channel, got 3"):
        read_label(tmp_path / f"a.{ending}", case_id="c")


def test_gif_of_several_pictures_is_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(grey() + n) for n in range(2)]
    pages[0].save(tmp_path / "a.gif", save_all=True, append_images=pages[1:])
    with pytest.raises(ScanError, match="must have one page, got several"):
        read_scan(tmp_path / "a.gif", case_id="c")
