"""Trainings in forks of this process, which cost no new interpreter, so that many can be killed and resumed.

The process must have begun no training itself, and no thread of torch: a fork has none of its threads.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from ignite.engine import Engine, Events
from medseg.atomic import is_leftover
from medseg.phantom import write_cohort
from medseg.training import TrainingState, saving
from medseg.training.forecast import Forecast
from safetensors.torch import load_file

Kind = Literal["segmentation", "classification", "folds", "update", "curve"]
EPOCHS: dict[Kind, int] = {"segmentation": 8, "classification": 8, "folds": 3, "update": 8, "curve": 3}
SMALL: dict[str, Any] = {
    "network": {
        "channels": [4, 8],
        "strides": [[1, 1, 1], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 2,
        "blocks": [1, 1],
        "decoder_blocks": [1],
    },
    "preprocess": {"spacing_mm": [12.0, 12.0, 12.0]},
    "training": {"batch_size": 2, "patch_size": [16, 16, 16], "patches_per_case": 2, "validations": 4},
    "inference": {"patch_size": [16, 16, 16]},
}
SLICES: dict[str, Any] = {
    "slices": {"pixel_mm": 8.0, "size": [32, 32]},
    "network": {"width": 4},
    "training": {"batch_size": 16, "longest_epoch": 4, "validations": 4},
}
CLOCKS = {"steps_per_second", "elapsed_seconds"}
_OF_A_MASK = {"seconds", "peak_memory_bytes", "date", "training_s", "run_id", "model.json", "settings_digest"}
_STAGE_BYTES = 32


class Place(NamedTuple):
    """Where trainings read and write.

    Attributes:
        folder: Working folder, with the data, the store of prepared cases and MLflow's.
        kind: Kind of training.
        saves_s: Shortest time between two checkpoints, in place of the 5 s of trainings that take longer.
        epochs: Length.
    """

    folder: Path
    kind: Kind
    saves_s: float
    epochs: int

    @property
    def uri(self) -> str:
        """MLflow store."""
        return f"sqlite:///{self.folder / 'mlflow.db'}"


def make_place(folder: Path, kind: Kind) -> Place:
    """A working folder with a few phantoms."""
    if not (folder / "data").exists():
        write_cohort(folder / "data", patients=6, test_patients=1)
    if kind == "update" and not (folder / "base").exists():
        _write_parts(folder / "data")
    return Place(folder, kind, 0.2, EPOCHS[kind])


def _write_parts(data: Path) -> None:
    """Two datasets of the same folds: `earlier.json`, for a run to be updated, and `later.json` of one patient more."""
    content = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
    patients = sorted({case["patient_id"] for case in content["training"]})
    for case in content["training"]:
        case["fold"] = patients.index(case["patient_id"]) % 2
    (data / "later.json").write_text(json.dumps(content), encoding="utf-8")
    content["training"] = [case for case in content["training"] if case["patient_id"] != patients[-2]]
    (data / "earlier.json").write_text(json.dumps(content), encoding="utf-8")


class Stages:
    """Follows a training, and notes in a file what it is at."""

    def __init__(self, path: Path, on_stage: Callable[[str], None] = lambda stage: None) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT)
        self._on_stage = on_stage
        self.note("start")

    def note(self, stage: str) -> None:
        os.pwrite(self._file, stage.ljust(_STAGE_BYTES).encode(), 0)
        self._on_stage(stage)

    @contextmanager
    def over_cases(self, total: int, stage: str) -> Iterator[Callable[[str], None]]:
        self.note(stage.split(": ")[-1])
        yield lambda case_id: self._on_stage("a case")
        self.note(f"after {stage.split(': ')[-1]}")

    @contextmanager
    def over_budget(self, stage: str) -> Iterator[Callable[[float, float], None]]:
        self.note("first step")
        yield self._on_step
        self.note("deliver")

    def _on_step(self, progress: float, loss: float) -> None:
        self.note("train")

    def validated(self, score: float, forecast: Forecast | None) -> None:
        """No stage of its own."""

    def attach(self, trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
        evaluator.add_event_handler(Events.STARTED, lambda: self.note("validate"))
        evaluator.add_event_handler(Events.COMPLETED, lambda: self.note("after a validation"))


def train(place: Place, out: str, stages: Stages, *, is_tracked: bool = True) -> None:
    """Train, or go on, as the same command would again and again."""
    import medseg

    saving._LEAST_PAUSE_S = place.saves_s
    common: dict[str, Any] = {
        "out": place.folder / out, "epochs": place.epochs, "store": place.folder / "store", "device": "cpu",
        "tracking": place.uri if is_tracked else False, "resume": True, "seed": 3, "progress": stages, "workers": 2,
    }  # fmt: skip
    if place.kind == "classification":
        medseg.train_classifier(place.folder / "data", config=SLICES, plane="coronal", attach=[stages.attach], **common)
    elif place.kind == "curve":
        _train_curve(place, stages, common)
    elif place.kind == "update":
        base, data = place.folder / "base", place.folder / "data"
        if not base.exists():
            medseg.train(data / "earlier.json", config=SMALL, **{**common, "out": base, "tracking": False})
        parts = medseg.SegmentationParts(attach=[stages.attach])
        medseg.train(data / "later.json", update=base, parts=parts, **common)
    else:
        fold = "all-folds" if place.kind == "folds" else 0
        parts = medseg.SegmentationParts(attach=[stages.attach])
        medseg.train(place.folder / "data", config=SMALL, fold=fold, parts=parts, **common)
    stages.note("end")


def _train_curve(place: Place, stages: Stages, common: dict[str, Any]) -> None:
    """A learning curve, which the library has no shorter call for."""
    from medseg.runs.learning_curve import train_learning_curve
    from medseg.runs.segmentation.job import SegmentationJob
    from medseg.runs.settings import TrainingSettings
    from medseg.runs.tracking import Tracking
    from medseg.training.segmentation import SegmentationParts

    kept = {name: value for name, value in common.items() if name not in {"progress", "tracking"}}
    tracking = Tracking(uri=common["tracking"]) if common["tracking"] else Tracking(is_on=False)
    settings = TrainingSettings(changes=SMALL, tracking=tracking, **kept)
    job = SegmentationJob(SegmentationParts(attach=[stages.attach]))
    train_learning_curve(job, place.folder / "data", settings, progress=stages)


def begin(place: Place, out: str, *, on_stage: Callable[[str], None] = lambda stage: None, **choices: Any) -> int:
    """Fork a training; its exit code is 0 if it ended well."""
    return fork(place, lambda: train(place, out, Stages(stage_file(place, out), on_stage), **choices), f"{out}.log")


def fork(place: Place, work: Callable[[], object], log: str) -> int:
    """Fork this process for some work, whose output goes to a file."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.chdir(place.folder)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        written = os.open(place.folder / log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(written, 1)
        os.dup2(written, 2)
        torch.set_num_threads(1)
        work()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # told in the log
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def stage_file(place: Place, out: str) -> Path:
    return place.folder / f"{out}.stage"


def stage_of(place: Place, out: str) -> str:
    """What a training was at."""
    path = stage_file(place, out)
    return path.read_bytes()[:_STAGE_BYTES].decode().strip() if path.exists() else "start"


def leftovers(folder: Path) -> list[Path]:
    """Files that were being written."""
    return [path for path in folder.rglob("*") if is_leftover(path)] if folder.exists() else []


def wait_for(process: int) -> int:
    """Exit code of a fork; minus the signal that has ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def finish(place: Place, out: str, **choices: Any) -> None:
    """Let a training come to its end."""
    if wait_for(begin(place, out, **choices)):
        raise RuntimeError((place.folder / f"{out}.log").read_text(errors="replace"))


def kill_after(place: Place, out: str, seconds: float, **choices: Any) -> bool:
    """Begin a training, or go on with it, and kill it; False if it has ended before."""
    process = begin(place, out, **choices)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(process, os.WNOHANG) != (0, 0):
            return False
        time.sleep(min(0.002, max(0.0, end - time.monotonic())))
    os.kill(process, signal.SIGKILL)
    return wait_for(process) == -signal.SIGKILL


def import_what_a_training_does(place: Place, **choices: Any) -> None:
    """Run a training in a fork and import the modules that it had, so that later forks have them at once."""
    listed, first = place.folder / "modules.json", f"{place.kind}_first"

    def work() -> None:
        train(place, first, Stages(stage_file(place, first)), **choices)
        listed.write_text(json.dumps(list(sys.modules)))

    if wait_for(fork(place, work, f"{first}.log")):
        raise RuntimeError((place.folder / f"{first}.log").read_text(errors="replace"))
    for name in json.loads(listed.read_text()):
        with suppress(Exception):
            importlib.import_module(name)


def content_of(folder: Path) -> dict[str, Any]:
    """Everything that a training leaves, by file, without what a clock or a run's id decides."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if path.name == "curves.csv":
            rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
            found[name] = [{key: value for key, value in row.items() if key not in CLOCKS} for row in rows]
        elif path.name == "checkpoint.safetensors":
            found[name] = {key: tensor.numpy().tobytes() for key, tensor in load_file(path).items()}
        elif path.name in {"run.json", "folds.json", "curve.json", "model.json", "classifier.json"}:
            found[name] = _without_clocks(json.loads(path.read_text(encoding="utf-8")))
        elif path.suffix == ".json" and path.parent.name == "out_of_fold":
            found[name] = _without(json.loads(path.read_text(encoding="utf-8")), _OF_A_MASK)
        elif path.suffix == ".html":
            found[name] = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "", path.read_text(encoding="utf-8"))
        elif path.name == "learning_curve.csv":
            rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
            found[name] = [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
        else:
            found[name] = path.read_bytes()
    return found


def _without_clocks(content: dict[str, Any]) -> dict[str, Any]:
    cost = content.get("cost")
    kept = {key: value for key, value in content.items() if key != "mlflow_run_id"}
    return kept | ({"cost": {**cost, "training_s": 0}} if cost else {})


def _without(content: Any, names: set[str]) -> Any:
    """JSON without some names, however deep; the digests of `_OF_A_MASK` are of files that hold a run's id."""
    if isinstance(content, dict):
        return {name: _without(value, names) for name, value in content.items() if name not in names}
    return [_without(value, names) for value in content] if isinstance(content, list) else content


def tracked(place: Place, out: str) -> dict[str, Any]:
    """What MLflow holds of a training, by run, without what a clock decides; asked in a fork."""
    answer = place.folder / f"{out}.tracked.json"

    def ask() -> None:
        import mlflow

        client = mlflow.MlflowClient(place.uri)
        experiments = [one.experiment_id for one in client.search_experiments()]
        every = client.search_runs(experiments)
        own = {run.info.run_id for run in every if out in _name(run).replace(",", " ").split()}
        runs = [run for run in every if {run.info.run_id, run.data.tags.get("mlflow.parentRunId")} & own]
        answer.write_text(json.dumps([_run_content(client, run) for run in sorted(runs, key=_name)]))

    if wait_for(fork(place, ask, f"{out}.ask.log")):
        raise RuntimeError((place.folder / f"{out}.ask.log").read_text(errors="replace"))
    runs = enumerate(json.loads(answer.read_text()))
    found = {f"{n} {re.sub(rf'{chr(92)}b{out}{chr(92)}b', 'run', one['name'])[:40]}": one for n, one in runs}
    for one in found.values():
        del one["name"]
    return found


def _name(run: Any) -> str:
    return str(run.info.run_name)


def _run_content(client: Any, run: Any) -> dict[str, Any]:
    histories = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
    steps = {key: [point.step for point in history] for key, history in histories.items()}
    measured = [key for key in histories if not key.startswith("system/")]
    run = client.get_run(run.info.run_id)
    models = client.search_logged_models([run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'")
    pictures = [item.path for name in ("overlays", "pictures") for item in client.list_artifacts(run.info.run_id, name)]
    return {
        "name": _name(run),
        "status": run.info.status,
        "has_end": bool(run.info.end_time),
        "steps": {key: steps[key] for key in sorted(measured)},
        "repeated": sorted(key for key, found in steps.items() if len(found) != len(set(found))),
        "values": {key: [p.value for p in histories[key]] for key in sorted(measured) if key not in CLOCKS},
        "params": run.data.params,
        "artefacts": sorted([*(item.path for item in client.list_artifacts(run.info.run_id)), *pictures]),
        "datasets": sorted(item.dataset.name for item in run.inputs.dataset_inputs),
        "models": [model.tags["medseg.weights_digest"] for model in models],
    }


def differences(one: Any, other: Any, name: str = "") -> list[str]:
    """Names of what differs between two contents."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other}, key=str)
        return [found for key in keys for found in differences(one.get(key), other.get(key), f"{name}/{key}")]
    if one == other:
        return []
    shown = "" if isinstance(one, bytes) or isinstance(other, bytes) else f": {str(one)[:200]} and {str(other)[:200]}"
    return [f"{name}{shown}"]
