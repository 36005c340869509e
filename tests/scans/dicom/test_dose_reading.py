"""RT Dose in: Gy at their millimetres, whatever the form of the file; anything that is no dose is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.scans.dicom import read_dose, read_dose_object, write_dicom_dose
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread

from tests.grids import ALL_AXCODES, grid

SHAPE = (5, 4, 3)
AXIAL = grid(SHAPE, spacing_mm=(2.5, 3.0, 4.0), origin_mm=(-10, 20, -30), axcodes="LPS")
DOSE = np.linspace(0, 60, 60, dtype=np.float32).reshape(SHAPE)


def written(folder: Path, geometry: Geometry = AXIAL, dose: np.ndarray = DOSE, **more: Any) -> Path:
    write_dicom_dose(dose, geometry, folder / "dose.dcm", header={"SeriesDescription": "plan 1"}, **more)
    return folder / "dose.dcm"


def changed(path: Path, change: Callable[[Dataset], None]) -> Path:
    dataset = dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path


def assert_same_doses(path: Path, geometry: Geometry = AXIAL, dose: np.ndarray = DOSE, *, atol: float = 1e-7) -> None:
    """Each voxel has its dose at its millimetres, in whatever order the planes were read."""
    scan = read_dose(path).scan
    voxels = np.argwhere(np.ones(dose.shape))
    places = scan.geometry.voxels(geometry.world_mm(voxels.astype(float)))
    found = np.rint(places).astype(int)
    np.testing.assert_allclose(places, found, atol=1e-4)
    assert scan.geometry.shape == dose.shape
    assert scan.array.dtype == np.float32
    np.testing.assert_allclose(scan.array[0][tuple(found.T)], dose[tuple(voxels.T)], rtol=1e-6, atol=atol)


@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_doses_lie_at_their_millimetres_in_any_orientation(axcodes: str, tmp_path: Path) -> None:
    slanted = grid(SHAPE, spacing_mm=(2.5, 3.0, 4.0), angles=(0.2, -0.1, 0.3), origin_mm=(-12, 5, 40), axcodes=axcodes)
    assert_same_doses(
        written(tmp_path, slanted, np.resize(DOSE, slanted.shape)), slanted, np.resize(DOSE, slanted.shape)
    )


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(order=st.permutations(range(3)), sign=st.sampled_from([1, -1]), is_absolute=st.booleans())
def test_offsets_in_either_form_and_any_order_are_one_dose(
    order: list[int], sign: int, is_absolute: bool, tmp_path: Path
) -> None:
    def change(dataset: Dataset) -> None:
        x, y, z = map(float, dataset.ImagePositionPatient)
        places = np.array([z, z + 4, z + 8])[order][::sign]
        dataset.PixelData = np.ascontiguousarray(dataset.pixel_array[order][::sign]).tobytes()
        dataset.ImagePositionPatient = [x, y, float(places[0])]
        dataset.GridFrameOffsetVector = (places if is_absolute else places - places[0]).tolist()

    assert_same_doses(changed(written(tmp_path), change))


def test_offsets_grow_along_the_normal_of_planes_that_are_seen_from_above(tmp_path: Path) -> None:
    turned = grid(SHAPE, spacing_mm=(2.5, 3.0, 4.0), origin_mm=(-10, 20, -30), axcodes="RPI")
    path = written(tmp_path, turned)
    first = dcmread(path)
    assert [float(one) for one in first.ImageOrientationPatient] == [-1, 0, 0, 0, 1, 0]
    assert list(first.GridFrameOffsetVector) == [0, 4, 8]  # down, since the normal of these planes points down
    assert_same_doses(path, turned)
    below = [float(first.ImagePositionPatient[2]) - offset for offset in (0, 4, 8)]
    assert_same_doses(changed(path, lambda dataset: setattr(dataset, "GridFrameOffsetVector", below)), turned)


@pytest.mark.parametrize("bits", [16, 32])
def test_stored_numbers_are_scaled_to_gy(bits: Any, tmp_path: Path) -> None:
    path = written(tmp_path, bits=bits)
    dataset = dcmread(path)
    assert dataset.BitsAllocated == bits
    by_hand = dataset.pixel_array.transpose(2, 1, 0) * float(dataset.DoseGridScaling)
    np.testing.assert_allclose(by_hand, DOSE, atol=60 / 2**bits)
    assert_same_doses(path, atol=60 / 2**bits)


def test_one_plane_is_a_dose_of_its_thickness(tmp_path: Path) -> None:
    flat = AXIAL.cropped(2, range(1, 2))
    path = written(tmp_path, flat, DOSE[:, :, 1:2])
    assert_same_doses(path, flat, DOSE[:, :, 1:2])
    assert read_dose(path).scan.geometry.spacing_mm == pytest.approx((2.5, 3.0, 4.0))

    def change(dataset: Dataset) -> None:
        del dataset.GridFrameOffsetVector, dataset.FrameIncrementPointer, dataset.NumberOfFrames
        dataset.SliceThickness = None

    assert_same_doses(changed(path, change), flat, DOSE[:, :, 1:2])
    assert read_dose(path).notes == ("the only plane of the dose gives no thickness: it counts as 1 mm thick",)


def test_a_dose_says_what_it_is_a_dose_of(tmp_path: Path) -> None:
    plan = written(tmp_path)
    found = read_dose_object(plan)
    assert (found.summation, found.dose_type, found.beams, found.description) == ("PLAN", "PHYSICAL", (), "plan 1")
    assert len(found.plan_uids) == 1

    def change(dataset: Dataset) -> None:
        beam, group = Dataset(), Dataset()
        beam.ReferencedBeamNumber = 3
        group.ReferencedBeamSequence, group.ReferencedFractionGroupNumber = [beam], 1
        dataset.ReferencedRTPlanSequence[0].ReferencedFractionGroupSequence = [group]
        dataset.DoseSummationType, dataset.DoseType = "BEAM", "EFFECTIVE"

    changed(plan, change)
    assert (read_dose_object(plan).summation, read_dose_object(plan).beams) == ("BEAM", (3,))
    assert read_dose(plan).notes == ("the dose is weighted by biological effect (EFFECTIVE)",)


def _without_pixels(dataset: Dataset) -> None:
    del dataset.Rows, dataset.Columns, dataset.PixelData


def _negative(dataset: Dataset) -> None:
    dataset.PixelRepresentation = 1  # the highest bit is set in the largest dose


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"DoseUnits": "RELATIVE"}, "dose units must be GY, got RELATIVE; export the dose as absolute dose in Gy"),
        ({"DoseUnits": ""}, "dose units must be GY, got none"),
        ({"DoseType": "ERROR"}, "dose type must be PHYSICAL or EFFECTIVE, got ERROR"),
        ({"DoseGridScaling": None}, "dose grid scaling must be positive"),
        ({"DoseGridScaling": -1}, "dose grid scaling must be positive"),
        ({"GridFrameOffsetVector": [0, 4]}, "an offset for each of its 3 planes, got 2"),
        ({"GridFrameOffsetVector": [0, 4, 4]}, "must lie at different places, got two at one"),
        ({"GridFrameOffsetVector": [0, 4, 9]}, "must be evenly spaced, got 4 to 5 mm"),
        (
            {"GridFrameOffsetVector": [7, 11, 15]},
            "must begin with 0 or with the position of axial planes, -30 mm, got 7",
        ),
        (
            {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "GridFrameOffsetVector": [-30, -26, -22]},
            "planes that are not axial must begin with 0, got -30",
        ),
        ({"ImageOrientationPatient": None}, "must give its position, orientation and pixel spacing"),
        ({"ImageOrientationPatient": [2, 0, 0, 0, 1, 0]}, "directions of a dose must have length 1"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "must be an RT Dose, got another object"),
        ({"NumberOfFrames": 30, "GridFrameOffsetVector": list(range(30))}, "must hold 600 values"),
        (_without_pixels, "must hold a grid of doses, got dose-volume histograms"),
        (_negative, "must not be negative"),
    ],
)
def test_what_is_no_dose_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    path = written(tmp_path)
    if callable(change):
        changed(path, change)
    else:
        changed(path, lambda dataset: [setattr(dataset, keyword, value) for keyword, value in change.items()])
    with pytest.raises(ScanError, match=message):
        read_dose(path)


def test_a_damaged_file_is_an_error_that_names_no_file(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ScanError, match="must hold 60 values") as found:
        read_dose(path)
    assert str(tmp_path) not in str(found.value)
