"""Which series of a DICOM study is predicted, and what becomes of everything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.inference import CaseInput, read_input
from medseg.scans import write_scan
from medseg.scans.dicom import SeriesScan
from pydicom.uid import generate_uid

from tests.dicom_files import PATIENT, assert_same_voxels, write_enhanced, write_mosaic, write_series
from tests.grids import grid
from tests.inference.inputs.studies import GRID, find, write_study
from tests.ingest.sources import voxels, write_ct


def description(case: CaseInput) -> list[str]:
    """Description of each series of a case."""
    assert case.source is not None
    return [series.description for series in case.source.series]


@pytest.mark.parametrize(
    ("channel", "expected"),
    [("CT", "Abdomen venous"), ("ct venous", "Abdomen venous"), ("MR", "T1 axial"), ("T1", "T1 axial")],
)
def test_series_of_the_model_s_modality_is_taken_and_everything_else_is_said(
    tmp_path: Path, channel: str, expected: str
) -> None:
    write_study(tmp_path)
    found = find(tmp_path, channels=(channel,))
    (case,) = found.cases
    assert (case.case_id, description(case)) == ("P1", [expected])
    assert found.refused == ()
    assert {one.path: one.reason for one in found.passed_over} == {
        ("MR" if expected == "Abdomen venous" else "CT"): "another series of its study is taken",
        "loc": "it is a localizer",
        "scout": "a volume must have at least 3 slices, got 2",
        "RS.dcm": "a label object, and no scan",
        "copy.dcm": "it is a screen copy without a place in the patient",
        "report.dcm": "no image, but Encapsulated PDF Storage",
    }


def test_model_of_another_modality_finds_no_series_and_is_told_which_there_are(tmp_path: Path) -> None:
    write_study(tmp_path)
    with pytest.raises(ScanError, match="case P1: a series of the study must fit the channel PET, got") as raised:
        find(tmp_path, channels=("PET",))
    assert "series 3 'Abdomen venous', CT, 12×10×6, 1.5×1.5×4 mm, UID" in raised.value.fact
    assert "series 4 'T1 axial', MR, 12×10×6" in raised.value.fact


@pytest.mark.parametrize("channel", ["image", "0", "channel"])
def test_channel_without_a_meaning_takes_the_only_volume(tmp_path: Path, channel: str) -> None:
    write_ct(tmp_path / "one", PatientID="A")
    assert [case.case_id for case in find(tmp_path, channels=(channel,)).cases] == ["A"]


@pytest.mark.parametrize("channel", ["image", "0", "channel"])
def test_channel_without_a_meaning_takes_none_of_two_volumes(tmp_path: Path, channel: str) -> None:
    write_study(tmp_path)
    with pytest.raises(ScanError, match=f"one series must fit the channel {channel}, got 2: series 3 'Abdomen"):
        find(tmp_path, channels=(channel,))


def two_of_ct(folder: Path) -> list[str]:
    """A study of two CT series that nothing of the model tells apart; their UIDs."""
    own = {"PatientID": "A", "StudyInstanceUID": generate_uid()}
    uids = [generate_uid(), generate_uid()]
    for number, (uid, words) in enumerate(zip(uids, ("arterial phase", "venous phase"), strict=True), start=5):
        numbered = {"SeriesNumber": number, "SeriesDescription": words}
        write_ct(folder / f"s{number}", seed=number, series_uid=uid, **numbered, **own)
    return uids


def test_ambiguous_study_is_a_failure_that_lists_its_series_and_does_not_stop_the_others(tmp_path: Path) -> None:
    uids = two_of_ct(tmp_path / "a")
    write_ct(tmp_path / "b", PatientID="B")
    found = find(tmp_path)
    assert [case.case_id for case in found.cases] == ["B"]
    (failure,) = found.failures
    assert failure.case_id == "A"
    assert failure.reason == (
        "case A: one series must fit the channel CT, got 2: "
        f"series 5 'arterial phase', CT, 12×10×6, 1.5×1.5×4 mm, UID {uids[0]}; "
        f"series 6 'venous phase', CT, 12×10×6, 1.5×1.5×4 mm, UID {uids[1]}; choose one with the option series of "
        "medseg predict: its number as it is shown, its UID or words of its description"
    )


@pytest.mark.parametrize("kind", ["number", "uid", "beginning", "end", "words"])
def test_user_chooses_a_series(tmp_path: Path, kind: str) -> None:
    uids = two_of_ct(tmp_path)
    short = next(n for n in range(1, len(uids[1])) if not uids[0].startswith(uids[1][:n]))
    ways = {"number": "6", "uid": uids[1], "beginning": uids[1][:short], "end": uids[1][-12:], "words": "VENOUS"}
    (case,) = find(tmp_path, series=(ways[kind],)).cases
    assert description(case) == ["venous phase"]


def test_choice_that_fits_several_series_or_none_is_refused(tmp_path: Path) -> None:
    two_of_ct(tmp_path)
    with pytest.raises(ScanError, match="one series must fit the choice phase, got 2"):
        find(tmp_path, series=("phase",))
    with pytest.raises(ScanError, match="a series of the study must fit the choice 7, got series"):
        find(tmp_path, series=("7",))


def test_chosen_uid_passes_over_the_other_studies(tmp_path: Path) -> None:
    uids = two_of_ct(tmp_path / "a")
    write_ct(tmp_path / "b", PatientID="B")
    found = find(tmp_path, series=(uids[0],))
    assert [case.case_id for case in found.cases] == ["A"]
    assert found.refused == ()
    (other,) = (one for one in found.passed_over if one.path == "b")
    assert other.reason == "its study has none of the series that were chosen"


def test_volumes_of_one_series_are_told_apart_by_their_number(tmp_path: Path) -> None:
    for echo in range(2):
        folder = tmp_path / f"{echo}"
        write_ct(folder, seed=echo, series_uid="1.2.9", StudyInstanceUID="1.2.8", FrameOfReferenceUID="1.2.7",
                 Modality="MR", SeriesNumber=7, EchoTime=10 + echo, EchoNumbers=echo + 1)  # fmt: skip
    with pytest.raises(ScanError, match=r"got 2: series 7#1 'CT Abdomen', MR.*series 7#2"):
        find(tmp_path, channels=("MR",))
    (case,) = find(tmp_path, channels=("MR",), series=("7#2",)).cases
    np.testing.assert_array_equal(np.sort(read_input(case, channels=("MR",)).array, axis=None), np.arange(720))
    assert {path.parent.name for path in case.files} == {"1"}


def test_sequences_of_a_brain_study_are_found_by_the_words_of_their_descriptions(tmp_path: Path) -> None:
    own = {"PatientID": "A", "StudyInstanceUID": "1.2.8", "FrameOfReferenceUID": "1.2.7", "Modality": "MR"}
    words = ("AX T2 FLAIR", "AX T2w TSE", "t1_mprage_sag", "T1 MPRAGE post Gd", "localizer-like")
    for number, one in enumerate(words):
        write_ct(tmp_path / f"{number}", seed=number, SeriesDescription=one, SeriesNumber=number + 1, **own)
    channels = ("T1", "T1gd", "T2", "FLAIR")
    (case,) = find(tmp_path, channels=channels).cases
    assert description(case) == ["t1_mprage_sag", "T1 MPRAGE post Gd", "AX T2w TSE", "AX T2 FLAIR"]
    array = read_input(case, channels=channels).array
    assert array.shape == (4, *GRID.shape)
    for place, seed in enumerate((2, 3, 1, 0)):
        assert find_only(tmp_path / f"{seed}", channels=("MR",)).array[0].tolist() == array[place].tolist()


def find_only(folder: Path, *, channels: tuple[str, ...] = ("CT",), **choice: Any) -> Any:
    """The scan of the only case of a folder."""
    (case,) = find(folder, channels=channels, **choice).cases
    return read_input(case, channels=channels)


def test_channel_on_another_grid_is_brought_onto_that_of_the_first_as_in_ingest(tmp_path: Path) -> None:
    own = {"PatientID": "A", "StudyInstanceUID": "1.2.8", "FrameOfReferenceUID": "1.2.7"}
    write_ct(tmp_path / "CT", **own)
    coarse = Geometry((6, 5, 3), GRID.affine @ np.diag([2.0, 2.0, 2.0, 1.0]))
    ramp = np.arange(6, dtype=np.int16)[:, None, None] * np.ones((6, 5, 3), np.int16)
    write_series(ramp, coarse, tmp_path / "PT", Modality="PT", **own)
    scan = find_only(tmp_path, channels=("CT", "PET"))
    assert scan.geometry.is_close(find_only(tmp_path / "CT").geometry)
    assert scan.array.shape == (2, *GRID.shape)
    along = scan.array[1, :, 4, 2]
    np.testing.assert_allclose(np.abs(np.diff(along))[:-1], 0.5, atol=1e-5)


def test_channel_of_another_frame_of_reference_is_a_failure(tmp_path: Path) -> None:
    own = {"PatientID": "A", "StudyInstanceUID": "1.2.8"}
    write_ct(tmp_path / "CT", **own)
    write_ct(tmp_path / "PT", Modality="PT", **own)
    (case,) = find(tmp_path, channels=("CT", "PET")).cases
    with pytest.raises(GeometryError, match="case A: channels must share a frame of reference, got another for PT"):
        read_input(case, channels=("CT", "PET"))


def test_channels_that_mean_one_series_are_refused(tmp_path: Path) -> None:
    write_ct(tmp_path, PatientID="A")
    with pytest.raises(ScanError, match="each of the channels CT, low dose CT must be a series of its own"):
        find(tmp_path, channels=("CT", "low dose CT"))


def test_broken_series_is_a_failure_with_the_refusal_of_ingest(tmp_path: Path) -> None:
    write_ct(tmp_path / "a", PatientID="A")
    (tmp_path / "a" / "00002").rename(tmp_path / "gone")
    (tmp_path / "gone").unlink()
    write_ct(tmp_path / "b", PatientID="B")
    found = find(tmp_path)
    assert [case.case_id for case in found.cases] == ["B"]
    (failure,) = found.failures
    assert "slices must follow each other every 4 mm, got 1 missing in 1 gap(s)" in failure.reason
    assert failure.reason.endswith("copy the missing files, or ingest with the repair gaps to interpolate them")


def test_damaged_file_beside_a_series_is_passed_over_and_a_folder_of_damaged_files_is_a_failure(tmp_path: Path) -> None:
    write_ct(tmp_path / "a", PatientID="A")
    (tmp_path / "a" / "torn.dcm").write_bytes(b"torn")
    (tmp_path / "b").mkdir()
    for name in ("1.dcm", "2.dcm"):
        (tmp_path / "b" / name).write_bytes(b"torn")
    found = find(tmp_path)
    assert [case.case_id for case in found.cases] == ["A"]
    assert [one.path for one in found.passed_over] == ["a/torn.dcm"]
    (failure,) = found.failures
    assert failure.case_id == "b"
    assert (
        "its files must be readable, got 2 that cannot be read, such as 1.dcm: a file named like DICOM must be"
        in failure.reason
    )


def test_damaged_file_alone_in_its_folder_is_named(tmp_path: Path) -> None:
    write_ct(tmp_path / "a", PatientID="A")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "torn.dcm").write_bytes(b"torn")
    (failure,) = find(tmp_path).failures
    assert "case b: file torn.dcm must be readable, got: a file named like DICOM must be" in failure.reason


def test_copies_of_slices_count_once(tmp_path: Path) -> None:
    write_ct(tmp_path / "a", PatientID="A")
    (tmp_path / "a" / "again").write_bytes((tmp_path / "a" / "00000").read_bytes())
    found = find(tmp_path)
    (case,) = found.cases
    assert len(case.files) == 6
    assert [one.reason for one in found.passed_over] == [
        "a copy of another file of its series, or a damaged one beside a whole one"
    ]


def test_series_and_files_that_are_given_one_by_one_are_the_same_case(tmp_path: Path) -> None:
    write_ct(tmp_path / "a", PatientID="A")
    files = sorted((tmp_path / "a").iterdir())
    (by_folder,), (by_files,) = find(tmp_path / "a").cases, find(*files).cases
    assert by_folder.files == by_files.files
    assert by_folder.case_id == by_files.case_id == "A"


def test_each_folder_that_is_given_is_a_study_for_a_model_of_one_channel(tmp_path: Path) -> None:
    two_of_ct(tmp_path)
    found = find(tmp_path / "s5", tmp_path / "s6")
    assert [case.case_id for case in found.cases] == ["A_20240517_5", "A_20240517_6"]


def test_dicom_and_other_scans_of_one_folder_are_all_cases(tmp_path: Path) -> None:
    write_ct(tmp_path / "P1" / "CT", PatientID="A")
    write_scan(voxels()[np.newaxis], GRID, tmp_path / "P1" / "export.nii.gz")
    assert sorted(case.case_id for case in find(tmp_path).cases) == ["A", "export"]


@pytest.mark.parametrize("form", ["slices", "enhanced", "mosaic"])
@pytest.mark.parametrize("axcodes", ["LPS", "RAS", "PIR", "AIR"])
def test_voxels_of_oblique_and_flipped_volumes_lie_at_their_millimetres(
    tmp_path: Path, axcodes: str, form: str
) -> None:
    geometry = grid((9, 8, 5), spacing_mm=(0.7, 1.1, 2.5), angles=(0.2, -0.3, 0.4), axcodes=axcodes)
    array, order = voxels(geometry), np.random.default_rng(0).permutation(geometry.shape[2]).tolist()
    values = {**PATIENT, "Modality": "MR", "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4",
              "FrameOfReferenceUID": "1.2.3.5"}  # fmt: skip
    if form == "slices":
        write_series(array, geometry, tmp_path / "s", order=order, Modality="MR")
    elif form == "enhanced":
        write_enhanced(array, geometry, tmp_path / "e", order=order, **values)
    else:
        is_left_handed = bool(np.linalg.det(geometry.affine[:3, :3]) < 0)
        write_mosaic(array, geometry, tmp_path / "m", is_reversed=is_left_handed, **values)
    assert_same_voxels(SeriesScan(find_only(tmp_path, channels=("MR",)), "", ()), array, geometry)
