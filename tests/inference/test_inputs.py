"""Which cases a list of paths means."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from medseg.errors import ManifestError, ScanError
from medseg.inference import CaseInput, InputChoice, find_inputs
from medseg.manifest import assign_folds, save_manifest
from medseg.records import Manifest

TWO = ("T1", "T2")


def cases_of(*paths: Path, channels: Sequence[str] = ("MR",), **choice: Any) -> tuple[CaseInput, ...]:
    """The cases of some paths."""
    return find_inputs(paths, channels=channels, choice=InputChoice(**choice)).cases


def make_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two cases of two channels, a single file, and things that are no scans."""
    for name in (
        "b_0001.nii.gz", "b_0000.nii.gz", "a_0000.nii.gz", "a_0001.nii.gz", "c.png", "notes.txt", "model.json",
    ):  # fmt: skip
        (tmp_path / name).touch()
    return tmp_path


def test_folder_means_its_images_by_name(folder: Path) -> None:
    found = cases_of(folder)
    assert [case.case_id for case in found] == ["a_0000", "a_0001", "b_0000", "b_0001", "c"]
    assert [case.files for case in found][4] == (folder / "c.png",)


def test_channel_files_are_grouped_in_order_of_their_numbers(folder: Path) -> None:
    found = cases_of(folder, channels=TWO)
    assert [case.case_id for case in found] == ["a", "b", "c"]
    assert found[1].files == (folder / "b_0000.nii.gz", folder / "b_0001.nii.gz")


def test_files_and_folders_may_be_mixed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "z.nii"
    other.touch()
    assert [case.case_id for case in cases_of(other, folder / "c.png")] == ["z", "c"]


def test_upper_case_endings_are_images_too(tmp_path: Path) -> None:
    (tmp_path / "A.NII.GZ").touch()
    assert [case.case_id for case in cases_of(tmp_path)] == ["A"]


def test_hidden_companions_are_passed_over(folder: Path) -> None:
    (folder / "._a_0000.nii.gz").touch()
    (folder / ".d.png").touch()
    assert [case.case_id for case in cases_of(folder, channels=TWO)] == ["a", "b", "c"]


def test_picture_of_three_colours_is_one_case_under_the_number_of_its_first_channel(tmp_path: Path) -> None:
    for name in ("road_1_0000.png", "road_2_0000.png"):
        (tmp_path / name).touch()
    found = cases_of(tmp_path, channels=("red", "green", "blue"))
    assert [(case.case_id, case.files) for case in found] == [
        ("road_1", (tmp_path / "road_1_0000.png",)),
        ("road_2", (tmp_path / "road_2_0000.png",)),
    ]


def test_header_pair_is_one_case(tmp_path: Path) -> None:
    for name in ("a.hdr", "a.img"):
        (tmp_path / name).touch()
    assert [case.files for case in cases_of(tmp_path)] == [(tmp_path / "a.hdr",)]


def test_name_with_two_endings_is_two_cases(folder: Path) -> None:
    (folder / "c.nii.gz").touch()
    assert [case.case_id for case in cases_of(folder)][4:] == ["c_nii_gz", "c_png"]


def test_same_file_name_in_two_folders_is_told_apart_by_the_folders(tmp_path: Path) -> None:
    make_files(tmp_path, "one/a.nii.gz", "two/a.nii.gz", "two/b.nii.gz")
    assert [case.case_id for case in cases_of(tmp_path / "one", tmp_path / "two")] == ["one_a", "two_a", "b"]
    assert [case.case_id for case in cases_of(tmp_path)] == ["one_a", "two_a", "b"]


def test_folders_are_searched_at_any_depth(tmp_path: Path) -> None:
    make_files(tmp_path, "p1/day 1/scan.nii.gz", "p1/day 2/scan.nii.gz", "p2/other.mha", "flat.png")
    assert [case.case_id for case in cases_of(tmp_path)] == ["flat", "p1_day 1_scan", "p1_day 2_scan", "other"]


def test_channel_files_of_several_folders_are_cases_of_their_own(tmp_path: Path) -> None:
    make_files(tmp_path, *(f"{patient}/a_000{number}.nii.gz" for patient in "pq" for number in range(2)))
    found = cases_of(tmp_path, channels=TWO)
    assert [case.case_id for case in found] == ["p_a", "q_a"]
    assert found[1].files == tuple(tmp_path / "q" / f"a_000{number}.nii.gz" for number in range(2))


def test_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(ScanError, match=r"must hold DICOM or images ending in \.nii\.gz.*got none in 1 file") as raised:
        cases_of(tmp_path)
    assert "1 passed over: its content and its ending are those of no scan" in str(raised.value)


def test_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"input gone\.nii\.gz: must exist"):
        cases_of(tmp_path / "gone.nii.gz")


def test_manifest_or_its_folder_means_all_its_cases(cohort: tuple[Manifest, Path]) -> None:
    manifest, root = cohort
    for path in (root, root / "dataset.json"):
        found = cases_of(path)
        assert [case.case_id for case in found] == [case.case_id for case in manifest.cases]
        assert all(file.is_file() for case in found for file in case.files)


def test_split_of_a_manifest_means_its_cases_only(cohort: tuple[Manifest, Path]) -> None:
    manifest, root = cohort
    found = {case.case_id for case in cases_of(root, split="test")}
    assert found == {case.case_id for case in manifest.cases if case.split == "test"}


def test_folds_of_a_manifest_cover_its_training_cases_once(cohort: tuple[Manifest, Path]) -> None:
    manifest, root = cohort
    folds = [{case.case_id for case in cases_of(root, fold=fold)} for fold in range(5)]
    assert set().union(*folds) == {case.case_id for case in manifest.select("training")}
    assert sum(map(len, folds)) == len(manifest.select("training"))
    expected = {case.case_id for case in assign_folds(manifest).cases if case.fold == 2}
    assert folds[2] == expected


def test_paths_of_a_manifest_are_taken_under_the_data_root(cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    manifest, root = cohort
    save_manifest(manifest, tmp_path / "dataset.json")
    found = cases_of(tmp_path / "dataset.json", data_root=root)
    assert found[0].files == (root / manifest.cases[0].images[0],)


def test_fold_without_a_manifest_is_refused(folder: Path) -> None:
    with pytest.raises(ManifestError, match="need a manifest as the only input"):
        cases_of(folder, fold=0)


def test_split_without_cases_is_refused(cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    manifest, root = cohort
    save_manifest(manifest.model_copy(update={"cases": manifest.select("training")}), tmp_path / "dataset.json")
    with pytest.raises(ManifestError, match="must have test cases, got none"):
        cases_of(tmp_path, data_root=root, split="test")


def test_channels_of_two_folders_are_not_mixed(tmp_path: Path) -> None:
    make_files(tmp_path, "p/a_0000.nii.gz", "q/a_0001.nii.gz")
    with pytest.raises(ScanError, match=r"case p_a: channel files must be numbered 0000 to 0001, got \[0\]; add"):
        cases_of(tmp_path / "p", tmp_path / "q", channels=TWO)


def test_missing_channel_is_refused(tmp_path: Path) -> None:
    make_files(tmp_path, "a_0000.nii.gz", "a_0002.nii.gz")
    with pytest.raises(ScanError, match=r"got \[0, 2\]; add the missing ones") as raised:
        cases_of(tmp_path, channels=TWO)
    assert raised.value.case_id == "a"
    assert raised.value.fact == "channel files must be numbered 0000 to 0001, got [0, 2]"


def test_incomplete_case_does_not_stop_the_others(tmp_path: Path) -> None:
    make_files(tmp_path, "a_0000.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz")
    found = find_inputs([tmp_path], channels=TWO)
    assert [case.case_id for case in found.cases] == ["b"]
    (failure,) = found.failures
    assert (failure.case_id, failure.stage) == ("a", "find")
    assert failure.reason.startswith("case a: channel files must be numbered 0000 to 0001, got [0]")


def test_what_is_passed_over_is_said(tmp_path: Path) -> None:
    make_files(tmp_path, "scan.nii.gz", ".hidden.nii.gz", "labelsTr/scan.nii.gz", "a/scan_mask.nii.gz", "empty.txt")
    for name in ("notes.txt", "study.zip"):
        (tmp_path / name).write_text("text")
    make_files(tmp_path, "masks/predictions.json", "masks/scan2.nii.gz")
    (tmp_path / "again.nii.gz").symlink_to(tmp_path / "scan.nii.gz")
    found = find_inputs([tmp_path], channels=("MR",))
    assert [case.case_id for case in found.cases] == ["scan"]
    assert {one.path: one.reason.split(";")[0] for one in found.passed_over} == {
        ".hidden.nii.gz": "it is hidden, or lies in a hidden folder",
        "labelsTr/scan.nii.gz": "a mask by its name or that of its folder",
        "a/scan_mask.nii.gz": "a mask by its name or that of its folder",
        "empty.txt": "it is empty",
        "notes.txt": "its content and its ending are those of no scan",
        "study.zip": "an archive, which is not opened",
        "masks/predictions.json": "it is empty",
        "masks/scan2.nii.gz": "it lies among the masks of an earlier prediction",
        "again.nii.gz": "a link to a file that is read already",
    }


def test_file_given_itself_is_a_scan_whatever_its_name(tmp_path: Path) -> None:
    make_files(tmp_path, "a.nii.gz", "a_mask.nii.gz", ".b.nii.gz")
    given = [tmp_path / name for name in ("a.nii.gz", "a_mask.nii.gz", ".b.nii.gz")]
    assert [case.case_id for case in cases_of(*given)] == ["a", "a_mask", "b"]


def test_files_that_are_all_named_like_masks_are_scans(tmp_path: Path) -> None:
    make_files(tmp_path, "label_1.png", "label_2.png")
    assert [case.case_id for case in cases_of(tmp_path)] == ["label_1", "label_2"]


def test_folder_of_the_results_is_no_input(tmp_path: Path) -> None:
    make_files(tmp_path, "a.nii.gz", "masks/a.nii.gz")
    found = find_inputs([tmp_path], channels=("MR",), choice=InputChoice(out=tmp_path / "masks"))
    assert [case.case_id for case in found.cases] == ["a"]
    assert found.passed_over == ()


def test_path_that_is_given_twice_counts_once(tmp_path: Path) -> None:
    make_files(tmp_path, "in/a.nii.gz")
    found = find_inputs([tmp_path / "in", tmp_path / "in" / "a.nii.gz", tmp_path / "in"], channels=("MR",))
    assert [case.case_id for case in found.cases] == ["a"]


def test_table_beside_scans_that_are_given_one_by_one_is_passed_over_and_an_archive_is_a_failure(
    tmp_path: Path,
) -> None:
    make_files(tmp_path, "a.nii.gz")
    for name in ("a.json", "b.zip"):
        (tmp_path / name).write_text("{}")
    found = find_inputs(sorted(tmp_path.iterdir()), channels=("MR",))
    assert [case.case_id for case in found.cases] == ["a"]
    assert [one.path for one in found.passed_over] == ["a.json"]
    (failure,) = found.failures
    assert "case b.zip: a file must be DICOM or end in one of" in failure.reason
    assert "got an archive, which is not opened; give a scan" in failure.reason


def test_manifest_beside_other_inputs_is_refused(cohort: tuple[Manifest, Path], folder: Path) -> None:
    with pytest.raises(ManifestError, match="a manifest must be the only input, got 2 inputs"):
        cases_of(cohort[1], folder)


def test_choice_of_series_or_pseudonyms_is_not_for_a_manifest(cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    for choice in ({"series": ("3",)}, {"pseudonyms": tmp_path / "table.csv"}):
        with pytest.raises(ManifestError, match="whose cases have their ids"):
            cases_of(cohort[1], **choice)


def test_choice_of_series_without_dicom_is_refused(folder: Path) -> None:
    with pytest.raises(ManifestError, match="a choice of series is for DICOM, got none"):
        cases_of(folder, series=("3",))


def test_source_of_a_file_is_its_path_as_it_was_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    (case, *_) = cases_of(Path(folder.name), channels=TWO)
    assert case.source is not None
    assert case.source.files == tuple(f"{folder.name}/a_000{number}.nii.gz" for number in range(2))


def test_search_of_files_loads_no_reader_of_dicom(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from medseg.inference import find_inputs\n"
        f"find_inputs([Path({str(folder)!r})], channels=('MR',))\n"
        "print(sorted({'pydicom', 'SimpleITK', 'pandas', 'scipy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
