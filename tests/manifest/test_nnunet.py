from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from medseg.errors import ManifestError
from medseg.manifest import load_manifest, save_manifest

from tests.manifest.datasets import write_dataset


def nnunet_content(**changes: Any) -> dict[str, Any]:
    content = {
        "channel_names": {"0": "T2", "1": "ADC"},
        "labels": {"background": 0, "PZ": 1, "TZ": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    return {**content, **changes}


def write_raw_folder(folder: Path, *names: str, **changes: Any) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return write_dataset(folder, nnunet_content(**changes))


def test_raw_folder_is_read_as_it_is(tmp_path: Path) -> None:
    folder = write_raw_folder(
        tmp_path / "Dataset005_Prostate",
        *(f"imagesTr/prostate_{case}_{channel}.nii.gz" for case in ("01", "00") for channel in ("0000", "0001")),
        *(f"labelsTr/prostate_{case}.nii.gz" for case in ("00", "01")),
        *(f"imagesTs/prostate_03_{channel}.nii.gz" for channel in ("0000", "0001")),
    )
    manifest, root = load_manifest(folder)
    assert (root, manifest.name) == (folder, "Dataset005_Prostate")
    assert manifest.channels == ("T2", "ADC")
    assert manifest.labels == {"background": 0, "PZ": 1, "TZ": 2}
    assert [(case.case_id, case.split) for case in manifest.cases] == [
        ("prostate_00", "training"),
        ("prostate_01", "training"),
        ("prostate_03", "test"),
    ]
    assert manifest.cases[0].images == ("imagesTr/prostate_00_0000.nii.gz", "imagesTr/prostate_00_0001.nii.gz")
    assert manifest.cases[0].label == "labelsTr/prostate_00.nii.gz"
    assert manifest.cases[2].label is None


def test_label_of_a_test_case_is_used_where_there_is_one(tmp_path: Path) -> None:
    folder = write_raw_folder(
        tmp_path, "imagesTs/a_0000.png", "labelsTs/a.png", channel_names={"0": "grey"}, file_ending=".png"
    )
    (case,) = load_manifest(folder)[0].select("test")
    assert (case.images, case.label) == (("imagesTs/a_0000.png",), "labelsTs/a.png")


def test_case_id_may_end_like_a_channel(tmp_path: Path) -> None:
    folder = write_raw_folder(tmp_path, "imagesTr/scan_0001_0000.nii.gz", channel_names={"0": "CT"})
    (case,) = load_manifest(folder)[0].cases
    assert case.case_id == "scan_0001"
    assert case.images == ("imagesTr/scan_0001_0000.nii.gz",)


def test_listed_files_are_used_instead_of_the_folders(tmp_path: Path) -> None:
    listed = {
        "b": {"images": ["x/b_t2.nii.gz", "x/b_adc.nii.gz"], "label": "y/b.nii.gz"},
        "a": {"images": ["x/a_t2.nii.gz", "x/a_adc.nii.gz"], "label": "y/a.nii.gz"},
    }
    manifest, _ = load_manifest(write_raw_folder(tmp_path, dataset=listed))
    assert [case.case_id for case in manifest.cases] == ["a", "b"]
    assert manifest.cases[1].images == ("x/b_t2.nii.gz", "x/b_adc.nii.gz")
    assert manifest.cases[1].label == "y/b.nii.gz"


def test_missing_patients_are_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest, _ = load_manifest(write_raw_folder(tmp_path, "imagesTr/a_0000.nii.gz", channel_names={"0": "CT"}))
    assert not manifest.has_patients
    assert len(caplog.records) == 1
    assert "has no patient_id: each case is treated as a patient of its own" in caplog.text


def test_regions_are_read_and_written_in_their_order(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    folder = write_raw_folder(tmp_path, "imagesTr/a_0000.nii.gz", labels=labels, regions_class_order=[1, 2, 3])
    manifest, _ = load_manifest(folder)
    assert manifest.regions == {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}
    assert manifest.regions_order == (1, 2, 3)
    names = {"background": 0, "whole only": 1, "whole + core": 2, "whole + core + enhancing": 3}
    assert manifest.labels == names
    save_manifest(manifest, tmp_path / "own.json")
    assert load_manifest(tmp_path / "own.json")[0] == manifest


def test_values_of_the_same_regions_keep_their_numbers(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [3]}
    folder = write_raw_folder(tmp_path, "imagesTr/a_0000.nii.gz", labels=labels, regions_class_order=[1, 3])
    names = {"background": 0, "whole only (1)": 1, "whole only (2)": 2, "whole + core": 3}
    assert load_manifest(folder)[0].labels == names


def test_regions_without_an_order_are_refused(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2], "core": 2}
    with pytest.raises(ManifestError, match=r"regions need regions_class_order, a value for each of"):
        load_manifest(write_raw_folder(tmp_path, "imagesTr/a_0000.nii.gz", labels=labels))


def test_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="must list at least one case, got none"):
        load_manifest(write_raw_folder(tmp_path))


def test_images_without_channel_number_are_not_cases(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="must list at least one case, got none"):
        load_manifest(write_raw_folder(tmp_path, "imagesTr/a.nii.gz"))


@pytest.mark.parametrize("changes", [{"dataset": {"a": {"label": "a.nii.gz"}}}, {"dataset": {"a": "a.nii.gz"}}])
def test_broken_layout_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match=r"nnU-Net dataset\.json must follow its layout"):
        load_manifest(write_raw_folder(tmp_path, "imagesTr/a_0000.nii.gz", **changes))


def test_ignore_is_no_label(tmp_path: Path) -> None:
    labels = {"background": 0, "a": 1, "ignore": 2}
    manifest, _ = load_manifest(write_raw_folder(tmp_path, "imagesTr/a_0000.nii.gz", labels=labels))
    assert (manifest.labels, manifest.ignore) == ({"background": 0, "a": 1}, 2)
    save_manifest(manifest, tmp_path / "own.json")
    assert load_manifest(tmp_path / "own.json")[0] == manifest


def test_ignore_must_be_the_highest_value(tmp_path: Path) -> None:
    labels = {"background": 0, "ignore": 1, "a": 2}
    with pytest.raises(ManifestError, match="'ignore' must be above those of all others, 2, got 1"):
        load_manifest(write_raw_folder(tmp_path, "imagesTr/a_0000.nii.gz", labels=labels))


@pytest.mark.parametrize("ignored", [4, "4"])
def test_ignore_that_a_region_holds_is_refused(tmp_path: Path, ignored: object) -> None:
    labels = {"background": 0, "whole": [1, 2, 4], "core": [2], "ignore": ignored}
    with pytest.raises(ManifestError, match="'ignore' must not be a value of a region, got 4, which region 'whole'"):
        load_manifest(write_raw_folder(tmp_path, "imagesTr/a_0000.nii.gz", labels=labels, regions_class_order=[1, 2]))


def test_ignore_beside_regions_is_no_region(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}
    folder = write_raw_folder(tmp_path, "imagesTr/a_0000.nii.gz", labels=labels, regions_class_order=[1, 2])
    manifest, _ = load_manifest(folder)
    assert (manifest.regions, manifest.ignore) == ({"whole": (1, 2), "core": (2,)}, 3)


@pytest.mark.parametrize("images", ["abc.nii.gz", [], [1], None])
def test_listed_images_that_are_no_paths_are_refused(tmp_path: Path, images: object) -> None:
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "a": 1}, "file_ending": ".nii.gz"}
    content["dataset"] = {"c": {"images": images, "label": "l.nii.gz"}}
    with pytest.raises(ManifestError, match=r"nnU-Net dataset\.json must follow its layout"):
        load_manifest(write_dataset(tmp_path, content))
