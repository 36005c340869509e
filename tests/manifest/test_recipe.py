from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from medseg.errors import ManifestError
from medseg.manifest import load_manifest

from tests.manifest.datasets import own_content, write_dataset
from tests.manifest.test_msd import msd_content


def recipe_content(**changes: Any) -> dict[str, Any]:
    content = {
        "recipe": "msd_prostate",
        "description": "Task05 of the Medical Segmentation Decathlon",
        "source": "https://medicaldecathlon.com",
        "licence": "CC BY-SA 4.0",
        "how_to_get": ["curl -O Task05_Prostate.tar", "tar xf Task05_Prostate.tar"],
    }
    return {**content, **changes}


def write_recipe(tmp_path: Path, **changes: Any) -> Path:
    return write_dataset(tmp_path / "recipes", recipe_content(**changes)) / "dataset.json"


def test_recipe_leads_to_a_decathlon_copy(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", msd_content())
    manifest, root = load_manifest(write_recipe(tmp_path), data_root=data)
    assert (manifest, root) == load_manifest(data)


def test_recipe_leads_to_our_own_form_by_its_name(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_dataset(data, own_content())
    (data / "dataset.json").rename(data / "livers.json")
    manifest, root = load_manifest(write_recipe(tmp_path, manifest="livers.json"), data_root=data)
    assert (manifest.name, root) == ("livers", data)


def test_copy_that_matches_the_checksums_is_accepted(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", msd_content())
    digest = hashlib.sha256((data / "dataset.json").read_bytes()).hexdigest()
    load_manifest(write_recipe(tmp_path, sha256={"dataset.json": digest}), data_root=data)


def test_copy_that_differs_from_the_recipe_is_refused_with_how_to_get_it(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", msd_content())
    found = hashlib.sha256((data / "dataset.json").read_bytes()).hexdigest()[:12]
    recipe = write_recipe(tmp_path, sha256={"dataset.json": "0" * 64})
    message = rf"dataset\.json must have SHA-256 000000000000…, got {found}…; get it again:\n  curl .*\n  tar xf"
    with pytest.raises(ManifestError, match=message):
        load_manifest(recipe, data_root=data)


def test_missing_file_of_the_recipe_is_refused(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", msd_content())
    recipe = write_recipe(tmp_path, sha256={"imagesTr/prostate_00.nii.gz": "0" * 64})
    with pytest.raises(ManifestError, match=r"file imagesTr/prostate_00\.nii\.gz must exist in the data root"):
        load_manifest(recipe, data_root=data)


def test_missing_copy_is_refused_with_how_to_get_it(tmp_path: Path) -> None:
    message = r"recipe msd_prostate: dataset\.json must exist in the data root, found none; get it:\n  curl"
    with pytest.raises(ManifestError, match=message):
        load_manifest(write_recipe(tmp_path), data_root=tmp_path / "nowhere")


def test_recipe_without_data_root_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"needs a data root, the folder that holds dataset\.json"):
        load_manifest(write_recipe(tmp_path))


def test_misspelt_key_of_a_recipe_is_refused_with_the_nearest_right_one(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="unknown key 'license'; did you mean 'licence'"):
        load_manifest(write_recipe(tmp_path, license="CC0"), data_root=tmp_path)


def test_copy_of_a_recipe_obeys_the_rules_of_every_manifest(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", own_content(labels={"liver": 1}))
    with pytest.raises(ManifestError, match="label 'background' must be 0"):
        load_manifest(write_recipe(tmp_path), data_root=data)
