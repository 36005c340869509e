"""Which cases a list of paths means."""

from __future__ import annotations

from pathlib import Path

import pytest
from medseg.errors import ManifestError, ScanError
from medseg.inference import find_inputs
from medseg.manifest import assign_folds, save_manifest
from medseg.records import Manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two cases of two channels, a single file, and things that are no scans."""
    for name in (
        "b_0001.nii.gz", "b_0000.nii.gz", "a_0000.nii.gz", "a_0001.nii.gz", "c.png", "notes.txt", "model.json",
    ):  # fmt: skip
        (tmp_path / name).touch()
    return tmp_path


def test_folder_means_its_images_by_name(folder: Path) -> None:
    found = find_inputs([folder], channels=1)
    assert [case.case_id for case in found] == ["a_0000", "a_0001", "b_0000", "b_0001", "c"]
    assert [case.files for case in found][4] == (folder / "c.png",)


def test_channel_files_are_grouped_in_order_of_their_numbers(folder: Path) -> None:
    found = find_inputs([folder], channels=2)
    assert [case.case_id for case in found] == ["a", "b", "c"]
    assert found[1].files == (folder / "b_0000.nii.gz", folder / "b_0001.nii.gz")


def test_files_and_folders_may_be_mixed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "z.nii"
    other.touch()
    assert [case.case_id for case in find_inputs([other, folder / "c.png"], channels=1)] == ["z", "c"]


def test_upper_case_endings_are_images_too(tmp_path: Path) -> None:
    (tmp_path / "A.NII.GZ").touch()
    assert [case.case_id for case in find_inputs([tmp_path], channels=1)] == ["A"]


def test_hidden_companions_are_passed_over(folder: Path) -> None:
    (folder / "._a_0000.nii.gz").touch()
    (folder / ".d.png").touch()
    assert [case.case_id for case in find_inputs([folder], channels=2)] == ["a", "b", "c"]


def test_picture_of_three_colours_is_one_case_under_the_number_of_its_first_channel(tmp_path: Path) -> None:
    for name in ("road_1_0000.png", "road_2_0000.png"):
        (tmp_path / name).touch()
    found = find_inputs([tmp_path], channels=3)
    assert [(case.case_id, case.files) for case in found] == [
        ("road_1", (tmp_path / "road_1_0000.png",)),
        ("road_2", (tmp_path / "road_2_0000.png",)),
    ]


def test_header_pair_is_one_case(tmp_path: Path) -> None:
    for name in ("a.hdr", "a.img"):
        (tmp_path / name).touch()
    assert [case.files for case in find_inputs([tmp_path], channels=1)] == [(tmp_path / "a.hdr",)]


def test_names_that_would_make_one_mask_are_refused(folder: Path) -> None:
    (folder / "c.nii.gz").touch()
    with pytest.raises(ScanError, match="case c: file names must differ but for their ending"):
        find_inputs([folder], channels=1)


def test_same_file_name_in_two_folders_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.nii.gz").touch()
    with pytest.raises(ScanError, match="got it twice"):
        find_inputs([tmp_path / "one", tmp_path / "two"], channels=1)


def test_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ScanError, match=r"must hold images ending in \.nii\.gz"):
        find_inputs([tmp_path], channels=1)


def test_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"input gone\.nii\.gz: must exist"):
        find_inputs([tmp_path / "gone.nii.gz"], channels=1)


def test_manifest_or_its_folder_means_all_its_cases(cohort: tuple[Manifest, Path]) -> None:
    manifest, root = cohort
    for path in (root, root / "dataset.json"):
        found = find_inputs([path], channels=1)
        assert [case.case_id for case in found] == [case.case_id for case in manifest.cases]
        assert all(file.is_file() for case in found for file in case.files)


def test_split_of_a_manifest_means_its_cases_only(cohort: tuple[Manifest, Path]) -> None:
    manifest, root = cohort
    found = {case.case_id for case in find_inputs([root], channels=1, split="test")}
    assert found == {case.case_id for case in manifest.cases if case.split == "test"}


def test_folds_of_a_manifest_cover_its_training_cases_once(cohort: tuple[Manifest, Path]) -> None:
    manifest, root = cohort
    folds = [{case.case_id for case in find_inputs([root], channels=1, fold=fold)} for fold in range(5)]
    assert set().union(*folds) == {case.case_id for case in manifest.select("training")}
    assert sum(map(len, folds)) == len(manifest.select("training"))
    expected = {case.case_id for case in assign_folds(manifest).cases if case.fold == 2}
    assert folds[2] == expected


def test_paths_of_a_manifest_are_taken_under_the_data_root(cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    manifest, root = cohort
    save_manifest(manifest, tmp_path / "dataset.json")
    found = find_inputs([tmp_path / "dataset.json"], channels=1, data_root=root)
    assert found[0].files == (root / manifest.cases[0].images[0],)


def test_fold_without_a_manifest_is_refused(folder: Path) -> None:
    with pytest.raises(ManifestError, match="need a manifest as the only input"):
        find_inputs([folder], channels=1, fold=0)


def test_split_without_cases_is_refused(cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    manifest, root = cohort
    save_manifest(manifest.model_copy(update={"cases": manifest.select("training")}), tmp_path / "dataset.json")
    with pytest.raises(ManifestError, match="must have test cases, got none"):
        find_inputs([tmp_path], channels=1, data_root=root, split="test")


def make_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_channels_of_two_folders_are_not_mixed(tmp_path: Path) -> None:
    make_files(tmp_path, "p/a_0000.nii.gz", "q/a_0001.nii.gz")
    with pytest.raises(ScanError, match="case a: channel files must be numbered 0000 to 0001"):
        find_inputs([tmp_path / "p", tmp_path / "q"], channels=2)


def test_missing_channel_is_refused(tmp_path: Path) -> None:
    make_files(tmp_path, "a_0000.nii.gz", "a_0002.nii.gz")
    with pytest.raises(ScanError, match=r"got \[0, 2\]; add the missing ones") as raised:
        find_inputs([tmp_path], channels=2)
    assert raised.value.case_id == "a"
    assert raised.value.fact == "channel files must be numbered 0000 to 0001, got [0, 2]"
