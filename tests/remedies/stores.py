"""Remedies of the errors of what is written: files, settings, the tracking store and pages for clinicians."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from medseg.atomic import check_writable, write_text
from medseg.configuration import read_yaml
from medseg.delivery.classification.triage import KeySlice, TriageStudy, rank_by_probability
from medseg.delivery.classification.triage.foreground import why_unranked
from medseg.records import SliceScores
from medseg.runs.sync import sync_folder
from medseg.tracking import TrackedRun, check_ui
from medseg.tracking.entry import Entry
from medseg.tracking.send_spool import send_spool
from medseg.tracking.spool import Spool, read_spool

from tests.delivery.classification.triage.studies import CLASSES, scores_of
from tests.remedies.attempts import by_a_person, covers, tries
from tests.remedies.runs import train, write_patients

covers("atomic.py", "configuration.py", "delivery", "tracking")
Again = Iterator[Callable[[], object]]


@tries("atomic.py", "free space or choose another folder")
def _full_disk(place: Path) -> Again:
    def refuse(path: Path, *arguments: object, **settings: object) -> int:
        if path.parent == place / "full":
            raise OSError(errno.ENOSPC, "no room")
        return write(path, *arguments, **settings)  # type: ignore[arg-type]

    write = Path.write_text
    with patch.object(Path, "write_text", refuse):
        yield lambda: write_text(place / "full" / "a.txt", "a")
        yield lambda: write_text(place / "other" / "a.txt", "a")
    yield lambda: write_text(place / "full" / "a.txt", "a")


@tries("atomic.py", "choose another folder")
def _file_for_a_folder(place: Path) -> Again:
    (place / "file").touch()
    yield lambda: write_text(place / "file" / "a.txt", "a")
    yield lambda: write_text(place / "other" / "a.txt", "a")


@tries("atomic.py", "shorten the name of the scan, case or folder")
def _long_name(place: Path) -> Again:
    yield lambda: write_text(place / ("a" * 256), "a")
    yield lambda: write_text(place / ("a" * 255), "a")


@tries("atomic.py", "choose another with the option {}")
def _folder_in_a_file(place: Path) -> Again:
    (place / "file").touch()
    yield lambda: check_writable(place / "file" / "run", option="out")
    yield lambda: check_writable(place / "run", option="out")


@tries("configuration.py", "fix the file or leave it out")
def _no_yaml(place: Path) -> Again:
    write_patients(place)
    (place / "plan.yaml").write_text("network: [")
    yield lambda: train(place, "run", plan=place / "plan.yaml")
    (place / "plan.yaml").write_text("network: {}")
    yield lambda: read_yaml(place / "plan.yaml")
    yield lambda: train(place, "run")


@tries("configuration.py", "keep one of the two")
def _key_twice(place: Path) -> Again:
    (place / "a.yaml").write_text("epochs: 1\nepochs: 2\n")
    yield lambda: read_yaml(place / "a.yaml")
    (place / "a.yaml").write_text("epochs: 2\n")
    yield lambda: read_yaml(place / "a.yaml")


@tries("configuration.py", "write a line `key: value` for each, or leave the file out")
def _empty_settings(place: Path) -> Again:
    write_patients(place)
    (place / "plan.yaml").touch()
    yield lambda: train(place, "run", plan=place / "plan.yaml")
    (place / "plan.yaml").write_text("network: {}")
    yield lambda: read_yaml(place / "plan.yaml")
    yield lambda: train(place, "run")


@tries("delivery/classification/triage/foreground.py", "give the classes of the classifier that made them")
def _other_classes(place: Path) -> Again:
    scores = scores_of("a", [[0.1, 0.2, 0.3]])
    yield lambda: rank_by_probability([scores], ("x", "y"), None)
    yield lambda: rank_by_probability([scores], CLASSES, "background")


def rank(scores: SliceScores) -> None:
    if error := why_unranked(scores, [1, 2]):
        raise error


@tries("delivery/classification/triage/foreground.py", "check the scan and classify it again")
def _no_slice(place: Path) -> Again:
    yield lambda: rank(scores_of("a", []))
    yield lambda: rank(scores_of("a", [[0.1, 0.2, 0.3]]))


@tries("delivery/classification/triage/foreground.py", "check the scan and classify it again")
def _no_number(place: Path) -> Again:
    scores = scores_of("a", [[0.1, 0.2, 0.3]])
    yield lambda: rank(replace(scores, study=np.array([0.1, np.nan, 0.3])))
    yield lambda: rank(scores)


@tries("delivery/classification/triage/study.py", "cut each key slice from one channel of the scan")
def _colours(place: Path) -> Again:
    scores, keys, scan = scores_of("a", [[0, 0.5, 0]]), (KeySlice(0, 0.0, "tumour", 0.5),), np.zeros((2, 8, 9, 5))
    yield lambda: TriageStudy("a", scores, keys, (scan[..., 0],))
    yield lambda: TriageStudy("a", scores, keys, (scan[1, ..., 0],))


@tries("tracking/open_run.py", "restore it in MLflow, or give the dataset another name")
def _deleted_experiment(place: Path) -> Again:
    import mlflow

    uri = f"sqlite:///{place}/mlflow.db"
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("gone", artifact_location=str(place))
    client.delete_experiment(experiment)
    yield lambda: TrackedRun.start(experiment="gone", name="x", tracking_uri=uri)
    client.create_experiment("other", artifact_location=str(place))
    yield lambda: TrackedRun.start(experiment="other", name="x", tracking_uri=uri)
    client.restore_experiment(experiment)
    yield lambda: TrackedRun.start(experiment="gone", name="x", tracking_uri=uri)


@tries("tracking/open_run.py", "make that folder writable, or choose another store: check the tracking URI")
def _unwritable_artefacts(place: Path) -> Again:
    import mlflow

    uri, other = f"sqlite:///{place}/mlflow.db", f"sqlite:///{place}/other.db"
    (place / "file").touch()
    for store, folder in ((uri, "file"), (other, "folder")):
        mlflow.MlflowClient(tracking_uri=store).create_experiment("a", artifact_location=str(place / folder))
    yield lambda: TrackedRun.start(experiment="a", name="x", tracking_uri=uri)
    yield lambda: TrackedRun.start(experiment="a", name="x", tracking_uri=other)
    (place / "file").unlink()
    yield lambda: TrackedRun.start(experiment="a", name="x", tracking_uri=uri)


@tries("tracking/store_errors.py", "check the tracking URI")
def _no_store(place: Path) -> Again:
    (place / "file").touch()
    yield lambda: TrackedRun.start(experiment="a", name="x", tracking_uri=f"sqlite:///{place}/file/mlflow.db")
    yield lambda: tracked(place)


def tracked(place: Path) -> TrackedRun:
    """A new run in a store, whose artefacts lie beside it."""
    import mlflow

    uri = f"sqlite:///{place}/mlflow.db"
    client = mlflow.MlflowClient(tracking_uri=uri)
    if client.get_experiment_by_name("a") is None:
        client.create_experiment("a", artifact_location=str(place))
    return TrackedRun.start(experiment="a", name="x", tracking_uri=uri)


def spool_of(run: TrackedRun, path: Path) -> Spool:
    """A spool that keeps a number of a run."""
    spool = Spool(path, run_id=run.run_id, tracking_uri=run.tracking_uri)
    spool.append(1, Entry("metrics", {"values": {"loss": 1.0}, "step": 0, "at": 1}))
    return spool


@tries("tracking/run.py", "send it first: medseg sync {}")
def _spool_of_another_run(place: Path) -> Again:
    spool_of(tracked(place), place / "tracking.jsonl").close(is_sent=False)
    run = tracked(place)

    def begin() -> None:
        with run.recording(system_metrics=False):
            run.begin(place / "tracking.jsonl")

    yield begin
    send_spool(place / "tracking.jsonl")
    yield begin


@tries("tracking/ui.py", "choose another port")
def _port_in_use(place: Path) -> Again:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [one.getsockname()[1] for one in (taken, other)]
        other.close()
        yield lambda: check_ui("sqlite:///a.db", host="127.0.0.1", port=ports[0])
        yield lambda: check_ui("sqlite:///a.db", host="127.0.0.1", port=ports[1])


@tries("tracking/spool.py", "wait for its end")
def _spool_in_use(place: Path) -> Again:
    run = tracked(place)
    spool = spool_of(run, place / "tracking.jsonl")
    yield lambda: send_spool(place / "tracking.jsonl")
    spool.close(is_sent=False)
    yield lambda: send_spool(place / "tracking.jsonl")


@tries("tracking/spool.py", "give yourself the right to read and write it")
def _unreadable_spool(place: Path) -> Again:
    path = place / "tracking.jsonl"
    spool_of(tracked(place), path).close(is_sent=False)

    def refuse(*given: object) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    with patch.object(Path, "read_bytes", refuse):
        yield lambda: send_spool(path)
    yield lambda: send_spool(path)


@tries("tracking/send_spool.py", "give yourself the right to read and write it")
def _unwritable_spool(place: Path) -> Again:
    path = place / "tracking.jsonl"
    spool_of(tracked(place), path).close(is_sent=False)

    def refuse(*given: object, **named: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with patch("medseg.tracking.send_spool.Spool", refuse):
        yield lambda: send_spool(path)
    yield lambda: send_spool(path)


@tries("runs/sync.py", "give the output folder of the run")
def _no_output_folder(place: Path) -> Again:
    (place / "plan.yaml").touch()
    yield lambda: sync_folder(place / "plan.yaml")
    yield lambda: sync_folder(place)


@tries("tracking/spool.py", "remove the file; its numbers are lost")
def _no_spool(place: Path) -> Again:
    (place / "tracking.jsonl").write_text("something")
    yield lambda: read_spool(place / "tracking.jsonl")
    (place / "tracking.jsonl").unlink()
    yield lambda: read_spool(place / "tracking.jsonl")


by_a_person("nothing is to be done", "tracking/send_spool.py", "nothing is kept there for MLflow")
by_a_person("a browser opens it", "tracking/ui.py", "open {}")
