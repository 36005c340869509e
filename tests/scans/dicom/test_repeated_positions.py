"""Volumes at the same places as makers of scanners mark them: private b values, directions, and nothing but order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.scans.dicom import FoundSeries, read_series
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage

from tests.dicom_files import assert_same_voxels, found_in, save, write_enhanced, write_series
from tests.grids import OBLIQUE

DIRECTIONS = ([0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.6, 0.8])
COUNT = OBLIQUE.shape[2]


def volumes(count: int) -> list[np.ndarray]:
    return [np.random.default_rng(n).integers(0, 999, OBLIQUE.shape).astype(np.int16) for n in range(count)]


def write_volumes(
    folder: Path,
    arrays: Sequence[np.ndarray],
    change: Callable[[Dataset, int, int], None],
    *,
    syntax: str = ExplicitVRLittleEndian,
) -> None:
    """Volumes of one series, every slice changed by volume and slice number."""
    for n, array in enumerate(arrays):
        values = {"Modality": "MR", "SOPClassUID": MRImageStorage, "AcquisitionNumber": 1}
        for k, dataset in enumerate(write_series(array, OBLIQUE, folder / str(n), series_uid="1.2.3", **values)):
            change(dataset, n, k)
            save(dataset, folder / str(n) / f"{k:05d}", transfer_syntax=syntax)


def assert_volumes(found: Sequence[FoundSeries], arrays: Sequence[np.ndarray], *marks: tuple[str, ...]) -> None:
    """The volumes in their order, told apart by one of some sets of marks."""
    assert {one.told_apart_by for one in found} == set(marks)
    assert len(found) == len(arrays)
    for one, array in zip(found, arrays, strict=True):
        assert_same_voxels(read_series(one), array, OBLIQUE)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize(
    ("group", "creator", "element", "kind", "values"),
    [
        (0x0043, "GEMS_PARM_01", 0x39, "IS", ([0, 8, 0, 0], [800, 8, 0, 0], [1000, 8, 0, 0])),
        (0x0043, "GEMS_PARM_01", 0x39, "IS", ([1000000000, 8], [1000000800, 8], [1000001000, 8])),
        (0x0019, "SIEMENS MR HEADER", 0x0C, "IS", (0, 800, 1000)),
        (0x2001, "Philips Imaging DD 001", 0x03, "FL", (0.0, 800.0, 1000.0)),
        (0x0065, "Image Private Header", 0x09, "FD", (0.0, 800.0, 1000.0)),
    ],
)
def test_private_b_values_tell_volumes_apart(
    tmp_path: Path, syntax: str, group: int, creator: str, element: int, kind: str, values: Sequence[Any]
) -> None:
    def change(dataset: Dataset, n: int, k: int) -> None:
        if k % 2:  # another maker's block before it moves the element
            dataset.private_block(group, "SOMEBODY ELSE", create=True).add_new(0x01, "LO", "x")
        dataset.private_block(group, creator, create=True).add_new(element, kind, values[n])

    arrays = volumes(3)
    write_volumes(tmp_path, arrays, change, syntax=syntax)
    found = found_in(tmp_path)
    assert_volumes(found, arrays, ("b_value",))
    assert [float(one.frames[0].marks.b_value) for one in found] == [0, 800, 1000]


def test_b_value_of_ge_is_read_where_its_creator_and_type_were_lost(tmp_path: Path) -> None:
    def change(dataset: Dataset, n: int, k: int) -> None:
        dataset.add_new(0x00431039, "UN", f"{1000 * n}\\8\\0\\0".encode())

    arrays = volumes(2)
    write_volumes(tmp_path, arrays, change)
    assert_volumes(found_in(tmp_path), arrays, ("b_value",))


def test_b_value_of_another_maker_is_none(tmp_path: Path) -> None:
    """The same tag in a block that somebody else reserved means something else, here a number of each slice."""

    def change(dataset: Dataset, n: int, k: int) -> None:
        dataset.private_block(0x0043, "SOMEBODY ELSE", create=True).add_new(0x39, "IS", n)

    write_volumes(tmp_path, volumes(2), change)
    assert [problem.kind for one in found_in(tmp_path) for problem in one.problems] == ["repeated_positions"]


@pytest.mark.parametrize(
    ("group", "creator", "elements", "kind"),
    [
        (0x0019, "GEMS_ACQU_01", (0xBB, 0xBC, 0xBD), "DS"),
        (0x2005, "Philips MR Imaging DD 001", (0xB0, 0xB1, 0xB2), "FL"),
        (0x0019, "SIEMENS MR HEADER", (0x0E,), "FD"),
        (0x0065, "Image Private Header", (0x37,), "FD"),
    ],
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_private_directions_tell_volumes_of_one_b_value_apart(
    tmp_path: Path, syntax: str, group: int, creator: str, elements: tuple[int, ...], kind: str
) -> None:
    def change(dataset: Dataset, n: int, k: int) -> None:
        dataset.DiffusionBValue = 1000
        block = dataset.private_block(group, creator, create=True)
        for place, element in enumerate(elements):
            block.add_new(element, kind, DIRECTIONS[n] if len(elements) == 1 else DIRECTIONS[n][place])

    arrays = volumes(4)
    write_volumes(tmp_path, arrays, change, syntax=syntax)
    found = found_in(tmp_path)
    assert {one.told_apart_by for one in found} == {("gradient",)}
    read = {read_series(one).scan.array.tobytes() for one in found}
    assert len(read) == 4


def write_diffusion(path: Path, arrays: Sequence[np.ndarray], order: Sequence[int], *, has_values: bool) -> None:
    """An enhanced file whose frames tell their diffusion weighting, or nothing, and have no dimension index."""
    dataset = write_enhanced(np.stack(arrays), OBLIQUE, path, order=order)
    del dataset.DimensionIndexSequence
    for frame, group in zip(order, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        volume = frame // COUNT
        del group.FrameContentSequence[0].TemporalPositionIndex
        if has_values:
            diffusion, direction = Dataset(), Dataset()
            diffusion.DiffusionBValue = 1300.0 if volume else 0.0
            diffusion.DiffusionDirectionality = "DIRECTIONAL" if volume else "NONE"
            if volume:
                direction.DiffusionGradientOrientation = DIRECTIONS[volume]
                diffusion.DiffusionGradientDirectionSequence = DicomSequence([direction])
            group.MRDiffusionSequence = DicomSequence([diffusion])
    dataset.save_as(path)


def test_directions_of_an_enhanced_file_tell_its_volumes_apart(tmp_path: Path) -> None:
    arrays = volumes(4)
    write_diffusion(tmp_path / "one", arrays, np.random.default_rng(0).permutation(4 * COUNT), has_values=True)
    found = found_in(tmp_path)
    assert [one.told_apart_by for one in found] == [("b_value",), *[("b_value", "gradient")] * 3]
    assert_same_voxels(read_series(found[0]), arrays[0], OBLIQUE)
    assert len({read_series(one).scan.array.tobytes() for one in found}) == 4


@pytest.mark.parametrize("by_slice", [False, True], ids=["volume by volume", "slice by slice"])
def test_frames_of_an_enhanced_file_without_any_mark_are_told_apart_by_their_order(
    tmp_path: Path, by_slice: bool
) -> None:
    arrays = volumes(3)
    order = [t * COUNT + k for k in range(COUNT) for t in range(3)] if by_slice else list(range(3 * COUNT))
    write_diffusion(tmp_path / "one", arrays, order, has_values=False)
    assert_volumes(found_in(tmp_path), arrays, ("instance_number_order",))


@pytest.mark.parametrize("by_slice", [False, True], ids=["volume by volume", "slice by slice"])
def test_instance_numbers_tell_volumes_apart(tmp_path: Path, by_slice: bool) -> None:
    def change(dataset: Dataset, n: int, k: int) -> None:
        dataset.InstanceNumber = 1 + (3 * k + n if by_slice else COUNT * n + (2 * k) % COUNT)

    arrays = volumes(3)
    write_volumes(tmp_path, arrays, change)
    assert_volumes(found_in(tmp_path), arrays, ("instance_number_order",))


@pytest.mark.parametrize("keyword", ["AcquisitionTime", "ContentTime"])
def test_times_of_slices_tell_volumes_apart(tmp_path: Path, keyword: str) -> None:
    """Each slice of a functional series has a time of its own; its numbers are those of the slices."""

    def change(dataset: Dataset, n: int, k: int) -> None:
        setattr(dataset, keyword, f"1010{2 * n + k % 2:02d}.{k:02d}")

    arrays = volumes(3)
    write_volumes(tmp_path, arrays, change)
    name = "acquisition_time_order" if keyword == "AcquisitionTime" else "content_time_order"
    assert_volumes(found_in(tmp_path), arrays, (name,))


def test_order_is_asked_before_coding(tmp_path: Path) -> None:
    """Every second slice of each volume is signed, so that the signed slices would make a volume of both."""

    def change(dataset: Dataset, n: int, k: int) -> None:
        dataset.InstanceNumber = 1 + COUNT * n + k
        dataset.PixelRepresentation = (n + k) % 2

    arrays = volumes(2)
    write_volumes(tmp_path, arrays, change)
    assert_volumes(found_in(tmp_path), arrays, ("instance_number_order",))


def test_coding_tells_volumes_apart_where_nothing_else_does(tmp_path: Path) -> None:
    def change(dataset: Dataset, n: int, k: int) -> None:
        dataset.BitsStored, dataset.HighBit = (12, 11) if n else (16, 15)

    arrays = volumes(2)
    write_volumes(tmp_path, arrays, change)
    assert_volumes(found_in(tmp_path), [arrays[1], arrays[0]], ("coding",))


@pytest.mark.parametrize(
    "number", [lambda n, k: k, lambda n, k: 1, lambda n, k: 2 * k + n * (3 if k % 2 else 1)],
    ids=["the same in both", "one for all", "interleaved"],
)  # fmt: skip
def test_order_that_leaves_a_doubt_is_refused(tmp_path: Path, number: Callable[[int, int], int]) -> None:
    def change(dataset: Dataset, n: int, k: int) -> None:
        dataset.InstanceNumber = number(n, k)

    write_volumes(tmp_path, volumes(2), change)
    (found,) = found_in(tmp_path)
    with pytest.raises(ScanError, match="got 5 more that the headers do not clearly tell apart"):
        read_series(found)


def test_volume_of_which_slices_are_missing_is_refused(tmp_path: Path) -> None:
    def change(dataset: Dataset, n: int, k: int) -> None:
        dataset.InstanceNumber = 1 + COUNT * n + k

    write_volumes(tmp_path, volumes(2), change)
    (tmp_path / "1" / "00002").unlink()
    assert [problem.kind for one in found_in(tmp_path) for problem in one.problems] == ["repeated_positions"]
