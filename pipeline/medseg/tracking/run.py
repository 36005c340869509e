"""One MLflow run, always addressed by its run id."""

from __future__ import annotations

import json
import logging
import math
import shlex
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from medseg.errors import TrackingError
from medseg.text import printable
from medseg.tracking.entry import Entry, Kind
from medseg.tracking.measured_model import MeasuredModel, shown_dataset
from medseg.tracking.names import clean_name, clean_value, flat
from medseg.tracking.open_run import DESCRIPTION, create_run, reopen_run
from medseg.tracking.post import LOGGED_ARTIFACTS, post
from medseg.tracking.sender import Sender
from medseg.tracking.spool import Origin, Spool, read_spool
from medseg.tracking.start_id import is_start_id, new_start_id
from medseg.tracking.store import answers, resolved_uri
from medseg.tracking.store_errors import explained, without_password
from medseg.tracking.system_metrics import next_step, start_monitor

_log = logging.getLogger(__name__)
_IN_HASTE = {"grace_s": 3.0, "stall_s": 10.0, "total_s": 15.0}  # a scheduler that ends a job waits for seconds only


class TrackedRun:
    """A run in an MLflow store.

    Within `recording`, everything is sent by a thread of its own: a store that is slow, silent or gone holds up nothing
    and ends nothing. Outside of it, everything is sent at once, and an error is raised.

    Args:
        client: An `mlflow.MlflowClient`.
        run_id: Id of the run, which is never searched for.
        tracking_uri: URI of the store.

    Attributes:
        origin: Experiment, name and tags, from which the run can be made anew.
        replaces: Id of the run in whose place this one was made, because the store has lost it; "" if there is none.
        start_id: Id under which it was asked for, if the caller keeps that in mind; else "".
        kept: After `recording`, a sentence about what the store did not take; "" if it has everything.
    """

    def __init__(self, client: Any, run_id: str, tracking_uri: str) -> None:
        self.client = client
        self.run_id = run_id
        self.tracking_uri = tracking_uri
        self.kept = self.replaces = self.start_id = ""
        self.origin = Origin()
        self._status_before: str | None = None
        self._early_system: list[Mapping[str, float]] | None = []
        self._system_step = 0
        self._logged_steps: dict[str, int] = {}
        self._late_steps: dict[str, int] = {}
        self._system_lock = threading.Lock()
        self._sender: Sender | None = None
        self._folder: Path | None = None
        self._spool: Spool | None = None

    @classmethod
    def start(
        cls,
        *,
        experiment: str,
        name: str,
        tracking_uri: str | None = None,
        tags: Mapping[str, str] | None = None,
        about: str = "",
        parent: str | None = None,
        start_id: str = "",
    ) -> Self:
        """Create a run, and its experiment if it does not exist.

        Args:
            experiment: Name of the experiment.
            name: Name of the run.
            tracking_uri: URI of the store; if not given, `MLFLOW_TRACKING_URI`, else SQLite in the working folder.
            tags: Tags of the run.
            about: Description of the experiment, if it does not exist yet.
            parent: Run below which the UI shows this one, if the experiment holds it.
            start_id: Id under which the run is asked for; one that was made under it before is continued.

        Raises:
            TrackingError: If the store cannot be used, which shows within seconds, or the experiment was deleted.
        """
        origin = _origin(experiment, name, tags, about, parent)
        client, found, uri = create_run(tracking_uri, origin, start_id=start_id)
        run = cls(client, found.info.run_id, uri)
        run.origin, run.start_id = origin, start_id
        run._logged_steps = _steps_of(found)
        return run

    @classmethod
    def start_late(
        cls,
        *,
        experiment: str,
        name: str,
        tracking_uri: str | None = None,
        tags: Mapping[str, str] | None = None,
        about: str = "",
        parent: str | None = None,
        start_id: str = "",
    ) -> Self:
        """A run that the store will be asked for once it answers; the arguments are those of `start`.

        Its id is not the store's own until then, but names the run for good: evaluations find it by either.
        """
        run = cls(None, start_id or new_start_id(), resolved_uri(tracking_uri))
        run.origin = _origin(experiment, name, tags, about, parent)
        return run

    @classmethod
    def resume_late(cls, run_id: str, *, tracking_uri: str) -> Self:
        """Continue a run that the store will be asked for once it answers."""
        return cls(None, run_id, resolved_uri(tracking_uri))

    @classmethod
    def resume(cls, run_id: str, *, tracking_uri: str) -> Self:
        """Continue a run by its id.

        Raises:
            MissingRunError: If the store does not hold the run.
            TrackingError: If the store cannot be reached.
        """
        client, found, experiment, uri = reopen_run(tracking_uri, run_id)
        run = cls(client, found.info.run_id, uri)
        tags = {key: value for key, value in found.data.tags.items() if key != LOGGED_ARTIFACTS}
        run.origin = Origin(experiment, found.info.run_name, tags)
        run._status_before = found.info.status
        run._logged_steps = _steps_of(found)
        return run

    @contextmanager
    def recording(self, *, system_metrics: bool = True) -> Iterator[Self]:
        """Send everything in the background, and close the run as finished, failed or killed at the end.

        Until `begin`, an error leaves a resumed run with the status that it had.
        """
        self._sender = Sender(
            self._post,
            partial(answers, self.tracking_uri),
            store=f"MLflow store {without_password(self.tracking_uri)}",
        )
        monitor = None
        if system_metrics:
            monitor = start_monitor(self.run_id, self.tracking_uri, log=self._log_system)
        status = "FAILED"
        try:
            yield self
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            if monitor is not None:
                monitor.finish()
                self._begin_system_steps()
            if status != "FINISHED" and self._folder is None and self._status_before:
                status = self._status_before
            self._put("status", status=status, at=_now())
            self._close(self._sender, is_interrupted=status != "FINISHED")

    def begin(self, spool: Path) -> None:
        """Keep what is logged in a file until the store has it; to be called once the output folder may hold something.

        Args:
            spool: File that keeps it; one that an interrupted run left is sent first, and continued.

        Raises:
            TrackingError: If the file is of another run, or damaged.
        """
        if self._sender is None:
            return
        earlier = read_spool(spool)
        if earlier is not None and self.client is None and is_start_id(self.run_id):
            self.run_id, self.origin = earlier.run_id, earlier.origin
        if earlier is not None and earlier.run_id not in {self.run_id, self.replaces, self.start_id}:
            raise TrackingError(
                f"{spool}: must be of the MLflow run {self.run_id}, got {earlier.run_id}",
                remedy=f"send it first: medseg sync {spool.parent}",
            )
        try:
            kept = Spool(spool, run_id=self.run_id, tracking_uri=self.tracking_uri, origin=self.origin)
        except OSError as error:
            _log.warning("what is logged cannot be kept in %s, got: %s", spool, error.strerror)
            return
        self._folder, self._spool = spool.parent, kept
        if earlier is not None and earlier.run_id != self.run_id:
            kept.begin_run(self.run_id, self.tracking_uri, self.origin)
            earlier = replace(earlier, entries=earlier.every)
        if earlier is not None:
            self._logged_steps = _with_spooled(self._logged_steps, earlier.entries.values())
        kept.holds_more = earlier is not None and earlier.unknown > 0
        self._sender.keep_in(kept, earlier.entries if earlier else {}, last=earlier.last if earlier else 0)
        self._begin_system_steps()

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Log settings; a nested mapping becomes dotted names."""
        self._put("parameters", values={clean_name(key): clean_value(value) for key, value in flat(parameters)})

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run."""
        self._put("tags", values={key: clean_value(value) for key, value in tags.items()})

    def rename(self, name: str) -> None:
        """Give the run another name, at once; one that it has already changes nothing."""
        if name == self.origin.name:
            return
        if self.client is None:
            self.log_tags({"mlflow.runName": name})
        else:
            with explained(self.tracking_uri):
                self.client.set_tag(self.run_id, "mlflow.runName", printable(name))
        self.origin = replace(self.origin, name=printable(name))

    def describe(self, text: str) -> None:
        """Set the Markdown text that the UI shows above the run; it replaces an earlier one."""
        self.log_tags({DESCRIPTION: text})

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0, of: MeasuredModel | None = None) -> None:
        """Log numbers at a step; NaN and infinity are left out.

        A resumed run repeats steps from its last checkpoint on; what the store has of them stays, and is not logged
        twice.

        Args:
            metrics: Values by name.
            step: Step that they belong to.
            of: Model and dataset that the numbers are of, so that MLflow shows them with the model, too.
        """
        values = {clean_name(key): float(value) for key, value in metrics.items() if math.isfinite(value)}
        values = {key: value for key, value in values.items() if step > self._logged_steps.get(key, -1)}
        if not values:
            return
        measured: dict[str, Any] = {}
        if of is not None:
            measured = {"model_run": of.run_id, "weights": of.weights_digest, "dataset": of.shown_dataset}
        self._put("metrics", values=values, step=step, at=_now(), **measured)

    def log_file(self, path: Path, *, folder: str | None = None) -> None:
        """Copy a file into the run's artefacts."""
        self._put("file", path=str(path), folder=folder)

    def log_table(self, columns: Mapping[str, Sequence[Any]], name: str) -> None:
        """Log columns as a table that the UI shows, such as `cases.json`; it replaces one of that name."""
        self._put(
            "table", columns={key: [_plain(value) for value in column] for key, column in columns.items()}, name=name
        )

    def log_dataset(self, *, name: str, digest: str, context: str, facts: Mapping[str, Any]) -> None:
        """Log the dataset that the run used: its name, its manifest's digest and facts about it, never a path."""
        shown_name, shown_digest = shown_dataset(name, digest, context)
        self._put(
            "dataset",
            name=shown_name,
            digest=shown_digest,
            source=json.dumps({"manifest_digest": digest}),
            profile=json.dumps(dict(facts)),
            context=context,
        )

    def log_model(self, folder: Path, *, version: str, name: str = "model", step: int = 0) -> None:
        """Log a model folder as an MLflow model that maps image files to mask files; no pickles inside.

        A run has one model; other weights replace it, unless a version of it is registered. A tag of the model holds
        the digest of its weights.

        Args:
            folder: Folder with `model.json` and `last.safetensors`.
            version: Version of medseg, pinned in the model's requirements.
            name: Name of the model in MLflow.
            step: Step of the training after which the weights were saved.
        """
        self._put("model", path=str(folder), version=version, name=name, step=step)

    def use_model(self, measured: MeasuredModel) -> None:
        """Attach this run to the model of another run, if the store holds it with these weights."""
        self._put("used_model", model_run=measured.run_id, weights=measured.weights_digest)

    def _post(self, entries: Sequence[Entry]) -> None:
        """Send entries, and make or find the run before the first of them if its store was silent at the start."""
        if self.client is None:
            self._connect()
        post(self.client, self.run_id, [_without_known(entry, self._late_steps) for entry in entries])

    def _connect(self) -> None:
        """Make the run, or find it, in a store that answers now."""
        try:
            if is_start_id(self.run_id) and self.origin.experiment:
                client, found, uri = create_run(self.tracking_uri, self.origin, start_id=self.run_id)
            else:
                client, found, _, uri = reopen_run(self.tracking_uri, self.run_id)
                self._late_steps = _steps_of(found)
        except TrackingError as error:
            raise error.__cause__ or OSError(error.fact) from error
        if self._spool is not None and found.info.run_id != self.run_id:
            self._spool.begin_run(found.info.run_id, uri, self.origin)
        self.client, self.run_id = client, found.info.run_id

    def _put(self, kind: Kind, **content: Any) -> None:
        entry = Entry(kind, content)
        if self._sender is not None:
            self._sender.put(entry)
            return
        with explained(self.tracking_uri):
            post(self.client, self.run_id, [entry])

    def _log_system(self, metrics: Mapping[str, float]) -> None:
        """Log what the monitor measured, at steps of its own; later, while those of an earlier part are not known."""
        with self._system_lock:
            if self._early_system is not None:
                self._early_system.append(metrics)
                return
            self.log_metrics(metrics, step=self._system_step)
            self._system_step += 1

    def _begin_system_steps(self) -> None:
        """Log what was measured before it was known which steps an earlier part of the run has."""
        with self._system_lock:
            early, self._early_system = self._early_system, None
            if early is not None:
                self._system_step = next_step(self._logged_steps)
        for metrics in early or ():
            self._log_system(metrics)

    def _close(self, sender: Sender, *, is_interrupted: bool) -> None:
        """Wait for the sender, and say what it could not send."""
        unsent = sender.close(**(_IN_HASTE if is_interrupted else {}))
        self._sender = None
        if not unsent:
            return
        store = without_password(self.tracking_uri)
        fact = f"{len(unsent)} of the entries for MLflow have not reached the store {store} ({sender.reason})"
        if self._folder is None:
            self.kept = f"{fact}; they are lost"
        else:
            command = shlex.join(["medseg", "sync", str(self._folder)])
            self.kept = f"{fact}; they are kept in {self._folder}, and `{command}` sends them"
        if is_interrupted:  # nobody will read `kept`
            _log.warning("%s", self.kept)


def _origin(experiment: str, name: str, tags: Mapping[str, str] | None, about: str, parent: str | None) -> Origin:
    """From what a run is made, as MLflow accepts it."""
    cleaned = {key: clean_value(value) for key, value in (tags or {}).items()}
    return Origin(printable(experiment), printable(name), cleaned, clean_value(about), parent or "")


def _steps_of(run: Any) -> dict[str, int]:
    """The last step of each metric that the store holds of a run."""
    return {metric.key: metric.step for metric in run.data._metric_objs}


def _without_known(entry: Entry, steps: Mapping[str, int]) -> Entry:
    """The entry without numbers of steps that the store has of an earlier part of the run."""
    if entry.kind != "metrics" or not steps:
        return entry
    step = entry.content["step"]
    values = {key: value for key, value in entry.content["values"].items() if step > steps.get(key, -1)}
    return replace(entry, content={**entry.content, "values": values})


def _with_spooled(steps: Mapping[str, int], entries: Iterable[Entry]) -> dict[str, int]:
    """The last step of each metric, those included that an interrupted run has kept and not sent."""
    last = dict(steps)
    for entry in entries:
        if entry.kind == "metrics":
            for key in entry.content["values"]:
                last[key] = max(last.get(key, -1), entry.content["step"])
    return last


def _now() -> int:
    return int(time.time() * 1000)


def _plain(value: Any) -> Any:
    """A value that JSON holds: NumPy's numbers as Python's, and NaN as null."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
