"""Models in MLflow: one for each run, with its numbers, and found by its evaluations."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from medseg.geometry import Geometry
from medseg.inference.classification import SlicePredictor, save_classifier_card
from medseg.networks import save_weights
from medseg.networks.classification import SliceClassifier
from medseg.networks.weights import weights_digest
from medseg.scans import read_scan, write_scan
from medseg.tracking import MeasuredModel, TrackedRun

from tests.inference.classification.knowing import CPU, card_of
from tests.tracking.conftest import box_model

VALIDATION = MeasuredModel("livers", "d" * 64, "validation")


def models_of(client: Any, run: TrackedRun) -> list[Any]:
    experiment = client.get_run(run.run_id).info.experiment_id
    return list(client.search_logged_models([experiment], filter_string=f"source_run_id = '{run.run_id}'"))


def test_model_has_its_name_its_tags_and_the_types_of_its_input(
    client: Any, run: TrackedRun, model_folder: Path
) -> None:
    import mlflow

    run.log_model(model_folder, version="0.1.0", name="livers-run: 1")
    (model,) = models_of(client, run)
    assert (model.name, model.status.value) == ("livers-run_ 1", "READY")
    assert model.tags["medseg.weights_digest"] == weights_digest(model_folder / "last.safetensors")
    described = mlflow.models.get_model_info(model.artifact_location)
    assert described.signature.inputs.input_names() == ["scan", "name", "path"]
    assert described.signature.outputs.input_names() == [
        "case", "mask", "file", "labels", "volumes_ml", "flags", "error",
    ]  # fmt: skip
    assert [param.name for param in described.signature.params.params] == ["fast"]


def test_numbers_stand_with_the_model_and_their_dataset(client: Any, run: TrackedRun, model_folder: Path) -> None:
    run.log_metrics({"train_loss": 0.5}, step=3)
    run.log_model(model_folder, version="0.1.0", step=7)
    run.log_metrics({"val/dice/liver": 0.9, "val/dice/spleen": 0.8}, step=7, of=VALIDATION)
    (model,) = models_of(client, run)
    shown = {(one.key, one.value, one.step, one.dataset_name, one.dataset_digest) for one in model.metrics}
    assert shown == {
        ("val/dice/liver", 0.9, 7, "livers (validation)", "d" * 36),
        ("val/dice/spleen", 0.8, 7, "livers (validation)", "d" * 36),
    }
    assert client.get_run(run.run_id).data.metrics["val/dice/liver"] == 0.9


def retrained(folder: Path, strength: float) -> None:
    """Other weights in the folder of a model."""
    other = box_model(folder.parent / f"stronger{strength}", strength=strength)
    shutil.copy(other / "last.safetensors", folder / "last.safetensors")


def files_of(model: Any, name: str) -> list[Path]:
    return list(Path(model.artifact_location.removeprefix("file://")).rglob(name))


def test_same_weights_are_one_model_however_often_they_are_logged(
    client: Any, run: TrackedRun, model_folder: Path
) -> None:
    for step in (5, 9):
        run.log_model(model_folder, version="0.1.0", step=step)
        run.log_metrics({"val/dice/liver": step / 10}, step=step, of=VALIDATION)
    (model,) = models_of(client, run)
    assert {(one.step, one.value) for one in model.metrics} == {(5, 0.5), (9, 0.9)}
    assert len(client.get_run(run.run_id).outputs.model_outputs) == 1


def test_other_weights_take_the_model_s_place_and_none_of_its_numbers(
    client: Any, run: TrackedRun, model_folder: Path
) -> None:
    for step in (5, 9):
        retrained(model_folder, 20.0 + step)
        run.log_model(model_folder, version="0.1.0", step=step)
        run.log_metrics({"val/dice/liver": step / 10}, step=step, of=VALIDATION)
    (model,) = models_of(client, run)
    assert model.tags["medseg.weights_digest"] == weights_digest(model_folder / "last.safetensors")
    assert [weights_digest(path) for path in files_of(model, "last.safetensors")] == [
        model.tags["medseg.weights_digest"]
    ]
    assert [(one.step, one.value) for one in model.metrics] == [(9, 0.9)]


def test_digest_is_that_of_the_weights_that_are_sent(
    client: Any, uri: str, run: TrackedRun, model_folder: Path, tmp_path: Path
) -> None:
    from medseg.tracking import send_spool
    from medseg.tracking.entry import Entry
    from medseg.tracking.spool import Spool

    spool = Spool(tmp_path / "tracking.jsonl", run_id=run.run_id, tracking_uri=uri)
    tags = {"medseg.weights_digest": "of the time when it was kept"}
    spool.append(1, Entry("model", {"path": str(model_folder), "version": "0.1.0", "name": "a", "tags": tags}))
    spool.close(is_sent=False)
    retrained(model_folder, 31.0)
    assert send_spool(tmp_path / "tracking.jsonl").left == 0
    (model,) = models_of(client, run)
    assert model.tags["medseg.weights_digest"] == weights_digest(model_folder / "last.safetensors")


def test_registered_model_is_never_written_again(client: Any, run: TrackedRun, model_folder: Path) -> None:
    run.log_model(model_folder, version="0.1.0")
    (first,) = models_of(client, run)
    digest = weights_digest(model_folder / "last.safetensors")
    client.create_registered_model("held")
    client.create_model_version("held", source=f"models:/{first.model_id}", run_id=run.run_id, model_id=first.model_id)
    run.log_model(model_folder, version="0.1.0")
    assert len(models_of(client, run)) == 1
    retrained(model_folder, 32.0)
    run.log_model(model_folder, version="0.1.0")
    assert len(models_of(client, run)) == 2
    assert [weights_digest(path) for path in files_of(first, "last.safetensors")] == [digest]


def test_model_that_the_user_has_logged_in_the_run_stays(client: Any, run: TrackedRun, model_folder: Path) -> None:
    info = client.get_run(run.run_id).info
    own = client.create_logged_model(info.experiment_id, name="my_onnx", source_run_id=run.run_id)
    client.finalize_logged_model(own.model_id, "READY")
    for strength in (20.0, 25.0):
        retrained(model_folder, strength)
        run.log_model(model_folder, version="0.1.0", name="ours")
    assert sorted(model.name for model in models_of(client, run)) == ["my_onnx", "ours"]


def test_evaluation_is_shown_below_its_training_and_with_its_model(
    client: Any, uri: str, run: TrackedRun, model_folder: Path
) -> None:
    run.log_model(model_folder, version="0.1.0")
    evaluation = TrackedRun.start(experiment="livers", name="evaluate", tracking_uri=uri, parent=run.run_id)
    digest = weights_digest(model_folder / "last.safetensors")
    for weights, value in ((digest, 0.7), ("9" * 64, 0.1)):  # the second is of the best weights, say
        measured = MeasuredModel("livers", "e" * 64, "evaluation", run.run_id, weights)
        evaluation.use_model(measured)
        evaluation.log_metrics({"test/dice/liver": value}, of=measured)
    found = client.get_run(evaluation.run_id)
    (model,) = models_of(client, run)
    assert found.data.tags["mlflow.parentRunId"] == run.run_id
    assert [one.model_id for one in found.inputs.model_inputs] == [model.model_id]
    (metric,) = model.metrics
    assert (metric.key, metric.value, metric.run_id) == ("test/dice/liver", 0.7, evaluation.run_id)


@pytest.mark.parametrize("lost", ["0" * 32, "no id at all"])
def test_evaluation_of_a_model_that_the_store_does_not_hold_keeps_its_numbers(client: Any, uri: str, lost: str) -> None:
    evaluation = TrackedRun.start(experiment="livers", name="evaluate", tracking_uri=uri, parent=lost)
    measured = MeasuredModel("livers", "e" * 64, "evaluation", lost, "1" * 64)
    evaluation.use_model(measured)
    evaluation.log_metrics({"test/dice/liver": 0.7}, of=measured)
    found = client.get_run(evaluation.run_id)
    assert "mlflow.parentRunId" not in found.data.tags
    assert found.data.metrics == {"test/dice/liver": 0.7}


def test_parent_of_another_dataset_does_not_hide_a_run(client: Any, uri: str, run: TrackedRun) -> None:
    other = TrackedRun.start(experiment="spleens", name="evaluate", tracking_uri=uri, parent=run.run_id)
    assert "mlflow.parentRunId" not in client.get_run(other.run_id).data.tags


def test_steps_that_a_resumed_run_repeats_are_logged_once(client: Any, uri: str, run: TrackedRun) -> None:
    for step in (10, 20, 30):
        run.log_metrics({"train_loss": 1 / step}, step=step)
    again = TrackedRun.resume(run.run_id, tracking_uri=uri)
    for step in (20, 30, 40):
        again.log_metrics({"train_loss": 2 / step, "new": step}, step=step)
    assert [one.step for one in client.get_metric_history(run.run_id, "train_loss")] == [10, 20, 30, 40]
    assert [one.step for one in client.get_metric_history(run.run_id, "new")] == [20, 30, 40]


def test_steps_that_were_kept_but_not_sent_are_not_kept_twice(
    client: Any, uri: str, run: TrackedRun, tmp_path: Path
) -> None:
    lines = [
        {"run_id": run.run_id, "tracking_uri": uri},
        {"n": 1, "kind": "metrics", "content": {"values": {"train_loss": 0.5}, "step": 10, "at": 1}},
    ]
    import json

    spool = tmp_path / "tracking.jsonl"
    spool.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    again = TrackedRun.resume(run.run_id, tracking_uri=uri)
    with again.recording(system_metrics=False):
        again.begin(spool)
        again.log_metrics({"train_loss": 0.4}, step=10)
        again.log_metrics({"train_loss": 0.3}, step=20)
    history = client.get_metric_history(run.run_id, "train_loss")
    assert [(one.step, one.value) for one in history] == [(10, 0.5), (20, 0.3)]


def test_run_is_renamed_at_once(client: Any, run: TrackedRun) -> None:
    run.rename("train run, fold 0, 20m")
    assert client.get_run(run.run_id).info.run_name == "train run, fold 0, 20m"


def test_logged_classifier_gives_probabilities_when_mlflow_loads_it(
    client: Any, uri: str, run: TrackedRun, tmp_path: Path
) -> None:
    import mlflow

    card = card_of()
    folder = tmp_path / "classifier"
    save_classifier_card(card, folder)
    save_weights(SliceClassifier(card.network).state_dict(), folder / "last.safetensors")
    image = tmp_path / "case.nii.gz"
    noise = np.random.default_rng(0).normal(size=(1, 12, 14, 5)).astype(np.float32)
    write_scan(noise, Geometry((12, 14, 5), np.eye(4)), image)
    run.log_model(folder, version="0.1.0", name="slices")
    mlflow.set_tracking_uri(uri)
    (model,) = models_of(client, run)
    asked = pandas.DataFrame({"scan": [image.read_bytes()], "name": [image.name]})
    table = mlflow.pyfunc.load_model(model.model_uri).predict(asked)
    mlflow.set_tracking_uri(None)
    scan = read_scan((image,), case_id="case", channels=1)
    expected = SlicePredictor.load(folder, device=CPU).scores(scan, case_id="case")
    assert list(table["slice"]) == list(range(len(expected.probabilities)))
    assert set(table["image"]) == {"case"}
    np.testing.assert_allclose(table[list(card.targets.classes)], expected.probabilities, atol=1e-6)


def test_run_that_is_made_before_its_late_parent_is_shown_below_it(client: Any, uri: str) -> None:
    parent = TrackedRun.start_late(experiment="folds", name="all folds", tracking_uri=uri)
    child = TrackedRun.start_late(experiment="folds", name="fold 0", tracking_uri=uri, parent=parent.run_id)
    for run in (child, parent):
        with run.recording(system_metrics=False):
            run.log_metrics({"train_loss": 0.5}, step=1)
    assert client.get_run(child.run_id).data.tags["mlflow.parentRunId"] == parent.run_id
    assert (
        client.get_run(child.run_id).data.metrics == client.get_run(parent.run_id).data.metrics == {"train_loss": 0.5}
    )


def test_late_run_is_made_once_though_it_is_asked_for_twice(client: Any, uri: str, tmp_path: Path) -> None:
    late = TrackedRun.start_late(experiment="late", name="train", tracking_uri=uri)
    asked = late.run_id
    with late.recording(system_metrics=False):
        late.log_metrics({"train_loss": 0.5}, step=1)
    again = TrackedRun.resume(asked, tracking_uri=uri)
    assert again.run_id == late.run_id != asked
    assert len(client.search_runs([client.get_experiment_by_name("late").experiment_id])) == 1
