"""Paths with backslashes mean the folders that they meant on Windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from medseg.errors import ManifestError
from medseg.manifest import load_manifest

from tests.manifest.datasets import own_content, write_dataset
from tests.manifest.test_msd import msd_content
from tests.manifest.test_nnunet import nnunet_content


def of_windows(content: dict[str, Any], sign: str) -> dict[str, Any]:
    """The content with another separator in every path."""
    return json.loads(json.dumps(content).replace("/", json.dumps(sign)[1:-1]))


@pytest.mark.parametrize("sign", ["\\", "\\\\"])
@pytest.mark.parametrize("form", ["msd", "own", "own without ids", "nnunet"])
def test_backslashes_are_read_as_slashes(tmp_path: Path, form: str, sign: str) -> None:
    entry = {"image": ["imagesTr/a.nii.gz"], "label": "labelsTr/a.nii.gz"}
    listed = {"a": {"images": ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz"], "label": "labelsTr/a.nii.gz"}}
    content = {
        "msd": msd_content(validation=["imagesTr/v.nii.gz"]),
        "own": own_content(),
        "own without ids": own_content(training=[entry], test=["images/t.nii.gz"]),
        "nnunet": nnunet_content(dataset=listed),
    }[form]
    manifest, _ = load_manifest(write_dataset(tmp_path / "windows", of_windows(content, sign)))
    expected, _ = load_manifest(write_dataset(tmp_path / "plain", content))
    assert manifest.cases == expected.cases
    assert "/" in manifest.cases[0].images[0]


def test_checksums_follow_their_files(tmp_path: Path) -> None:
    entry = {"case_id": "a", "image": "i\\a.nii.gz", "sha256": {"i\\a.nii.gz": "00"}}
    manifest, _ = load_manifest(write_dataset(tmp_path, own_content(training=[entry], test=[])))
    assert manifest.cases[0].sha256 == {"i/a.nii.gz": "00"}


def test_file_whose_name_holds_the_backslashes_is_named(tmp_path: Path) -> None:
    (tmp_path / "i\\a.nii.gz").touch()
    entry = {"image": "i\\a.nii.gz"}
    folder = write_dataset(tmp_path, own_content(training=[entry], test=[]))
    with pytest.raises(ManifestError, match=r"file names must hold no backslash, got the file 'i.*a\.nii\.gz'; move"):
        load_manifest(folder)
    write_dataset(tmp_path, own_content(training=[{**entry, "case_id": "a"}], test=[]))
    assert load_manifest(folder)[0].cases[0].images == ("i\\a.nii.gz",)


@pytest.mark.parametrize("path", ["C:\\data\\a.nii.gz", "c:/data/a.nii.gz", "\\\\server\\share\\a.nii.gz"])
def test_path_with_a_drive_or_server_leaves_the_data_root(tmp_path: Path, path: str) -> None:
    with pytest.raises(ManifestError, match="case a: paths must stay under the data root"):
        load_manifest(write_dataset(tmp_path, msd_content(training=[path], test=[], modality={"0": "CT"})))
