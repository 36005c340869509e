"""What a user means by a model: runs, model folders, all folds of a training, addresses."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest
from medseg.atomic import write_json
from medseg.errors import CheckpointError, ConfigError
from medseg.runs.segmentation.model_paths import found_models, is_model, unusable_run

from tests.remedies.inference import model_run


def test_run_model_folder_folds_and_address_are_models(tmp_path: Path) -> None:
    run = model_run(tmp_path / "run")
    write_json(tmp_path / "folds" / "folds.json", {})
    assert is_model(run)
    assert is_model(run / "model")
    assert is_model(tmp_path / "folds")
    assert is_model("models:/livers@clinical")


def test_scans_and_datasets_are_none(tmp_path: Path) -> None:
    write_json(tmp_path / "dataset.json", {})
    (tmp_path / "scan.nii.gz").touch()
    for place in (tmp_path, tmp_path / "scan.nii.gz", tmp_path / "dataset.json", tmp_path / "gone"):
        assert not is_model(place)


def test_training_of_all_folds_is_the_model_of_each_in_their_order(tmp_path: Path) -> None:
    write_json(tmp_path / "folds" / "folds.json", {})
    for number in (10, 2, 0):
        model_run(tmp_path / "folds" / f"fold_{number}")
    run = model_run(tmp_path / "run")
    with found_models([tmp_path / "folds", run]) as found:
        assert found.folders == (*(tmp_path / "folds" / f"fold_{number}" for number in (0, 2, 10)), run)
        assert found.warnings == ()


def test_fold_without_a_model_is_said_to_take_no_part(tmp_path: Path) -> None:
    write_json(tmp_path / "folds" / "folds.json", {})
    model_run(tmp_path / "folds" / "fold_0")
    (tmp_path / "folds" / "fold_1").mkdir()
    with found_models([tmp_path / "folds"]) as found:
        assert found.folders == (tmp_path / "folds" / "fold_0",)
        (warning,) = found.warnings
        assert warning.endswith("fold_1 has no model and takes no part")


def test_fold_whose_weights_are_not_written_yet_takes_no_part(tmp_path: Path) -> None:
    write_json(tmp_path / "folds" / "folds.json", {})
    for number in range(2):
        model_run(tmp_path / "folds" / f"fold_{number}")
    for path in (tmp_path / "folds" / "fold_1" / "model").glob("*.safetensors"):
        path.unlink()
    with found_models([tmp_path / "folds"]) as found:
        assert found.folders == (tmp_path / "folds" / "fold_0",)
        assert len(found.warnings) == 1


def test_model_that_is_given_twice_is_refused_wherever_its_copy_lies(tmp_path: Path) -> None:
    run, other = model_run(tmp_path / "run"), model_run(tmp_path / "other")
    copytree(run, tmp_path / "copy")
    for again in (run, run / "model", tmp_path / "copy"):
        with pytest.raises(ConfigError, match="must differ, got one 2 times"), found_models([run, other, again]):
            pass
    with found_models([run, other]) as found:
        assert found.folders == (run, other)


def test_slice_classifier_draws_no_masks(tmp_path: Path) -> None:
    write_json(tmp_path / "run" / "model" / "classifier.json", {})
    assert unusable_run(tmp_path / "run") == "a slice classifier, which draws no masks"
    assert not is_model(tmp_path / "run")
    with pytest.raises(ConfigError, match="must draw masks, got a slice classifier"), found_models([tmp_path / "run"]):
        pass


def test_interrupted_training_is_no_folder_of_scans(tmp_path: Path) -> None:
    write_json(tmp_path / "begun" / "run.json", {})
    assert unusable_run(tmp_path / "begun") == "a training without a model"
    assert unusable_run(model_run(tmp_path / "run")) == ""
    assert unusable_run(tmp_path / "scans") == ""


def test_folds_without_any_model_are_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "folds" / "folds.json", {})
    with pytest.raises(CheckpointError, match="a fold must have a model, got none"), found_models([tmp_path / "folds"]):
        pass
