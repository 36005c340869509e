"""Mixtures of the keys of Decathlon, nnU-Net v1, nnU-Net v2 and our own form are read as what they mean."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import ManifestError
from medseg.manifest import load_manifest, read_case, select_cases
from medseg.manifest.load import open_manifest
from medseg.records import Manifest
from PIL import Image

from tests.manifest.datasets import own_content, write_dataset
from tests.manifest.test_msd import msd_content
from tests.manifest.test_nnunet import nnunet_content, write_raw_folder

BY_VALUE = {"0": "background", "1": "PZ", "2": "TZ"}
BY_NAME = {"background": 0, "PZ": 1, "TZ": 2}
MAC = b"\0\5\x16\7\0\2\0\0Mac OS X        " + b"\0" * 100


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize("labels", [BY_VALUE, BY_NAME, {"background": "0", "PZ": "1", "TZ": "2"}])
@pytest.mark.parametrize("channels", ["modality", "channel_names", "both"])
@pytest.mark.parametrize("extra", [{}, {"numTraining": 2, "file_ending": ".nii.gz"}])
def test_datalist_means_the_same_under_the_keys_of_either_program(
    tmp_path: Path, labels: dict[str, Any], channels: str, extra: dict[str, Any]
) -> None:
    content = {**msd_content(), "labels": labels, **extra}
    names = content.pop("modality")
    content |= dict.fromkeys(("modality", "channel_names") if channels == "both" else (channels,), names)
    manifest, _ = load_manifest(write_dataset(tmp_path, content))
    assert manifest == load_manifest(write_dataset(tmp_path / "plain", msd_content()))[0]


@pytest.mark.parametrize("labels", [BY_VALUE, BY_NAME])
@pytest.mark.parametrize("channels", ["modality", "channel_names"])
def test_raw_folder_means_the_same_under_the_keys_of_either_program(
    tmp_path: Path, labels: dict[str, Any], channels: str
) -> None:
    content = nnunet_content(labels=labels)
    content[channels] = content.pop("channel_names")
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz")
    manifest, _ = load_manifest(write_dataset(tmp_path, content))
    assert (manifest.labels, manifest.channels) == (BY_NAME, ("T2", "ADC"))
    assert manifest.cases[0].images == ("imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz")


def test_folder_of_the_first_nnunet_has_a_file_per_channel(tmp_path: Path) -> None:
    for name in ("imagesTr/prostate_00", "imagesTr/prostate_01", "imagesTs/prostate_03", "imagesTs/prostate_04"):
        touch(tmp_path, f"{name}_0000.nii.gz", f"{name}_0001.nii.gz")
    manifest, _ = load_manifest(write_dataset(tmp_path, msd_content()))
    first = manifest.cases[0]
    assert (first.case_id, first.label) == ("prostate_00", "labelsTr/prostate_00.nii.gz")
    assert first.images == ("imagesTr/prostate_00_0000.nii.gz", "imagesTr/prostate_00_0001.nii.gz")
    assert manifest.cases[3].images[1] == "imagesTs/prostate_04_0001.nii.gz"


@pytest.mark.parametrize(("name", "said"), [("clear background", True), ("background", False)])
def test_value_zero_is_the_background_whatever_its_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, said: bool
) -> None:
    manifest, _ = load_manifest(write_dataset(tmp_path, msd_content(labels={**BY_VALUE, "0": name})))
    assert manifest.labels == BY_NAME
    assert ("'clear background' has the value 0" in caplog.text) == said


def test_background_need_not_be_listed(tmp_path: Path) -> None:
    manifest, _ = load_manifest(write_dataset(tmp_path, msd_content(labels={"1": "PZ", "2": "TZ"})))
    assert manifest.labels == BY_NAME


def test_own_form_takes_case_ids_from_the_file_names(tmp_path: Path) -> None:
    training = [
        {"image": "images/a (1).nii.gz", "label": "labels/a (1).nii.gz"},
        {"image": ["images/b_t1.nii.gz"], "label": "labels/b.nii.gz"},
        {"case_id": "mine", "image": "images/c.nii.gz", "label": "labels/c.nii.gz"},
    ]
    file = open_manifest(write_dataset(tmp_path, own_content(training=training, test=["images/t.nii.gz"])))
    assert [case.case_id for case in file.manifest.cases] == ["a (1)", "b_t1", "mine", "t"]
    assert not file.manifest.has_patients
    assert not file.is_own  # a new version takes another name


def test_case_of_several_files_is_named_by_what_they_share(tmp_path: Path) -> None:
    training = [
        {"image": [f"BraTS_{n:03d}/BraTS_{n:03d}_{kind}.nii.gz" for kind in ("t1", "t1ce")]} for n in range(2)
    ] + [{"image": [f"p{n}/t1.nii.gz", f"p{n}/flair.nii.gz"]} for n in range(2)]
    names = {"0": "t1", "1": "other"}
    manifest, _ = load_manifest(write_dataset(tmp_path, own_content(training=training, test=[], channel_names=names)))
    assert [case.case_id for case in manifest.cases] == ["BraTS_000", "BraTS_001", "p0", "p1"]


def test_name_that_several_folders_hold_gets_the_folder(tmp_path: Path) -> None:
    training = [{"image": f"{patient}/t1.nii.gz", "label": f"{patient}/mask.nii.gz"} for patient in ("p1", "p2")]
    manifest, _ = load_manifest(write_dataset(tmp_path, msd_content(training=training, test=[])))
    assert [case.case_id for case in manifest.cases] == ["p1_t1", "p2_t1"]


def test_misspelt_key_of_our_own_form_is_still_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="allow_empty_labels"):
        load_manifest(write_dataset(tmp_path, own_content(alow_empty_labels=True)))


@pytest.mark.parametrize("form", ["nnunet", "msd", "own"])
def test_hidden_companions_of_macos_are_passed_over_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    files = ("imagesTr/a_0000.nii.gz", "imagesTr/._a_0000.nii.gz", "labelsTr/a.nii.gz", "labelsTr/._a.nii.gz")
    touch(tmp_path, *files)
    listed = [{"image": files[0], "label": files[2]}, {"image": files[1], "label": files[3]}]
    content = {
        "nnunet": nnunet_content(channel_names={"0": "CT"}),
        "msd": msd_content(training=listed, test=[], modality={"0": "CT"}),
        "own": own_content(training=listed, test=[]),
    }[form]
    manifest, _ = load_manifest(write_dataset(tmp_path, content))
    assert [case.images for case in manifest.cases] == [(files[0],)]
    assert "1 hidden file(s) were passed over" in caplog.text


@pytest.mark.parametrize("name", [unicodedata.normalize("NFD", "René"), "निरीक", "scan (1)", "knee#2", "o'neil"])
def test_names_from_other_systems_are_case_ids(tmp_path: Path, name: str) -> None:
    folder = write_raw_folder(tmp_path, f"imagesTr/{name}_0000.nii.gz", channel_names={"0": "CT"})
    (case,) = load_manifest(folder)[0].cases
    assert case.case_id == name


def write_colours(folder: Path, name: str) -> np.ndarray:
    """A picture of three colours as nnU-Net stores it, in one file with the number of the first channel."""
    colours = np.random.default_rng(len(name)).integers(0, 255, (12, 14, 3)).astype(np.uint8)
    label = (colours[:, :, 0] > 100).astype(np.uint8)
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    Image.fromarray(colours).save(folder / "imagesTr" / f"{name}_0000.png")
    Image.fromarray(label).save(folder / "labelsTr" / f"{name}.png")
    return colours


def test_picture_of_three_colours_is_one_file(tmp_path: Path) -> None:
    colours = [write_colours(tmp_path, f"road_{'x' * n}") for n in range(3)]
    content = nnunet_content(
        channel_names={"0": "R", "1": "G", "2": "B"}, labels={"background": 0, "road": 1}, file_ending=".png"
    )
    manifest, root = load_manifest(write_dataset(tmp_path, content))
    assert [case.images for case in select_cases(manifest)] == [
        (f"imagesTr/road_{'x' * n}_0000.png",) for n in range(3)
    ]
    for case, pixels in zip(manifest.cases, colours, strict=True):
        np.testing.assert_array_equal(read_case(case, manifest, root).image.array[..., 0].transpose(2, 1, 0), pixels)


FORMS = ("msd", "nnunet", "own")


def load_form(folder: Path, form: str, *, without: str = "", **changes: Any) -> Manifest:
    """The manifest of one form of dataset.json with changed keys and one raw case."""
    touch(folder, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    key = "modality" if form == "msd" else "channel_names"
    content = {"msd": msd_content, "nnunet": nnunet_content, "own": own_content}[form](**{key: {"0": "MRI"}, **changes})
    content.pop(without, None)
    return load_manifest(write_dataset(folder, content))[0]


@pytest.mark.parametrize("form", FORMS)
def test_labels_may_be_a_list_of_names(tmp_path: Path, form: str) -> None:
    assert load_form(tmp_path, form, labels=["background", "PZ", "TZ"]).labels == BY_NAME


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["PZ", "background"], "must begin with background, the name of the value 0, got 'PZ'; put background first"),
        ({"0": "background", "organ": 1}, "must be names by value or values by name, got a mixture in .*'organ': 1"),
        ([], r'must name each value of the label files, got none; write labels, such as \{"background": 0'),
    ],
)
def test_labels_that_cannot_be_read_are_refused_in_words(tmp_path: Path, form: str, labels: Any, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        load_form(tmp_path, form, labels=labels)


@pytest.mark.parametrize("form", FORMS)
def test_missing_labels_are_asked_for(tmp_path: Path, form: str) -> None:
    with pytest.raises(ManifestError, match="labels must name each value of the label files, got none; write labels"):
        load_form(tmp_path, form, without="labels")


@pytest.mark.parametrize("labels", [None, 7, {"zero": "background"}, {"background": 0, "a": None}])
def test_labels_of_other_types_are_refused_in_words(tmp_path: Path, labels: Any) -> None:
    with pytest.raises(ManifestError, match=r"^labels? .*must (name|be).*; write labels, such as") as caught:
        load_form(tmp_path, "msd", labels=labels)
    assert "Error(" not in str(caught.value)


@pytest.mark.parametrize("key", ["modality", "channel_names"])
@pytest.mark.parametrize("listed", ["MRI", ["MRI"], {"MRI": 0}, {"MRI": "0"}])
def test_channels_are_read_however_they_are_listed(tmp_path: Path, key: str, listed: Any) -> None:
    content = msd_content(training=["imagesTr/a.nii.gz"], test=[])
    del content["modality"]
    manifest, _ = load_manifest(write_dataset(tmp_path, {**content, key: listed}))
    assert manifest.channels == ("MRI",)


@pytest.mark.parametrize("form", FORMS)
def test_channels_by_name_are_put_in_order(tmp_path: Path, form: str) -> None:
    key = "modality" if form == "msd" else "channel_names"
    assert load_form(tmp_path, form, **{key: {"ADC": 1, "T2": 0}}).channels == ("T2", "ADC")


def test_own_form_may_list_the_channels(tmp_path: Path) -> None:
    file = open_manifest(write_dataset(tmp_path, own_content(channel_names=["T2"])))
    assert (file.manifest.channels, file.is_own) == (("T2",), False)


@pytest.mark.parametrize("listed", [None, 7, [], [1], ""])
def test_channels_that_are_no_names_are_asked_for(tmp_path: Path, listed: Any) -> None:
    with pytest.raises(
        ManifestError, match=r"modality must list the names of the channels, got .*; write channel_names"
    ):
        load_form(tmp_path, "msd", modality=listed)


def test_mixture_of_channel_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"channel names must be keyed '0', '1', …, got \['0', 'ADC'\]"):
        load_form(tmp_path, "msd", modality={"0": "T2", "ADC": 1})
