"""One MLflow run, always addressed by its run id."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from medseg.errors import TrackingError
from medseg.tracking.quiet_mlflow import import_mlflow

_FORBIDDEN_IN_NAMES = re.compile(r"[^\w\-. /]")
_BATCH = 100


class TrackedRun:
    """A run in an MLflow store.

    Args:
        client: An `mlflow.MlflowClient`.
        run_id: Id of the run, which is never searched for.
        tracking_uri: URI of the store.
    """

    def __init__(self, client: Any, run_id: str, tracking_uri: str) -> None:
        self.client = client
        self.run_id = run_id
        self.tracking_uri = tracking_uri
        self._monitor: Any = None

    @classmethod
    def start(
        cls, *, experiment: str, name: str, tracking_uri: str | None = None, tags: Mapping[str, str] | None = None
    ) -> Self:
        """Create a run, and its experiment if it does not exist.

        Args:
            experiment: Name of the experiment.
            name: Name of the run.
            tracking_uri: URI of the store; if not given, `MLFLOW_TRACKING_URI`, else SQLite in the working folder.
            tags: Tags of the run.

        Raises:
            TrackingError: If the store cannot be reached, or the experiment was deleted.
        """
        client, uri = _connect(tracking_uri)
        with _explained(uri):
            found = client.get_experiment_by_name(experiment)
            if found is not None and found.lifecycle_stage == "deleted":
                raise TrackingError(
                    f"experiment {experiment!r} must not be deleted",
                    remedy="restore it in MLflow, or give the dataset another name",
                )
            experiment_id = found.experiment_id if found else client.create_experiment(experiment)
            run = client.create_run(experiment_id, run_name=name, tags=dict(tags or {}))
        return cls(client, run.info.run_id, uri)

    @classmethod
    def resume(cls, run_id: str, *, tracking_uri: str) -> Self:
        """Continue a run by its id.

        Raises:
            TrackingError: If the store cannot be reached, or does not hold the run.
        """
        client, uri = _connect(tracking_uri)
        with _explained(uri):
            client.get_run(run_id)
            client.set_terminated(run_id, status="RUNNING", end_time=None)
        return cls(client, run_id, uri)

    @contextmanager
    def recording(self, *, system_metrics: bool = True) -> Iterator[Self]:
        """Record system metrics until the end, and close the run as finished, failed or killed."""
        if system_metrics:
            self._start_monitor()
        status = "FAILED"
        try:
            yield self
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            if self._monitor is not None:
                self._monitor.finish()
            self.client.set_terminated(self.run_id, status=status)

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Log settings; a nested mapping becomes dotted names."""
        from mlflow.entities import Param

        params = [Param(_clean(key), str(value)[:6000]) for key, value in _flat(parameters)]
        for start in range(0, len(params), _BATCH):
            self.client.log_batch(self.run_id, params=params[start : start + _BATCH])

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Log numbers at a step; NaN and infinity are left out."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entries = [
            Metric(_clean(key), float(value), now, step) for key, value in metrics.items() if math.isfinite(value)
        ]
        self.client.log_batch(self.run_id, metrics=entries)

    def log_file(self, path: Path, *, folder: str | None = None) -> None:
        """Copy a file into the run's artefacts."""
        self.client.log_artifact(self.run_id, str(path), folder)

    def log_table(self, columns: Mapping[str, Sequence[Any]], name: str) -> None:
        """Log columns as a table that the UI shows, such as `cases.json`."""
        self.client.log_table(self.run_id, {key: list(values) for key, values in columns.items()}, name)

    def log_dataset(self, *, name: str, digest: str, context: str, facts: Mapping[str, Any]) -> None:
        """Log the dataset that the run used: its name, its manifest's digest and facts about it, never a path."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=f"{name} ({context})",
            digest=digest[:36],
            source_type="medseg manifest",
            source=json.dumps({"manifest_digest": digest}),
            profile=json.dumps(dict(facts)),
        )
        tag = InputTag("mlflow.data.context", context)
        self.client.log_inputs(self.run_id, [DatasetInput(dataset, [tag])])

    def log_model(self, folder: Path, *, version: str) -> None:
        """Log a model folder as an MLflow model that maps image files to mask files; no pickles inside.

        Args:
            folder: Folder with `model.json` and `last.safetensors`.
            version: Version of medseg, pinned in the model's requirements.
        """
        mlflow = import_mlflow()
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(self.tracking_uri)
        try:
            # Nested, because the caller may have an MLflow run of its own open.
            with _explained(self.tracking_uri), mlflow.start_run(run_id=self.run_id, nested=True):
                mlflow.pyfunc.log_model(
                    name="model",
                    loader_module="medseg.tracking.model_flavour",
                    data_path=str(folder),
                    pip_requirements=[f"medseg=={version}"],
                )
        finally:
            mlflow.set_tracking_uri(before)

    def _start_monitor(self) -> None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._monitor = SystemMetricsMonitor(
            self.run_id, sampling_interval=5, resume_logging=True, tracking_uri=self.tracking_uri
        )
        self._monitor.start()


def _connect(tracking_uri: str | None) -> tuple[Any, str]:
    mlflow = import_mlflow()
    uri = tracking_uri or mlflow.get_tracking_uri()
    with _explained(uri):
        return _Explaining(mlflow.MlflowClient(tracking_uri=uri), uri), uri


class _Explaining:
    """An MLflow client whose errors are TrackingErrors."""

    def __init__(self, client: Any, uri: str) -> None:
        self._client = client
        self._uri = uri

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def explained_call(*arguments: Any, **settings: Any) -> Any:
            with _explained(self._uri):
                return call(*arguments, **settings)

        return explained_call


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn the errors of MLflow, its database and its files into a TrackingError."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        first = str(error).splitlines()[0]
        raise TrackingError(
            f"MLflow store {uri}: must be reachable, got: {first}", remedy="check the tracking URI"
        ) from error


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _clean(name: str) -> str:
    """A name that MLflow accepts; between slashes it must read like a path."""
    parts = [_FORBIDDEN_IN_NAMES.sub("_", part) for part in name.split("/")]
    return "/".join("_" if part.strip(". ") == "" else part for part in parts)[:250]
