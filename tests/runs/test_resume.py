"""What a resume begins with, holds to, and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import medseg
import pytest
from medseg.atomic import temporary_name
from medseg.errors import CheckpointError, ConfigError, DeliveryError
from medseg.inference.folder_lock import locked_folder
from medseg.runs.run_folder import RunFolder

from tests.remedies.runs import SMALL, write_patients

EARLY = ("plan.yaml", "begun.json", "tracking.jsonl", "initialisation.json", "model/model.json")


def train(place: Path, out: str, **settings: Any) -> medseg.TrainResult:
    choices = {"config": SMALL, "epochs": 1, "device": "cpu", "store": place / "store", "tracking": False}
    return medseg.train(place, out=place / out, **(choices | settings))


def weights(place: Path, out: str) -> bytes:
    return (place / out / "model" / "last.safetensors").read_bytes()


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return folder


def test_same_command_begins_what_was_killed_before_its_record_and_then_resumes_it(tmp_path: Path) -> None:
    write_patients(tmp_path)
    train(tmp_path, "whole")
    half_written = temporary_name()
    write(tmp_path / "killed", *EARLY, half_written, f"model/{half_written}")
    with pytest.raises(ConfigError, match="must be new or empty"):
        train(tmp_path, "killed")
    first = train(tmp_path, "killed", resume=True)
    assert weights(tmp_path, "killed") == weights(tmp_path, "whole")
    left = {path.name for path in (tmp_path / "killed").rglob("*")}
    assert not left & {half_written, "begun.json", "initialisation.json"}
    again = train(tmp_path, "killed", resume=True)
    assert again.steps == first.steps
    assert again.notes[0].startswith("continued after step 1, when ")
    assert weights(tmp_path, "killed") == weights(tmp_path, "whole")


@pytest.mark.parametrize("names", [("mine.txt",), ("checkpoint.safetensors",), ("model/last.safetensors",)])
def test_folder_without_a_record_that_holds_anything_else_is_not_taken_for_a_run(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    write_patients(tmp_path)
    write(tmp_path / "run", *EARLY, *names)
    with pytest.raises(CheckpointError, match=r"run\.json must be readable to resume"):
        train(tmp_path, "run", resume=True)
    assert (tmp_path / "run" / names[0]).read_text() == "{}"


def test_start_that_fails_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    write_patients(tmp_path)
    store = f"sqlite:///{tmp_path / 'junk.db'}"
    (tmp_path / "junk.db").write_text("no database " * 100)
    for resume, left in ((False, False), (True, True)):
        with pytest.raises(medseg.PipelineError, match=r"junk\.db"):
            train(tmp_path, "deep/run", tracking=store, resume=resume)
        assert (tmp_path / "deep" / "run" / "begun.json").exists() == left


def test_second_training_in_a_folder_is_refused(tmp_path: Path) -> None:
    write_patients(tmp_path)
    (tmp_path / "run").mkdir()
    with locked_folder(tmp_path / "run"), pytest.raises(DeliveryError, match="got another training that writes there"):
        train(tmp_path, "run", resume=True)
    train(tmp_path, "run")


def test_resume_is_held_to_what_the_run_began_with(tmp_path: Path) -> None:
    """Given again it is fine, left out too; other epochs extend the run."""
    write_patients(tmp_path)
    begun = {"seed": 7, "fold": 1, "preset": "nano"}
    train(tmp_path, "run", **begun)
    record = RunFolder(tmp_path / "run").load_record()
    assert record.choices is not None
    assert (record.choices["training.batch_size"], record.choices["fold"], record.is_finished) == ("2", "1", True)
    train(tmp_path, "run", **begun, resume=True)
    train(tmp_path, "run", config=None, epochs=2, resume=True)
    other = json.loads(json.dumps(SMALL))
    other["training"]["batch_size"] = 1
    for asked, told in (
        ({"seed": 9}, "seed 7, got 9; leave out seed"),
        ({"fold": 2}, "fold 1, got 2"),
        ({"preset": "L"}, "preset nano, got L"),
        ({"config": other}, "training.batch_size 2, got 1"),
        ({"config": {"training": {"learning_rate": 0.5}}}, "training.learning_rate not given, got 0.5"),
        ({"plan": tmp_path / "run" / "plan.yaml"}, "plan not given, got a file of SHA-256"),
    ):
        with pytest.raises(ConfigError, match=told):
            train(tmp_path, "run", **{"config": None, **asked}, resume=True)  # type: ignore[arg-type]


def test_folds_go_on_where_one_was_killed_before_its_record_and_one_before_its_end(tmp_path: Path) -> None:
    """The second had its tables, but not all that follows them."""
    write_patients(tmp_path, count=3)
    write(tmp_path / "folds", "begun.json")
    train(tmp_path, "folds", fold="all-folds", resume=True)
    whole = [weights(tmp_path, f"folds/fold_{fold}") for fold in (0, 1)]
    first, second = (RunFolder(tmp_path / "folds" / f"fold_{fold}") for fold in (0, 1))
    for path in (first.record, first.checkpoint, first.curves, first.validation_curve):
        path.unlink()
    for path in (*first.path.glob("validation.*"), *first.path.rglob("*.safetensors"), *first.path.rglob("*.png")):
        path.unlink()
    first.overlays.rmdir()
    second.save_record(second.load_record().model_copy(update={"is_finished": False}))
    second.validation.with_suffix(".csv").unlink()
    result = train(tmp_path, "folds", fold="all-folds", resume=True)
    assert result.failures == ()
    assert [weights(tmp_path, f"folds/fold_{fold}") for fold in (0, 1)] == whole
    assert second.validation.with_suffix(".csv").is_file()
    with pytest.raises(ConfigError, match="seed not given, got 5"):
        train(tmp_path, "folds", fold="all-folds", resume=True, seed=5)
