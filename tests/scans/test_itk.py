"""NRRD and MetaImage as SimpleITK wrote them, and resampling from one grid onto another."""

from __future__ import annotations

import gzip
import resource
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.records import Scan
from medseg.scans import covered_fraction, read_grid, read_label, read_scan, regrid, segment_names

from tests.grid_strategies import grids
from tests.grids import OBLIQUE, grid

ENDINGS = (".nrrd", ".nhdr", ".mha", ".mhd")
VOXELS = np.random.default_rng(0).integers(-1000, 1000, OBLIQUE.shape).astype(np.int16)


def write(path: Path, array: np.ndarray, geometry: Geometry = OBLIQUE, *, compress: bool = False) -> Path:
    """Write `(I, J, K)`, or `(I, J, K, C)`, as SimpleITK does."""
    is_vector = array.ndim == 4
    axes = (2, 1, 0, 3) if is_vector else (2, 1, 0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(axes)), isVector=is_vector)
    affine, spacing = geometry.to_lps(), np.array(geometry.spacing_mm)
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    sitk.WriteImage(image, str(path), compress)
    return path


def nrrd(path: Path, *fields: str, data: bytes = b"", sizes: str = "2 3 4") -> Path:
    """A NRRD of unsigned bytes with fields of its own."""
    lines = ["NRRD0004", "type: uint8", "dimension: 3", f"sizes: {sizes}", "encoding: raw", *fields]
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + (data or bytes(range(24))))
    return path


@settings(max_examples=25, deadline=None)
@given(geometry=grids(min_size=1), ending=st.sampled_from(ENDINGS), compress=st.booleans())
def test_any_grid_comes_back(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry, ending: str, compress: bool
) -> None:
    path = tmp_path_factory.mktemp("itk") / f"a{ending}"
    array = np.random.default_rng(0).integers(-1000, 1000, geometry.shape).astype(np.int16)
    write(path, array, geometry, compress=compress)
    scan = read_scan(path, case_id="c")
    assert scan.geometry.distance_mm(geometry) < 1e-3
    assert scan.array.dtype == np.float32
    np.testing.assert_array_equal(scan.array[0], array)
    header = read_grid(path, case_id="c")
    assert header.geometry.distance_mm(scan.geometry) == 0
    assert header.channels == 1
    assert not header.is_picture


@pytest.mark.parametrize("ending", ENDINGS)
def test_values_of_a_voxel_are_channels(tmp_path: Path, ending: str) -> None:
    array = np.random.default_rng(0).random((*OBLIQUE.shape, 3)).astype(np.float32)
    path = write(tmp_path / f"a{ending}", array)
    scan = read_scan(path, case_id="c")
    np.testing.assert_array_equal(scan.array, np.moveaxis(array, -1, 0))
    assert read_grid(path, case_id="c").channels == 3


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_label_is_read_as_stored_in_the_smallest_type(tmp_path: Path, dtype: type) -> None:
    array = np.random.default_rng(0).integers(0, 5, OBLIQUE.shape).astype(dtype)
    label, geometry = read_label(write(tmp_path / "a.nrrd", array), case_id="c")
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, array)
    assert geometry.is_close(OBLIQUE)


def test_picture_is_one_slice(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing((0.5, 0.25))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    scan = read_scan(tmp_path / "a.mha", case_id="c")
    assert scan.array.shape == (1, 4, 3, 1)
    assert scan.geometry.spacing_mm == (0.5, 0.25, 1)
    np.testing.assert_array_equal(scan.array[0, :, :, 0].T, pixels)


@pytest.mark.parametrize(("space", "axcodes"), [("left-posterior-superior", "LPS"), ("right-anterior-superior", "RAS")])
def test_space_of_a_nrrd_says_where_its_axes_run(tmp_path: Path, space: str, axcodes: str) -> None:
    nrrd(
        tmp_path / "a.nrrd", f"space: {space}", "space directions: (2,0,0) (0,3,0) (0,0,4)",
        "space origin: (10,20,30)", "kinds: domain domain domain",
    )  # fmt: skip
    geometry = read_scan(tmp_path / "a.nrrd", case_id="c").geometry
    assert geometry.axcodes == axcodes
    assert geometry.spacing_mm == (2, 3, 4)
    sign = -1 if axcodes == "LPS" else 1
    np.testing.assert_allclose(geometry.affine[:3, 3], [10 * sign, 20 * sign, 30])


def test_first_axis_of_a_nrrd_runs_fastest(tmp_path: Path) -> None:
    array = read_scan(nrrd(tmp_path / "a.nrrd"), case_id="c").array[0]
    assert (array[1, 0, 0], array[0, 1, 0], array[0, 0, 1]) == (1, 2, 6)


def test_sheared_grid_is_refused(tmp_path: Path) -> None:
    path = nrrd(
        tmp_path / "a.nrrd", "space: left-posterior-superior", "space directions: (2,0,0) (1,3,0) (0,0,4)",
        "space origin: (10,20,30)", "kinds: domain domain domain",
    )  # fmt: skip
    for read in (read_scan, read_grid):
        with pytest.raises(GeometryError, match=r"case c: file a\.nrrd: voxel axes must be perpendicular"):
            read(path, case_id="c")


def test_four_axes_are_refused(tmp_path: Path) -> None:
    image = sitk.JoinSeries([sitk.Image([3, 4, 5], sitk.sitkInt16)] * 2)
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    for read in (read_scan, read_grid):
        with pytest.raises(ScanError, match=r"must have 2 or 3 axes, got 4; split it"):
            read(tmp_path / "a.nrrd", case_id="c")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"\0" * 500])
def test_other_files_are_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    (tmp_path / f"a{ending}").write_bytes(content)
    for read in (read_scan, read_grid):
        with pytest.raises(ScanError, match=f"case c: file a{ending} must be a whole NRRD or MetaImage file"):
            read(tmp_path / f"a{ending}", case_id="c")


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95])
def test_truncated_file_is_refused(tmp_path: Path, ending: str, compress: bool, kept: float) -> None:
    path = write(tmp_path / f"a{ending}", VOXELS, compress=compress)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ScanError, match=f"case c: file a{ending} must be a whole NRRD or MetaImage file"):
        read_scan(path, case_id="c")


@pytest.mark.parametrize(("ending", "voxel_ending"), [(".nhdr", ".raw"), (".mhd", ".raw"), (".mhd", ".zraw")])
def test_truncated_voxel_file_is_refused(tmp_path: Path, ending: str, voxel_ending: str) -> None:
    path = write(tmp_path / f"a{ending}", VOXELS, compress=voxel_ending == ".zraw")
    voxels = path.with_suffix(voxel_ending)
    voxels.write_bytes(voxels.read_bytes()[:-40])
    with pytest.raises(ScanError, match=r"got: 590 of the 630 bytes of voxels|got: damaged compressed voxels"):
        read_scan(path, case_id="c")


@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_header_without_its_voxel_file_is_refused(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a{ending}", VOXELS)
    path.with_suffix(".raw").unlink()
    with pytest.raises(ScanError, match="must be a whole NRRD or MetaImage file"):
        read_scan(path, case_id="c")


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
@pytest.mark.parametrize("place", [0.5, 0.7, 0.9, 0.995])
def test_one_flipped_bit_of_a_compressed_file_is_noticed(tmp_path: Path, ending: str, place: float) -> None:
    """ITK by itself hands out what lies in memory."""
    voxels = np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20)).astype(np.int16)
    path = write(tmp_path / f"a{ending}", voxels, grid((20, 20, 20)), compress=True)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 8
    path.write_bytes(content)
    with pytest.raises(ScanError, match="got: damaged compressed voxels; copy or export it again"):
        read_scan(path, case_id="c")


@pytest.mark.parametrize("encoding", ["raw", "gzip", "zlib", "plain"])
def test_promise_of_more_voxels_than_there_are_takes_no_memory(tmp_path: Path, encoding: str) -> None:
    if encoding in ("raw", "gzip"):
        path = nrrd(tmp_path / "a.nrrd", sizes="40000 40000 2", data=gzip.compress(bytes(99)))
        path.write_bytes(path.read_bytes().replace(b"encoding: raw", f"encoding: {encoding}".encode()))
    else:
        is_packed = encoding == "zlib"
        path = tmp_path / "a.mha"
        head = (
            "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
            f"CompressedData = {is_packed}\nElementSpacing = 1 1 1\nDimSize = 40000 40000 2\n"
            "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
        )
        path.write_bytes(head.encode() + (zlib.compress(bytes(99)) if is_packed else bytes(99)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        ScanError, match=r"got: [0-9]{2,3} of the 3200000000 bytes of voxels that its header promises; copy or export"
    ):
        read_scan(path, case_id="c")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_header_with_windows_line_ends_is_measured_from_its_own_end(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd")
    head, _, voxels = path.read_bytes().partition(b"\n\n")
    path.write_bytes(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + voxels)
    assert read_scan(path, case_id="c").array.max() == 23
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ScanError, match="got: 23 of the 24 bytes of voxels"):
        read_scan(path, case_id="c")


def test_voxels_as_text_are_left_to_itk(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd", data=b" ".join(str(n).encode() for n in range(24)) + b"\n")
    path.write_bytes(path.read_bytes().replace(b"encoding: raw", b"encoding: ascii"))
    assert read_scan(path, case_id="c").array.sum() == sum(range(24))


@pytest.mark.parametrize("ending", ENDINGS)
def test_errors_do_not_tell_the_folder(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "Doe_John_1950"
    folder.mkdir()
    path = write(folder / f"a{ending}", VOXELS)
    for damaged in folder.iterdir():
        damaged.write_bytes(damaged.read_bytes()[:60])
    for read in (read_scan, read_label, read_grid):
        with pytest.raises(ScanError) as reported:
            read(path, case_id="c")  # type: ignore[operator]
        assert "Doe" not in str(reported.value)


def test_names_of_the_segments_of_slicer_are_read(tmp_path: Path) -> None:
    image = sitk.Image([3, 4, 5], sitk.sitkUInt8)
    for key, value in {
        "Segment0_Name": "liver", "Segment0_LabelValue": "3", "Segment0_NameAutoGenerated": "0",
        "Segment1_Name": "left kidney", "Segment1_LabelValue": "1", "Segment2_Name": "no value",
        "Segmentation_MasterRepresentation": "Binary labelmap",
    }.items():  # fmt: skip
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
    assert segment_names(tmp_path / "a.seg.nrrd") == {3: "liver", 1: "left kidney"}


def test_files_without_segments_have_no_names(tmp_path: Path) -> None:
    write(tmp_path / "a.nrrd", VOXELS)
    (tmp_path / "b.nrrd").write_bytes(b"damaged")
    (tmp_path / "c.png").write_bytes(b"no NRRD")
    assert [segment_names(tmp_path / name) for name in ("a.nrrd", "b.nrrd", "c.png")] == [{}, {}, {}]


def ramp(geometry: Geometry) -> np.ndarray:
    """A linear function of the millimetres at every voxel."""
    voxels = np.stack(np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij"), axis=-1)
    points = geometry.world_mm(voxels.reshape(-1, 3).astype(float))
    return (points @ np.array([1.5, -2.5, 0.75]) + 7).reshape(geometry.shape)


@settings(max_examples=25, deadline=None)
@given(source=grids(min_size=3), shift=st.tuples(*[st.floats(0.05, 0.9)] * 3), factor=st.floats(0.3, 1.0))
def test_ramp_keeps_its_value_at_every_millimetre(
    source: Geometry, shift: tuple[float, float, float], factor: float
) -> None:
    """Linear interpolation is exact on a ramp; the wanted grid lies within the source."""
    affine = source.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ shift
    affine[:3, :3] *= factor
    inner = Geometry((2, 2, 2), affine)
    got = regrid(Scan(ramp(source)[np.newaxis], source), inner, order="linear")
    np.testing.assert_allclose(got[0], ramp(inner), atol=1e-3 + 1e-5 * np.abs(ramp(source)).max())


@settings(max_examples=25, deadline=None)
@given(source=grids(min_size=2), axcodes=st.sampled_from(["RAS", "LPI", "SAR", "PIL"]))
def test_labels_on_a_turned_grid_keep_every_voxel(source: Geometry, axcodes: str) -> None:
    labels = np.random.default_rng(0).integers(0, 9, source.shape).astype(np.uint8)
    turned = source.reoriented(axcodes)
    there = regrid(Scan(labels[np.newaxis], source), turned, order="nearest")
    assert there.shape == (1, *turned.shape)
    back = regrid(Scan(there, turned), source, order="nearest")
    np.testing.assert_array_equal(back[0], labels)
    assert back.dtype == np.uint8


def test_label_moves_by_its_millimetres() -> None:
    source = grid((6, 6, 6), spacing_mm=(1, 1, 2))
    labels = np.zeros((1, 6, 6, 6), np.uint8)
    labels[0, 2, 3, 1] = 7
    finer = grid((12, 6, 12), spacing_mm=(0.5, 1, 1), origin_mm=(-0.25, 0, -0.5))
    moved = regrid(Scan(labels, source), finer, order="nearest")
    assert {tuple(place) for place in np.argwhere(moved[0])} == {(i, 3, k) for i in (4, 5) for k in (2, 3)}


@pytest.mark.parametrize(("order", "outside"), [("linear", [-5.0, 2.0]), ("nearest", [0.0, 0.0])])
def test_voxels_outside_are_the_least_value_of_an_image_and_0_of_a_label(order: str, outside: list[float]) -> None:
    source = grid((3, 3, 3))
    array = np.stack([np.full((3, 3, 3), -5.0), np.full((3, 3, 3), 2.0)]).astype(np.float32)
    far = grid((2, 2, 2), origin_mm=(100, 0, 0))
    got = regrid(Scan(array, source), far, order=order)  # type: ignore[arg-type]
    assert [np.unique(channel).tolist() for channel in got] == [[value] for value in outside]


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("order", ["linear", "nearest"])
def test_type_is_kept(dtype: type, order: str) -> None:
    array = np.ones((1, 3, 4, 5), dtype)
    got = regrid(Scan(array, grid((3, 4, 5))), grid((3, 4, 5)), order=order)  # type: ignore[arg-type]
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize(
    ("origin", "share"),
    [((0, 0, 0), 1.0), ((5, 0, 0), 0.5), ((5, 5, 0), 0.25), ((5, 5, 5), 0.125), ((10, 0, 0), 0.0), ((-5, 0, 0), 0.5)],
)
def test_covered_fraction_is_that_of_the_shared_box(origin: tuple[float, float, float], share: float) -> None:
    assert covered_fraction(grid((10, 10, 10)), grid((10, 10, 10), origin_mm=origin)) == pytest.approx(share)


def test_covered_fraction_counts_only_the_first_grid() -> None:
    small, large = grid((4, 4, 4), origin_mm=(3, 3, 3)), grid((40, 40, 40))
    assert covered_fraction(small, large) == 1
    assert covered_fraction(large, small) < 0.01


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_form_is_that_of_the_ending_and_not_of_the_content(ending: str, tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image(4, 4, 4, sitk.sitkUInt8), str(tmp_path / "a.h5"))
    (tmp_path / "a.h5").rename(tmp_path / f"a{ending}")
    assert sitk.ReadImage(str(tmp_path / f"a{ending}")).GetSize() == (4, 4, 4)
    with pytest.raises(ScanError, match="must be a whole NRRD or MetaImage file"):
        read_scan([tmp_path / f"a{ending}"], case_id="a")


@pytest.mark.parametrize(
    "last",
    [
        "ElementDataFile: LOCAL\n",
        "ElementDataFile\n = LOCAL\n",
        "Comment = no ElementDataFile\nElementDataFile = LOCAL\n",
    ],
)
def test_metaimage_with_an_odd_last_field_is_read(last: str, tmp_path: Path) -> None:
    header = f"NDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\n{last}"
    (tmp_path / "a.mha").write_bytes(header.encode() + bytes(range(64)))
    assert read_scan([tmp_path / "a.mha"], case_id="a").array.sum() == sum(range(64))


@pytest.mark.data
def test_real_nrrd_lies_where_simpleitk_says(real_data: Path) -> None:
    path = real_data / "dicom_seg" / "liver_seg.nrrd"
    image = sitk.ReadImage(str(path))
    label, geometry = read_label(path, case_id="c")
    place = (200, 100, 2)
    np.testing.assert_allclose(
        (geometry.to_lps() @ [*place, 1])[:3], image.TransformIndexToPhysicalPoint(place), atol=1e-6
    )
    np.testing.assert_array_equal(label, sitk.GetArrayFromImage(image).T)


@pytest.mark.parametrize(
    "lines",
    [
        "NDims = 11\nElementDataFile = a.raw",
        "NDims = 90\nElementDataFile = a.raw",
        "NDims = 3\nNDims: 9e3\nElementDataFile = a.raw",
        "NDims = -3\nElementDataFile = a.raw",
        "NDims = 0x40\nElementDataFile = a.raw",
        "NDims = 3\nElementDataFile = %s%s%s%s 1 4 1",
        "NDims = 3\nElementDataFile = %n%n 1 4 1",
        "NDims = 3\nElementDataFile = %03d%s.raw 1 4 1",
        "NDims = 3\nElementDataFile = a%d.raw 1 4 0",
        "NDims = 3\nElementDataFile = a%d.raw 1 4 0.5",
        "NDims = 3\nElementDataFile = a%d.raw 1 4 x",
        "NDims = 3\nElementDataFile = a%d.raw 1 2",
        "NDims = 3\nElementDataFile = a%d.raw 1 5",
        "NDims = 3\nElementDataFile = a%d.raw 1 3 1",
        "NDims = 3\nElementDataFile = a%d.raw 1 5 1",
        "NDims = 3\nElementDataFile = a%d.raw 4 1 -1",
        "NDims = 3\nElementDataFile = a%d.raw 1 4 1 2",
        "NDims = 3\nElementDataFile = LIST\na1.raw\na2.raw\na3.raw",
        "NDims = 3\nElementDataFile = LIST 7D\na1.raw",
        "NDims = 3\nElementDataFile = LIST 0\na1.raw",
        "NDims = 3\nElementDataFile = LIST 3D\na.raw",
        "Comment = " + "x" * 2**20 + "\nNDims = 90\nElementDataFile = a.raw",
    ],
)
def test_header_by_which_itk_would_crash_or_read_what_lies_in_memory_is_refused(lines: str, tmp_path: Path) -> None:
    for name in ("a.raw", *(f"a{number}.raw" for number in range(1, 6))):
        (tmp_path / name).write_bytes(bytes(24))
    text = f"ObjectType = Image\n{lines}\n".replace(
        "\nElementDataFile", "\nDimSize = 2 3 4\nElementType = MET_UCHAR\nElementDataFile"
    )
    for path in (tmp_path / "a.mhd", tmp_path / "b.mha"):
        path.write_text(text)
        for read in (read_scan, read_grid):
            with pytest.raises(ScanError, match=f"case c: file {path.name} must be a whole NRRD or MetaImage file"):
                read(path, case_id="c")


@pytest.mark.parametrize("field", ["data file: a%0999999d.raw 1 4 1", "DataFile:a%999d.raw 1 4 1"])
def test_number_that_is_wider_than_a_name_of_a_file_is_refused(field: str, tmp_path: Path) -> None:
    for padding in ("# a", "# " + "x" * 2**20):
        path = nrrd(tmp_path / "a.nhdr", padding, field)
        with pytest.raises(ScanError, match=r"must be a whole NRRD or MetaImage file, got: (names|a header of more)"):
            read_scan(path, case_id="c")


@pytest.mark.parametrize(
    "named",
    [
        "a%d.raw",
        "a%d.raw 1",
        "a%01d.raw 1 4 1",
        "a%i.raw 1 4 1.0",
        *(f"LIST{axes}\na1.raw\na2.raw\na3.raw\na4.raw" for axes in ("", " 2", " 2D")),
    ],
)
def test_voxels_in_several_files_are_read(named: str, tmp_path: Path) -> None:
    for number in range(1, 5):
        (tmp_path / f"a{number}.raw").write_bytes(bytes(range(6 * number - 6, 6 * number)))
    header = "ObjectType = Image\nNDims = 3\nDimSize = 2 3 4\nElementType = MET_UCHAR\nElementDataFile = "
    (tmp_path / "a.mhd").write_text(f"{header}{named}\n")
    expected = np.arange(24).reshape(4, 3, 2).transpose(2, 1, 0)
    np.testing.assert_array_equal(read_scan(tmp_path / "a.mhd", case_id="c").array[0], expected)
