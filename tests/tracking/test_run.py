"""What arrives in MLflow."""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from medseg.errors import TrackingError
from medseg.scans import read_label
from medseg.tracking import TrackedRun, default_tracking_uri, ui_command
from medseg.tracking.own_wheel import wheel_name


def status(client: Any, run: TrackedRun) -> str:
    return str(client.get_run(run.run_id).info.status)


def artefacts(client: Any, run: TrackedRun, folder: str | None = None) -> set[str]:
    return {item.path for item in client.list_artifacts(run.run_id, folder)}


def test_run_has_its_name_tags_and_experiment(client: Any, run: TrackedRun) -> None:
    found = client.get_run(run.run_id)
    assert found.info.run_name == "train fold 0"
    assert found.data.tags["medseg.fold"] == "0"
    assert client.get_experiment(found.info.experiment_id).name == "livers"


def test_experiment_is_made_once_for_all_its_runs(client: Any, uri: str) -> None:
    runs = [TrackedRun.start(experiment="twice", name=str(n), tracking_uri=uri) for n in range(2)]
    assert len({client.get_run(run.run_id).info.experiment_id for run in runs}) == 1


def test_two_runs_are_never_merged(client: Any, uri: str) -> None:
    one, two = (TrackedRun.start(experiment="pair", name="same name", tracking_uri=uri) for _ in range(2))
    one.log_parameters({"seed": 1})
    two.log_parameters({"seed": 2})
    one.log_metrics({"loss": 0.5})
    assert one.run_id != two.run_id
    assert [client.get_run(r.run_id).data.params["seed"] for r in (one, two)] == ["1", "2"]
    assert client.get_run(one.run_id).data.metrics == {"loss": 0.5}
    assert client.get_run(two.run_id).data.metrics == {}


def test_settings_get_dotted_names(client: Any, run: TrackedRun) -> None:
    run.log_parameters({"training": {"augment": {"noise": 0.1}, "patch_size": [8, 8, 8]}, "fold": "all", "empty": {}})
    assert client.get_run(run.run_id).data.params == {
        "training.augment.noise": "0.1",
        "training.patch_size": "[8, 8, 8]",
        "fold": "all",
        "empty": "{}",
    }


def test_more_settings_than_mlflow_takes_at_once_all_arrive(client: Any, run: TrackedRun) -> None:
    run.log_parameters({f"p{n}": n for n in range(250)} | {"long": "x" * 7000})
    params = client.get_run(run.run_id).data.params
    assert len(params) == 251
    assert params["p249"] == "249"
    assert params["long"] == "x" * 6000


def test_metrics_keep_their_steps_and_leave_nan_out(client: Any, run: TrackedRun) -> None:
    for step, value in enumerate((3.0, 2.0, float("nan"), 1.0)):
        run.log_metrics({"loss": value, "gap": float("inf")}, step=step)
    history = client.get_metric_history(run.run_id, "loss")
    assert [(item.step, item.value) for item in history] == [(0, 3.0), (1, 2.0), (3, 1.0)]
    assert "gap" not in client.get_run(run.run_id).data.metrics


@pytest.mark.parametrize(
    "label", ["liver (left lobe)", "tumour: necrotic+cystic", "Ödem", "a&b=c?", 'quote"s', "100%", "x" * 400]
)
def test_label_names_with_odd_characters_are_logged(client: Any, run: TrackedRun, label: str) -> None:
    run.log_metrics({f"volume_dice/{label}": 0.25})
    run.log_parameters({f"labels/{label}": 3})
    data = client.get_run(run.run_id).data
    (name,) = data.metrics
    assert data.metrics[name] == 0.25
    assert name.startswith("volume_dice/")
    assert list(data.params.values()) == ["3"]


def test_table_is_logged_with_its_columns(client: Any, run: TrackedRun, tmp_path: Path) -> None:
    run.log_table({"case_id": ["a", "b"], "dice": [0.5, None]}, "cases.json")
    content = json.loads(Path(client.download_artifacts(run.run_id, "cases.json", str(tmp_path))).read_text("utf-8"))
    assert content == {"columns": ["case_id", "dice"], "data": [["a", 0.5], ["b", None]]}


def test_dataset_is_logged_by_name_and_digest_without_a_path(client: Any, run: TrackedRun) -> None:
    run.log_dataset(name="livers", digest="d" * 64, context="training", facts={"cases": 12, "labels": {"liver": 1}})
    (entry,) = client.get_run(run.run_id).inputs.dataset_inputs
    assert {tag.key: tag.value for tag in entry.tags} == {"mlflow.data.context": "training"}
    assert entry.dataset.name.startswith("livers")
    assert entry.dataset.digest == "d" * 36
    assert json.loads(entry.dataset.source) == {"manifest_digest": "d" * 64}
    assert json.loads(entry.dataset.profile) == {"cases": 12, "labels": {"liver": 1}}


def test_training_and_validation_cases_of_one_dataset_are_both_seen(client: Any, run: TrackedRun) -> None:
    for context, cases in (("training", 12), ("validation", 3)):
        run.log_dataset(name="spleens", digest="e" * 64, context=context, facts={"cases": cases})
    found = {
        entry.tags[0].value: json.loads(entry.dataset.profile)["cases"]
        for entry in client.get_run(run.run_id).inputs.dataset_inputs
    }
    assert found == {"training": 12, "validation": 3}


def test_file_is_copied_into_the_run(client: Any, run: TrackedRun, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("a: 1\n", encoding="utf-8")
    run.log_file(tmp_path / "plan.yaml")
    run.log_file(tmp_path / "plan.yaml", folder="overlays")
    assert artefacts(client, run) == {"plan.yaml", "overlays"}
    assert artefacts(client, run, "overlays") == {"overlays/plan.yaml"}


def test_run_that_ends_well_is_finished(client: Any, run: TrackedRun) -> None:
    with run.recording(system_metrics=False) as same:
        assert same is run
        assert status(client, run) == "RUNNING"
    assert status(client, run) == "FINISHED"


@pytest.mark.parametrize(("error", "expected"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_run_that_is_broken_off_says_so(
    client: Any, run: TrackedRun, error: type[BaseException], expected: str
) -> None:
    with pytest.raises(error), run.recording(system_metrics=False):
        raise error
    assert status(client, run) == expected


def test_system_metrics_arrive_in_the_run_itself(client: Any, run: TrackedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    with run.recording():
        time.sleep(0.5)
    assert client.get_run(run.run_id).data.metrics["system/system_memory_usage_megabytes"] > 0
    assert status(client, run) == "FINISHED"


def test_run_is_resumed_by_its_id(client: Any, uri: str, run: TrackedRun) -> None:
    later = TrackedRun.start(experiment="livers", name="later, unfinished", tracking_uri=uri)
    run.log_metrics({"loss": 2.0}, step=0)
    with pytest.raises(ValueError, match="power"), run.recording(system_metrics=False):
        raise ValueError("power")
    again = TrackedRun.resume(run.run_id, tracking_uri=uri)
    assert again.run_id == run.run_id
    assert status(client, run) == "RUNNING"
    with again.recording(system_metrics=False):
        again.log_metrics({"loss": 1.0}, step=1)
    assert [item.value for item in client.get_metric_history(run.run_id, "loss")] == [2.0, 1.0]
    assert status(client, run) == "FINISHED"
    assert client.get_run(later.run_id).data.metrics == {}


def test_resuming_a_run_that_the_store_does_not_hold_is_refused(uri: str) -> None:
    with pytest.raises(TrackingError, match=r"must hold what it is asked for, got: .*not found; check"):
        TrackedRun.resume("0" * 32, tracking_uri=uri)


@pytest.mark.parametrize("name", ["file/mlflow.db", "file"])
def test_store_that_is_no_database_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("not a database " * 100, encoding="utf-8")
    store = f"sqlite:///{tmp_path / name}"
    with pytest.raises(TrackingError, match=r"^MLflow store sqlite:.*: must be reachable, got: .*; check the tracking"):
        TrackedRun.start(experiment="livers", name="x", tracking_uri=store)


def test_deleted_experiment_is_refused(client: Any, uri: str) -> None:
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(TrackingError, match="experiment 'gone' must not be deleted; restore it"):
        TrackedRun.start(experiment="gone", name="x", tracking_uri=uri)


def test_default_store_is_the_environment_s(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    mlflow.set_tracking_uri(None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000")
    assert default_tracking_uri() == "http://tracking.example:5000"


def test_ui_is_started_on_the_store(uri: str) -> None:
    command = ui_command(uri, host="127.0.0.1", port=5001)
    assert command[1:4] == ["-m", "mlflow", "ui"]
    assert command[command.index("--backend-store-uri") + 1] == uri
    assert command[command.index("--port") + 1] == "5001"


def test_logged_model_draws_masks_when_mlflow_loads_it(
    client: Any, uri: str, run: TrackedRun, model_folder: Path, box: Path, tmp_path: Path
) -> None:
    import mlflow

    with run.recording(system_metrics=False):
        run.log_model(model_folder, version="0.1.0")
        run.log_metrics({"after": 1.0})
    mlflow.set_tracking_uri(uri)
    (logged,) = client.search_logged_models(
        [client.get_run(run.run_id).info.experiment_id], filter_string=f"source_run_id = '{run.run_id}'"
    )
    model = mlflow.pyfunc.load_model(logged.model_uri)
    table = pandas.DataFrame({"scan": [box.read_bytes(), b"torn"], "name": [box.name, "torn.nii.gz"]})
    for _ in range(2):  # a request leaves nothing that the next one meets
        drawn, failed = model.predict(table).to_dict("records")
    assert failed["mask"] is None
    assert failed["error"].startswith("case torn: ")
    assert (drawn["case"], drawn["error"]) == ("box", None)
    (tmp_path / drawn["file"]).write_bytes(base64.b64decode(drawn["mask"]))
    mask, _ = read_label(tmp_path / "box.nii.gz", case_id="box")
    expected = np.zeros((9, 12, 7), np.uint8)
    expected[2:5, 3:9, 1:4] = 5
    np.testing.assert_array_equal(mask, expected)
    assert status(client, run) == "FINISHED"


def test_logged_model_reads_no_path_unless_its_loader_allows_it(
    client: Any, uri: str, run: TrackedRun, model_folder: Path, box: Path
) -> None:
    import mlflow

    run.log_model(model_folder, version="0.1.0")
    mlflow.set_tracking_uri(uri)
    (logged,) = client.search_logged_models(
        [client.get_run(run.run_id).info.experiment_id], filter_string=f"source_run_id = '{run.run_id}'"
    )
    table = pandas.DataFrame({"path": [str(box)]})
    with pytest.raises(mlflow.exceptions.MlflowException, match="the bytes of its scan, got a path") as caught:
        mlflow.pyfunc.load_model(logged.model_uri).predict(table)
    assert caught.value.get_http_status_code() == 400
    allowing = mlflow.pyfunc.load_model(logged.model_uri, model_config={"paths_below": str(box.parent)})
    assert allowing.predict(table)["error"].tolist() == [None]


def test_logged_model_holds_no_pickle_and_carries_medseg(store: Path, run: TrackedRun, model_folder: Path) -> None:
    before = set(store.rglob("*"))
    run.log_model(model_folder, version="0.1.0")
    files = {path.name: path for path in set(store.rglob("*")) - before if path.is_file()}
    assert {"MLmodel", "requirements.txt", "model.json", "last.safetensors"} <= set(files)
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt", ".pth", ".joblib"))]
    asked = files["requirements.txt"].read_text(encoding="utf-8").split()
    assert [line for line in asked if "medseg" in line] == [f"code/{wheel_name()}"]
    assert wheel_name() in files
    assert all("==" in line or line.startswith("code/") for line in asked)
    assert files["last.safetensors"].read_bytes() == (model_folder / "last.safetensors").read_bytes()
    assert "python_model" not in files["MLmodel"].read_text(encoding="utf-8")


@pytest.mark.parametrize("way", ["alias", "edited"])
def test_model_that_was_logged_under_the_old_import_name_loads_as_the_changelog_says(
    store: Path, run: TrackedRun, model_folder: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    import mlflow
    from medseg.tracking import model_flavour

    before = set(store.rglob("*"))
    run.log_model(model_folder, version="0.1.0")
    (file,) = (path for path in set(store.rglob("*")) - before if path.name == "MLmodel")
    today = file.read_text(encoding="utf-8")
    assert "loader_module: medseg.tracking.model_flavour" in today
    file.write_text(today.replace("medseg.tracking.", "pipeline.tracking."), encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match="pipeline"):
        mlflow.pyfunc.load_model(str(file.parent))
    if way == "alias":
        monkeypatch.setitem(sys.modules, "pipeline.tracking.model_flavour", model_flavour)
    else:
        file.write_text(
            file.read_text(encoding="utf-8").replace("pipeline.tracking", "medseg.tracking"), encoding="utf-8"
        )
    assert mlflow.pyfunc.load_model(str(file.parent)) is not None


@pytest.mark.parametrize("text", ["\u809d\u810f", "caf\udce9"])
def test_names_from_outside_are_logged(client: Any, uri: str, tmp_path: Path, text: str) -> None:
    run = TrackedRun.start(experiment=f"set {text}", name=f"train {text}", tracking_uri=uri, tags={"site": text})
    file = tmp_path / f"{text}.png"
    file.write_bytes(b"picture")
    with run.recording(system_metrics=False):
        run.log_parameters({f"labels.{text}": text})
        run.log_metrics({f"volume_dice/{text}": 0.5})
        run.log_table({"case_id": [text]}, "cases.json")
        run.log_file(file)
        run.log_dataset(name=text, digest="d" * 64, context="training", facts={"labels": {text: 1}})
    assert run.kept == ""
    found = client.get_run(run.run_id)
    assert len(found.data.params) == len(found.data.metrics) == len(found.inputs.dataset_inputs) == 1
    shown = text.encode("utf-8", "backslashreplace").decode()
    assert next(iter(found.data.params.values())) == found.data.tags["site"] == shown
    pictures = [path for path in artefacts(client, run) if path.endswith(".png")]
    assert [path.replace("_", "\\") for path in pictures] == [f"{shown}.png"]


def test_run_that_cannot_be_begun_keeps_the_status_that_it_had(client: Any, uri: str, run: TrackedRun) -> None:
    with run.recording(system_metrics=False):
        pass
    again = TrackedRun.resume(run.run_id, tracking_uri=uri)
    with pytest.raises(ValueError, match="other plan"), again.recording(system_metrics=False):
        raise ValueError("other plan")
    assert status(client, run) == "FINISHED"


def test_model_is_logged_without_a_change_to_the_caller_s_store(uri: str, run: TrackedRun, model_folder: Path) -> None:
    import mlflow

    mlflow.set_tracking_uri("sqlite:///elsewhere.db")
    run.log_model(model_folder, version="0.1.0")
    assert mlflow.get_tracking_uri() == "sqlite:///elsewhere.db"
    assert mlflow.active_run() is None
    assert not Path("elsewhere.db").exists()
    mlflow.set_tracking_uri(None)


def test_counters_of_disk_and_network_are_not_logged(client: Any, run: TrackedRun) -> None:
    from medseg.tracking import system_metrics

    logged: dict[str, float] = {}
    monitor = system_metrics.start_monitor(run.run_id, run.tracking_uri, log=logged.update)
    monitor.publish_metrics(
        {"cpu_utilization_percentage": 5.0, "disk_usage_megabytes": 9.0, "network_receive_megabytes": 1}
    )
    monitor.finish()
    assert {name for name in logged if "disk" in name or "network" in name} == set()
    assert logged["system/cpu_utilization_percentage"] == 5.0


def test_commit_of_the_user_s_folder_is_told_if_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil
    import subprocess

    from medseg.tracking import working_commit

    monkeypatch.chdir(tmp_path)
    assert working_commit() == {}
    git = str(shutil.which("git"))
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([git, *command], check=True, cwd=tmp_path)
    head = subprocess.run([git, "rev-parse", "HEAD"], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert working_commit() == {"mlflow.source.git.commit": head.stdout.strip()}


def test_nothing_is_printed_at_the_end_of_a_run(run: TrackedRun, capsys: pytest.CaptureFixture[str]) -> None:
    import os

    with run.recording(system_metrics=False):
        run.log_metrics({"loss": 1.0})
    assert capsys.readouterr() == ("", "")
    assert os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] == "true"


def test_hosts_that_may_open_the_ui_are_passed_on(uri: str) -> None:
    command = ui_command(uri, host="0.0.0.0", port=5001, allowed_hosts="a.example,b.example:5001")  # noqa: S104
    assert command[command.index("--allowed-hosts") + 1] == "a.example,b.example:5001"
    assert "--allowed-hosts" not in ui_command(uri, host="127.0.0.1", port=5001)


def test_run_that_is_asked_for_again_under_its_id_is_made_once(client: Any, uri: str) -> None:
    """A training that is killed before it has written down which run it has."""
    from medseg.tracking import new_start_id

    start_id = new_start_id()
    asked = {"experiment": "asked", "name": "train", "tracking_uri": uri, "start_id": start_id}
    first = TrackedRun.start(**asked)
    client.set_terminated(first.run_id, status="KILLED")
    again = TrackedRun.start(**asked)
    assert again.run_id == first.run_id
    assert status(client, again) == "RUNNING"


def test_metrics_of_the_machine_go_on_after_those_that_a_killed_part_had_kept(
    client: Any, uri: str, run: TrackedRun, tmp_path: Path
) -> None:
    spool, values = tmp_path / "run" / "tracking.jsonl", {"system/cpu": 1.0}
    with run.recording(system_metrics=False):
        run.begin(spool)
        run._log_system(values)
    from medseg.tracking.entry import Entry
    from medseg.tracking.spool import Spool

    kept = Spool(spool, run_id=run.run_id, tracking_uri=uri)
    kept.append(1, Entry("metrics", {"values": values, "step": 1, "at": 1}))
    kept.close(is_sent=False)
    resumed = TrackedRun.resume(run.run_id, tracking_uri=uri)
    with resumed.recording(system_metrics=False):
        resumed._log_system(values)  # before it is known what was kept
        resumed.begin(spool)
        resumed._log_system(values)
    history = client.get_metric_history(run.run_id, "system/cpu")
    assert sorted(point.step for point in history) == [0, 1, 2, 3]
