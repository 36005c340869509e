"""One series, several volumes: time points, echoes, b-values, acquisitions; and what is set aside."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.scans.dicom import FoundSeries, SeriesRules, read_series
from pydicom.dataset import Dataset
from pydicom.uid import (
    EncapsulatedPDFStorage,
    MRImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    RTDoseStorage,
    SecondaryCaptureImageStorage,
)

from tests.dicom_files import assert_same_voxels, found_in, save, write_series, write_structure_set
from tests.grids import OBLIQUE, grid

ARRAY = np.random.default_rng(8).integers(-2000, 3000, OBLIQUE.shape).astype(np.int16)
UID = "1.2.3.4"


def write(folder: Path, number: int, *, geometry: Geometry = OBLIQUE, **values: Any) -> np.ndarray:
    """A volume of the series that holds its number in every voxel."""
    array = (np.arange(np.prod(geometry.shape)).reshape(geometry.shape) + 1000 * number).astype(np.int16)
    write_series(array, geometry, folder / f"{number}", series_uid=UID, order=_shuffled(geometry, number), **values)
    return array


def _shuffled(geometry: Geometry, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(geometry.shape[2])


def moved(geometry: Geometry, slices: float) -> Geometry:
    """The same grid some slices further along k."""
    affine = geometry.affine.copy()
    affine[:3, 3] += slices * affine[:3, 2]
    return Geometry(geometry.shape, affine)


def by_first_value(found: list[FoundSeries]) -> dict[int, FoundSeries]:
    return {int(read_series(one).scan.array.min()): one for one in found}


@pytest.mark.parametrize(
    ("mark", "reported", "values"),
    [
        ("TemporalPositionIdentifier", "temporal_position", (1, 2, 3)),
        ("EchoTime", "echo", (4.6, 9.2)),
        ("EchoNumbers", "echo", (1, 2)),
        ("DiffusionBValue", "b_value", (0, 500, 1000)),
        ("DiffusionGradientOrientation", "gradient", ([0, 1, 0], [1, 0, 0])),
        ("ImageType", "image_type", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"])),
        ("InversionTime", "inversion_time", (50, 400)),
        ("FlipAngle", "flip_angle", (4, 18)),
        ("TriggerTime", "trigger_time", (0, 40, 80)),
        ("FrameReferenceTime", "frame_reference_time", (1000, 3000)),
        ("AcquisitionNumber", "acquisition", (1, 2)),
        ("AcquisitionTime", "acquisition_time", ("101010", "101110")),
        ("AcquisitionDateTime", "acquisition_time", ("20240101101010", "20240101101110")),
        ("ContentTime", "content_time", ("101010", "101110")),
    ],
)
def test_one_mark_tells_volumes_apart(tmp_path: Path, mark: str, reported: str, values: tuple[Any, ...]) -> None:
    arrays = [write(tmp_path, number, **{mark: value}) for number, value in enumerate(values)]
    found = found_in(tmp_path)
    assert [one.told_apart_by for one in found] == [(reported,)] * len(values)
    assert [one.part for one in found] == list(range(len(values)))
    for one, array in zip(found, arrays, strict=True):
        assert_same_voxels(read_series(one), array, OBLIQUE)


def test_volumes_follow_their_marks_as_numbers(tmp_path: Path) -> None:
    for number, b_value in enumerate((1000, 50, 0)):
        write(tmp_path, number, DiffusionBValue=b_value)
    assert [float(one.frames[0].marks.b_value) for one in found_in(tmp_path)] == [0, 50, 1000]


def test_siemens_b_value_tells_volumes_apart(tmp_path: Path) -> None:
    for number, b_value in enumerate((0, 800)):
        array = np.full(OBLIQUE.shape, number, np.int16)
        for dataset in write_series(array, OBLIQUE, tmp_path / str(number), series_uid=UID):
            dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", str(b_value))
            dataset.save_as(tmp_path / str(number) / f"{dataset.InstanceNumber - 1:05d}")
    assert [one.told_apart_by for one in found_in(tmp_path)] == [("b_value",)] * 2


def test_echoes_of_time_points_are_told_apart_by_both(tmp_path: Path) -> None:
    arrays = {}
    for number, (time, echo) in enumerate(product((1, 2, 3), (4.6, 9.2))):
        arrays[time, echo] = write(tmp_path, number, TemporalPositionIdentifier=time, EchoTime=echo)
    found = found_in(tmp_path)
    assert [set(one.told_apart_by) for one in found] == [{"temporal_position", "echo"}] * 6
    for one in found:
        marks = one.frames[0].marks
        array = arrays[int(marks.temporal_position), float(marks.echo.split("/")[0])]
        assert_same_voxels(read_series(one), array, OBLIQUE)


def test_marks_that_differ_within_a_volume_do_not_split_it(tmp_path: Path) -> None:
    for dataset in write_series(ARRAY, OBLIQUE, tmp_path):
        dataset.AcquisitionNumber = dataset.InstanceNumber
        dataset.ContentTime = f"1010{dataset.InstanceNumber:02d}"
        dataset.TriggerTime = dataset.InstanceNumber * 3
        dataset.save_as(tmp_path / f"{dataset.InstanceNumber - 1:05d}")
    (found,) = found_in(tmp_path)
    assert found.told_apart_by == ()
    assert_same_voxels(read_series(found), ARRAY, OBLIQUE)


def test_mark_of_the_time_point_is_taken_before_one_of_the_slice(tmp_path: Path) -> None:
    """Interleaved slices bear a trigger time each; only the time point covers every position."""
    for time in (1, 2):
        for dataset in write_series(ARRAY + time, OBLIQUE, tmp_path / str(time), series_uid=UID):
            dataset.AcquisitionNumber = dataset.InstanceNumber % 2
            dataset.ContentTime = f"10{time}0{dataset.InstanceNumber:02d}"
            dataset.TriggerTime = time
            dataset.save_as(tmp_path / str(time) / f"{dataset.InstanceNumber - 1:05d}")
    found = found_in(tmp_path)
    assert [one.told_apart_by for one in found] == [("trigger_time",)] * 2


def test_acquisitions_that_overlap_in_part_are_two_volumes(tmp_path: Path) -> None:
    lower = write(tmp_path, 0, AcquisitionNumber=1)
    upper = write(tmp_path, 1, geometry=moved(OBLIQUE, 3), AcquisitionNumber=2)
    found = by_first_value(found_in(tmp_path))
    assert {one.told_apart_by for one in found.values()} == {("acquisition",)}
    assert_same_voxels(read_series(found[0]), lower, OBLIQUE)
    assert_same_voxels(read_series(found[1000]), upper, moved(OBLIQUE, 3))


def test_interleaved_acquisitions_are_one_volume(tmp_path: Path) -> None:
    """As of an MR scan whose even slices are measured after the odd ones."""
    write(tmp_path, 0, AcquisitionNumber=1)
    write(tmp_path, 1, geometry=moved(OBLIQUE, 0.5), AcquisitionNumber=2)
    (found,) = found_in(tmp_path)
    assert found.problems == ()
    assert len(found.frames) == 10
    assert found.planes is not None
    np.testing.assert_allclose(found.planes.step_mm, 1.5)


def test_acquisitions_that_join_are_one_volume(tmp_path: Path) -> None:
    write(tmp_path, 0, AcquisitionNumber=1)
    write(tmp_path, 1, geometry=moved(OBLIQUE, 5), AcquisitionNumber=2)
    (found,) = found_in(tmp_path)
    assert (found.problems, len(found.frames)) == ((), 10)


def test_slices_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 0)
    write(tmp_path, 1)
    (found,) = found_in(tmp_path)
    assert [problem.kind for problem in found.problems] == ["repeated_positions"]
    with pytest.raises(
        ScanError, match="each position must hold one slice, got 5 more that the headers do not clearly tell"
    ):
        read_series(found)


def test_one_slice_twice_with_other_pixels_is_refused(tmp_path: Path) -> None:
    datasets = write_series(ARRAY, OBLIQUE, tmp_path)
    datasets[2].SOPInstanceUID = "1.2.3.9"
    datasets[2].ContentTime = "111111"
    datasets[2].PixelData = (ARRAY[:, :, 2].T + 1).astype("<i2").tobytes()
    datasets[2].save_as(tmp_path / "again")
    with pytest.raises(
        ScanError,
        match=r"got 1 more that the headers do not clearly tell apart \(they are no copies: pixels differ\); "
        "keep the files of one slice at each position, or export each acquisition",
    ):
        read_series(found_in(tmp_path)[0])


def test_copies_of_a_file_count_once_and_are_told(tmp_path: Path) -> None:
    write_series(ARRAY, OBLIQUE, tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "00003").unlink()
    (found,) = found_in(tmp_path)
    assert found.notes == ("4 file(s) are copies of others of the series and were left out",)
    assert_same_voxels(read_series(found), ARRAY, OBLIQUE)


def test_files_that_share_a_uid_at_different_places_are_no_copies(tmp_path: Path) -> None:
    write_series(ARRAY, OBLIQUE, tmp_path, SOPInstanceUID="1.2.3.4.5")
    (found,) = found_in(tmp_path)
    assert found.notes == ()
    assert_same_voxels(read_series(found), ARRAY, OBLIQUE)


def test_localizer_of_the_series_is_set_aside(tmp_path: Path) -> None:
    write(tmp_path, 0, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    turned = grid((5, 6, 3), angles=(1.2, 0, 0))
    write(tmp_path, 1, geometry=turned, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    found = found_in(tmp_path)
    assert sorted(len(one.problems) for one in found) == [0, 1]
    aside = next(one for one in found if one.problems)
    assert aside.problems[0].kind == "set_aside"
    assert len(aside.instances) == turned.shape[2]
    with pytest.raises(ScanError, match="it is a localizer"):
        read_series(aside)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"SOPClassUID": RTDoseStorage, "Modality": "RTDOSE"}, "it is a dose"),
        (
            {"SOPClassUID": SecondaryCaptureImageStorage, "ImagePositionPatient": None},
            "it is a screen copy without a place in the patient",
        ),
    ],
)
def test_what_nobody_segments_is_set_aside(tmp_path: Path, values: dict[str, Any], reason: str) -> None:
    write(tmp_path, 0, **values)
    found = found_in(tmp_path)
    assert {problem.kind for one in found for problem in one.problems} == {"set_aside"}
    with pytest.raises(ScanError, match=reason):
        read_series(found[0])


def test_secondary_captures_that_lie_in_the_patient_are_a_volume(tmp_path: Path) -> None:
    """Reformats are often exported so."""
    array = write(tmp_path, 0, SOPClassUID=SecondaryCaptureImageStorage)
    assert_same_voxels(read_series(found_in(tmp_path)[0]), array, OBLIQUE)


def test_object_without_pixels_is_set_aside(tmp_path: Path) -> None:
    report = Dataset()
    report.SOPClassUID, report.SOPInstanceUID, report.Modality = EncapsulatedPDFStorage, "1.2.3.9", "DOC"
    save(report, tmp_path / "report")
    (found,) = found_in(tmp_path)
    assert found.problems[0].message == "only images are ingested, got Encapsulated PDF Storage"


def test_label_objects_are_no_image_series(tmp_path: Path) -> None:
    images = write_series(ARRAY, OBLIQUE, tmp_path / "images")
    square = np.array([[0, 0, 40], [1, 0, 40], [1, 1, 40]], float)
    write_structure_set({"GTV": [square]}, images, tmp_path / "RS")
    (found,) = found_in(tmp_path)
    assert found.first.modality == "CT"


def test_loop_of_screen_copies_is_set_aside(tmp_path: Path) -> None:
    write(
        tmp_path, 0, SOPClassUID=MultiFrameGrayscaleByteSecondaryCaptureImageStorage, Modality="OT",
        ImagePositionPatient=None,
    )  # fmt: skip
    assert {problem.kind for one in found_in(tmp_path) for problem in one.problems} == {"set_aside"}


def test_two_orientations_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 0)
    write(tmp_path, 1, geometry=grid((7, 9, 4), angles=(0.6, 0.1, 0)))
    (found,) = found_in(tmp_path)
    with pytest.raises(
        ScanError,
        match=r"must have one orientation, got 2 \(of [45], [45] slices\); ingest with the repair orientations",
    ):
        read_series(found)


def test_two_orientations_are_two_volumes_on_request(tmp_path: Path) -> None:
    other = grid((7, 9, 4), angles=(0.6, 0.1, 0))
    arrays = {0: (write(tmp_path, 0), OBLIQUE), 1000: (write(tmp_path, 1, geometry=other), other)}
    found = found_in(tmp_path, SeriesRules(separate_orientations=True))
    assert [one.part for one in found] == [0, 1]
    for first, one in by_first_value(found).items():
        assert_same_voxels(read_series(one), *arrays[first])


def test_numeric_noise_of_the_orientation_is_one_orientation(tmp_path: Path) -> None:
    for dataset in write_series(ARRAY, OBLIQUE, tmp_path):
        cosines = np.array(dataset.ImageOrientationPatient, float)
        cosines += np.random.default_rng(dataset.InstanceNumber).uniform(-1e-5, 1e-5, 6)
        dataset.ImageOrientationPatient = [f"{value:.8f}" for value in cosines]
        dataset.save_as(tmp_path / f"{dataset.InstanceNumber - 1:05d}")
    (found,) = found_in(tmp_path)
    assert found.problems == ()


def test_matrices_of_one_series_are_volumes_of_their_own(tmp_path: Path) -> None:
    arrays = {
        0: (write(tmp_path, 0), OBLIQUE),
        1000: (write(tmp_path, 1, geometry=Geometry((4, 5, 6), OBLIQUE.affine)), Geometry((4, 5, 6), OBLIQUE.affine)),
    }
    found = found_in(tmp_path)
    assert sorted(one.part for one in found) == [0, 1]
    for first, one in by_first_value(found).items():
        assert_same_voxels(read_series(one), *arrays[first])


def test_pixel_spacings_of_one_series_are_volumes_of_their_own(tmp_path: Path) -> None:
    finer = grid((7, 9, 5), spacing_mm=(0.4, 1.1, 3.0), angles=(0.2, -0.1, 0.3), origin_mm=(-12, 5, 40), axcodes="LPS")
    write(tmp_path, 0)
    write(tmp_path, 1, geometry=finer)
    assert len(found_in(tmp_path)) == 2


def test_pixel_spacing_that_slices_round_otherwise_is_one(tmp_path: Path) -> None:
    exact = grid((7, 9, 5), spacing_mm=(0.4885, 0.4885, 3.0), angles=(0.2, -0.1, 0.3), axcodes="LPS")
    for k, dataset in enumerate(write_series(ARRAY, exact, tmp_path)):
        dataset.PixelSpacing = ["0.48849999", "0.4885"] if k % 2 else ["0.4885001", "0.488501"]
        save(dataset, tmp_path / f"{k:05d}")
    (found,) = found_in(tmp_path)
    assert (found.problems, len(found.frames)) == ((), 5)


def test_modalities_of_one_series_are_volumes_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, 0, Modality="CT")
    write(tmp_path, 1, Modality="MR", SOPClassUID=MRImageStorage)
    assert sorted(one.first.modality for one in found_in(tmp_path)) == ["CT", "MR"]


def test_files_without_series_uid_belong_to_their_study_and_folder(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_series(ARRAY, OBLIQUE, tmp_path / folder, SeriesInstanceUID=None)
    found = found_in(tmp_path)
    assert len(found) == 2
    for one in found:
        assert_same_voxels(read_series(one), ARRAY, OBLIQUE)


def test_files_without_any_uid_are_a_volume(tmp_path: Path) -> None:
    for dataset in write_series(
        ARRAY, OBLIQUE, tmp_path, SeriesInstanceUID=None, StudyInstanceUID=None, FrameOfReferenceUID=None
    ):
        dataset.file_meta.MediaStorageSOPInstanceUID = ""
        dataset.SOPInstanceUID = ""
        dataset.save_as(tmp_path / f"{dataset.InstanceNumber - 1:05d}")
    (found,) = found_in(tmp_path)
    assert found.notes == ()
    assert_same_voxels(read_series(found), ARRAY, OBLIQUE)


def test_every_file_is_somewhere(tmp_path: Path) -> None:
    write(tmp_path, 0, TemporalPositionIdentifier=1)
    write(tmp_path, 1, TemporalPositionIdentifier=2)
    write(tmp_path, 2, geometry=Geometry((3, 3, 2), OBLIQUE.affine))
    write(tmp_path, 3, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write(tmp_path, 4, ImagePositionPatient=None)
    paths = [instance.path for one in found_in(tmp_path) for instance in one.instances]
    assert sorted(paths) == sorted(path for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_slices_without_a_place_are_refused(tmp_path: Path, keyword: str) -> None:
    write(tmp_path, 0, **{keyword: None})
    with pytest.raises(ScanError, match=r"(must give its position and orientation, got none in 5 of 5|pixel spacing)"):
        read_series(found_in(tmp_path)[0])


def test_one_slice_without_a_place_is_refused(tmp_path: Path) -> None:
    datasets = write_series(ARRAY, OBLIQUE, tmp_path)
    datasets[2].ImagePositionPatient = None
    datasets[2].save_as(tmp_path / "00002")
    with pytest.raises(ScanError, match="must give its position and orientation, got none in 1 of 5"):
        read_series(found_in(tmp_path)[0])


@pytest.mark.parametrize(
    "cosines", [[1, 0, 0, 0, 0, 0], [2, 0, 0, 0, 2, 0], [1, 0, 0, 0.7, 0.7, 0], [1, 0, 0, 1, 0, 0]]
)
def test_orientation_that_is_none_is_refused(tmp_path: Path, cosines: list[float]) -> None:
    write(tmp_path, 0, ImageOrientationPatient=cosines)
    with pytest.raises(ScanError, match="the orientation must be two perpendicular unit vectors"):
        read_series(found_in(tmp_path)[0])


def test_ct_with_fewer_slices_than_promised_says_so(tmp_path: Path) -> None:
    write(tmp_path / "ct", 0, ImagesInAcquisition=7)
    assert "the header promises 7 images of this acquisition, got 5" in found_in(tmp_path)[0].notes[0]
    write(tmp_path / "mr", 0, ImagesInAcquisition=7, Modality="MR")
    assert found_in(tmp_path / "mr")[0].notes == ()
