"""What a split writes, and that a write that fails leaves the old manifest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from medseg.errors import ConfigError, DeliveryError
from medseg.manifest import load_manifest, manifest_digest, save_manifest
from medseg.manifest.load import ManifestFile, open_manifest
from medseg.records import Failure
from medseg.split import (
    SplitConfig,
    SplitFiles,
    check_target,
    save_split,
    split_manifest,
)

from tests.manifest.datasets import write_dataset
from tests.manifest.test_msd import msd_content
from tests.manifest.test_nnunet import write_raw_folder
from tests.manifest.test_recipe import recipe_content
from tests.split.cohorts import skewed_cohort

CONFIG = SplitConfig(folds=3, seed=7, force=True)


def write_cohort(folder: Path, name: str = "dataset.json", **changes: Any) -> ManifestFile:
    save_manifest(skewed_cohort(patients=20).model_copy(update=changes), folder / name)
    return open_manifest(folder / name)


def split_in_place(source: ManifestFile) -> SplitFiles:
    return save_split(split_manifest(source.manifest, CONFIG), source, source.path, config=CONFIG)


def test_new_version_takes_the_name_and_the_old_one_stays_beside_it(tmp_path: Path) -> None:
    source = write_cohort(tmp_path)
    old = source.path.read_bytes()
    files = split_in_place(source)
    assert files.previous == tmp_path / "dataset.v1.json"
    assert files.previous.read_bytes() == old
    manifest, root = load_manifest(tmp_path)
    assert (manifest, root) == (split_manifest(source.manifest, CONFIG).manifest, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"dataset.json", "dataset.v1.json", "split.json"}


def test_splitting_again_keeps_every_version(tmp_path: Path) -> None:
    write_cohort(tmp_path)
    for _ in range(2):
        split_in_place(open_manifest(tmp_path))
    versions = {path.name: load_manifest(path)[0].version for path in tmp_path.glob("dataset*.json")}
    assert versions == {"dataset.json": "3", "dataset.v1.json": "1", "dataset.v2.json": "2"}


def test_sex_and_age_come_along_into_the_new_version(tmp_path: Path) -> None:
    cases = [case.model_copy(update={"sex": "F", "age_years": 63.5}) for case in skewed_cohort(patients=20).cases]
    split_in_place(write_cohort(tmp_path, cases=tuple(cases)))
    assert {(case.sex, case.age_years) for case in load_manifest(tmp_path)[0].cases} == {("F", 63.5)}


def test_other_file_by_the_name_of_the_old_version_is_not_lost(tmp_path: Path) -> None:
    source = write_cohort(tmp_path)
    old = source.path.read_bytes()
    (tmp_path / "dataset.v1.json").write_text("mine")
    with pytest.raises(
        DeliveryError, match=r"dataset\.v1\.json: must be free to keep the previous version, .* move it"
    ):
        split_in_place(source)
    assert (tmp_path / "dataset.v1.json").read_text() == "mine"
    assert source.path.read_bytes() == old


def test_name_that_is_taken_is_told_before_the_work(tmp_path: Path) -> None:
    source = write_cohort(tmp_path)
    (tmp_path / "dataset.v1.json").write_text("mine")
    with pytest.raises(DeliveryError, match=r"dataset\.v1\.json: must be free to keep the previous version"):
        check_target(source, None, force=False)
    assert check_target(source, tmp_path / "new.json", force=False) == tmp_path / "new.json"
    (tmp_path / "dataset.v1.json").write_bytes(source.path.read_bytes())
    assert check_target(source, None, force=False) == source.path


def test_version_that_is_no_file_name_is_made_one(tmp_path: Path) -> None:
    assert split_in_place(write_cohort(tmp_path, version="1.0 04/05")).previous == tmp_path / "dataset.v1.0_04_05.json"


def test_record_holds_what_is_needed_to_repeat_and_to_judge_the_split(tmp_path: Path) -> None:
    source = write_cohort(tmp_path)
    result = split_manifest(source.manifest, CONFIG)
    failures = [Failure("c1", "split", "case c1: label must be readable")]
    files = save_split(result, source, source.path, config=CONFIG, failures=failures)
    record = json.loads(files.record.read_text(encoding="utf-8"))
    assert record["options"] == CONFIG.model_dump(mode="json")
    assert (record["source_version"], record["version"]) == ("1", "2")
    assert record["source_digest"] == manifest_digest(source.manifest)
    assert record["digest"] == manifest_digest(load_manifest(tmp_path)[0])
    assert record["failures"] == [{"case_id": "c1", "stage": "split", "reason": "case c1: label must be readable"}]
    assert record["balance"]["columns"] == ["all", "fold 0", "fold 1", "fold 2"]
    assert [row["name"] for row in record["balance"]["rows"]] == [row.name for row in result.balance.rows]
    assert record["warnings"] == list(result.warnings)


def test_split_of_another_manifest_in_the_folder_has_its_own_record(tmp_path: Path) -> None:
    source = write_cohort(tmp_path)
    files = save_split(split_manifest(source.manifest, CONFIG), source, tmp_path / "five.json", config=CONFIG)
    assert files.previous is None
    assert {path.name for path in tmp_path.iterdir()} == {
        "dataset.json",
        "five.json",
        "five.split.json",
    }


@pytest.mark.parametrize("step", ["write_json", "save_manifest"])
def test_write_that_fails_leaves_the_old_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise DeliveryError("the disk is full")

    source = write_cohort(tmp_path)
    old = source.path.read_bytes()
    monkeypatch.setattr(f"medseg.split.save.{step}", fail)
    with pytest.raises(DeliveryError, match="the disk is full"):
        split_in_place(source)
    assert source.path.read_bytes() == old


def test_killed_write_leaves_the_old_manifest_whole(tmp_path: Path) -> None:
    """The process dies inside the last rename, after everything else was written."""
    old = write_cohort(tmp_path).path.read_bytes()
    code = f"""
import os, pathlib
from pathlib import Path
from medseg.manifest.load import open_manifest
from medseg.split import SplitConfig, save_split, split_manifest
rename = pathlib.Path.replace
def die(self, target):
    if Path(target).name == "dataset.json":
        os.kill(os.getpid(), {int(signal.SIGKILL)})
    return rename(self, target)
pathlib.Path.replace = die
source = open_manifest(Path({str(tmp_path)!r}))
config = SplitConfig(folds=3)
save_split(split_manifest(source.manifest, config), source, source.path, config=config)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / "dataset.json").read_bytes() == old
    assert (tmp_path / "dataset.v1.json").read_bytes() == old


def test_manifest_in_our_own_form_is_replaced_unless_told_otherwise(tmp_path: Path) -> None:
    source = write_cohort(tmp_path)
    assert check_target(source, None, force=False) == tmp_path / "dataset.json"
    assert check_target(source, source.path, force=False) == tmp_path / "dataset.json"
    assert check_target(source, tmp_path / "new" / "a.json", force=False) == tmp_path / "new" / "a.json"


def test_file_that_exists_is_replaced_only_by_force(tmp_path: Path) -> None:
    source, other = write_cohort(tmp_path), tmp_path / "other.json"
    other.write_text("mine")
    with pytest.raises(
        ConfigError, match=r"output .*other\.json must be a new file; choose another name, or use the option force"
    ):
        check_target(source, other, force=False)
    assert check_target(source, other, force=True) == other


@pytest.mark.parametrize("form", ["decathlon", "nnunet", "recipe"])
def test_other_forms_stay_as_they_are_and_need_out(tmp_path: Path, form: str) -> None:
    data = write_dataset(tmp_path / "data", msd_content())
    if form == "nnunet":
        write_raw_folder(data, "imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz")
    if form == "recipe":
        write_dataset(tmp_path / "recipes", recipe_content())
    source = open_manifest(tmp_path / "recipes" if form == "recipe" else data, data_root=data)
    assert not source.is_own
    message = (
        r"must be in medseg's own form to hold folds, got a Decathlon or nnU-Net dataset\.json or a recipe; "
        "name a new file as the output"
    )
    with pytest.raises(ConfigError, match=message):
        check_target(source, None, force=True)
    assert check_target(source, tmp_path / "new.json", force=False) == tmp_path / "new.json"


def test_read_only_folder_needs_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_cohort(tmp_path / "data")
    writable = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path / "data" and writable(path, mode))
    with pytest.raises(
        ConfigError, match=r"must be writable to hold dataset\.json, got a read-only one; name a file in another folder"
    ):
        check_target(source, None, force=False)
    check_target(source, tmp_path / "elsewhere" / "dataset.json", force=False)
