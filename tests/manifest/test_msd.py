from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import ManifestError
from medseg.manifest import load_manifest, read_case
from monai.data import load_decathlon_datalist

from tests.manifest.datasets import write_dataset


def msd_content(**changes: Any) -> dict[str, Any]:
    content = {
        "name": "Prostate",
        "description": "Two zones",
        "licence": "CC-BY-SA 4.0",
        "release": "2.0",
        "tensorImageSize": "4D",
        "modality": {"1": "ADC", "0": "T2"},
        "labels": {"0": "background", "1": "PZ", "2": "TZ"},
        "numTraining": 2,
        "numTest": 2,
        "training": [
            {"image": "./imagesTr/prostate_00.nii.gz", "label": "./labelsTr/prostate_00.nii.gz"},
            {"image": "./imagesTr/prostate_01.nii.gz", "label": "./labelsTr/prostate_01.nii.gz"},
        ],
        "test": ["./imagesTs/prostate_03.nii.gz", {"image": "./imagesTs/prostate_04.nii.gz"}],
    }
    return {**content, **changes}


def test_decathlon_file_is_read_as_it_is(tmp_path: Path) -> None:
    manifest, root = load_manifest(write_dataset(tmp_path, msd_content()))
    assert root == tmp_path
    assert (manifest.name, manifest.version, manifest.licence) == ("Prostate", "2.0", "CC-BY-SA 4.0")
    assert manifest.channels == ("T2", "ADC")
    assert manifest.labels == {"background": 0, "PZ": 1, "TZ": 2}
    assert [case.case_id for case in manifest.select("training")] == ["prostate_00", "prostate_01"]
    assert [case.case_id for case in manifest.select("test")] == ["prostate_03", "prostate_04"]
    first = manifest.cases[0]
    assert first.images == ("imagesTr/prostate_00.nii.gz",)
    assert first.label == "labelsTr/prostate_00.nii.gz"
    assert manifest.select("test")[0].label is None


def test_cases_are_those_that_monai_lists(tmp_path: Path) -> None:
    write_dataset(tmp_path, msd_content())
    listed = load_decathlon_datalist(str(tmp_path / "dataset.json"), True, "training")
    manifest, root = load_manifest(tmp_path)
    found = [(root / case.images[0], root / str(case.label)) for case in manifest.select("training")]
    assert found == [(Path(entry["image"]), Path(entry["label"])) for entry in listed]


def test_every_case_is_a_patient_of_its_own_and_that_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest, _ = load_manifest(write_dataset(tmp_path, msd_content()))
    assert [case.patient_id for case in manifest.cases] == [case.case_id for case in manifest.cases]
    assert not manifest.has_patients
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["manifest Prostate has no patient_id: each case is treated as a patient of its own"]


def test_the_file_itself_and_its_folder_are_the_same_dataset(tmp_path: Path) -> None:
    write_dataset(tmp_path, msd_content())
    assert load_manifest(tmp_path) == load_manifest(tmp_path / "dataset.json")


def test_data_root_may_lie_elsewhere(tmp_path: Path) -> None:
    write_dataset(tmp_path / "json", msd_content())
    assert load_manifest(tmp_path / "json", data_root=tmp_path / "scans")[1] == tmp_path / "scans"


@pytest.mark.parametrize(
    "changes",
    [
        {"training": [{"label": "a.nii.gz"}]},
        {"training": [{"image": ["a.nii.gz", "b.nii.gz", "c.nii.gz"]}]},
        {"training": [7]},
    ],
)
def test_broken_decathlon_layout_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match=r"Decathlon dataset\.json must follow the MSD layout"):
        load_manifest(write_dataset(tmp_path, msd_content(**changes)))


def test_modalities_that_are_not_numbered_from_zero_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"channel names must be keyed '0', '1', …, got \['1', '2'\]"):
        load_manifest(write_dataset(tmp_path, msd_content(modality={"1": "T2", "2": "ADC"})))


def test_same_image_in_training_and_test_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="case_id must be unique, got 'prostate_00' twice"):
        load_manifest(write_dataset(tmp_path, msd_content(test=["./imagesTs/prostate_00.nii.gz"])))


@pytest.mark.data
def test_real_hippocampus_has_200_cases_that_monai_lists_too(real_data: Path) -> None:
    folder = real_data / "msd_hippocampus"
    manifest, root = load_manifest(folder)
    assert len(manifest.select("training")) == 200
    assert manifest.select("test") == ()
    assert manifest.channels == ("MRI",)
    assert manifest.labels == {"background": 0, "Anterior": 1, "Posterior": 2}
    assert all(re.fullmatch(r"hippocampus_\d{3}", case.case_id) for case in manifest.cases)
    listed = load_decathlon_datalist(str(folder / "dataset.json"), True, "training")
    assert [root / case.images[0] for case in manifest.cases] == [Path(entry["image"]) for entry in listed]
    assert json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["numTraining"] == len(manifest.cases)


@pytest.mark.data
def test_real_hippocampus_scans_fit_their_labels(real_data: Path) -> None:
    manifest, root = load_manifest(real_data / "msd_hippocampus")
    for case in manifest.cases[::40]:
        scan, label = read_case(case, manifest, root)
        assert scan.array.shape == (1, *label.shape)
        assert set(np.unique(label)) == {0, 1, 2}


def test_two_labels_of_one_name_are_refused(tmp_path: Path) -> None:
    content = {"name": "n", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "a", "2": "a"}, "training": []}
    with pytest.raises(ManifestError, match="label names must be different"):
        load_manifest(write_dataset(tmp_path, content))


def entry_of(number: int, **extra: Any) -> dict[str, Any]:
    return {"image": f"imagesTr/c{number}.nii.gz", "label": f"labelsTr/c{number}.nii.gz", **extra}


def content_of(*entries: dict[str, Any]) -> dict[str, Any]:
    labels = {"0": "background", "1": "a"}
    return {"name": "n", "modality": {"0": "CT"}, "labels": labels, "training": list(entries)}


def test_patients_and_folds_of_an_extended_file_are_kept(tmp_path: Path) -> None:
    content = content_of(entry_of(0, patient_id="p", fold=1), entry_of(1, patient_id="p", fold=1))
    manifest, _ = load_manifest(write_dataset(tmp_path, content))
    assert manifest.has_patients
    assert [(case.patient_id, case.fold) for case in manifest.cases] == [("p", 1), ("p", 1)]


def test_patient_in_training_and_test_is_refused_while_loading(tmp_path: Path) -> None:
    content = content_of(entry_of(0, patient_id="p"))
    content["test"] = [{"image": "imagesTs/t.nii.gz", "patient_id": "p"}]
    with pytest.raises(ManifestError, match="its patient must not be in the test set"):
        load_manifest(write_dataset(tmp_path, content))


@pytest.mark.parametrize("entry", [7, {"label": "a.nii.gz"}])
def test_entry_without_an_image_is_shown(tmp_path: Path, entry: Any) -> None:
    with pytest.raises(ManifestError, match=r"each case must be a path or have the key image, got (7|\{'label'.*\});"):
        load_manifest(write_dataset(tmp_path, msd_content(training=[entry])))


@pytest.mark.parametrize("labels", [{"0": "background", "1": "a", "2": "ignore"}, ["background", "a", "ignore"]])
def test_label_that_is_called_ignore_is_no_class(tmp_path: Path, labels: Any) -> None:
    """As nnU-Net means it, in a list that nnU-Net does not know."""
    manifest, _ = load_manifest(write_dataset(tmp_path, msd_content(labels=labels)))
    assert (manifest.labels, manifest.ignore) == ({"background": 0, "a": 1}, 2)
