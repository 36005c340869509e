"""MLflow's metrics of the machine, sent as the run's other numbers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_PREFIX = "system/"
_UNHELPFUL = ("disk_", "network_")  # counters since the machine began


def start_monitor(
    run_id: str, tracking_uri: str, *, first_step: int, log: Callable[[Mapping[str, float], int], None]
) -> Any:
    """Start MLflow's monitor of processor, memory and GPU; its `finish` ends it.

    Args:
        run_id: MLflow run.
        tracking_uri: MLflow store, which the monitor does not speak to.
        first_step: Step of the first metrics.
        log: Function that is called with metrics and their step, in the monitor's thread.
    """
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    class Monitor(SystemMetricsMonitor):  # type: ignore[misc]  # mlflow ships no types
        """The monitor, without its own requests, in which a silent store would hold up the end of a run."""

        def monitor(self) -> None:
            """Collect and log until the end."""
            while not self._shutdown_event.is_set():
                self.collect_metrics()
                if self._shutdown_event.wait(self.sampling_interval):
                    return
                self.publish_metrics(self.aggregate_metrics())

        def publish_metrics(self, metrics: Mapping[str, float]) -> None:
            """Log metrics under their names in MLflow."""
            node = f"{self.node_id}/" if self.node_id else ""
            helpful = {name: value for name, value in metrics.items() if not name.startswith(_UNHELPFUL)}
            log({f"{_PREFIX}{node}{name}": value for name, value in helpful.items()}, self._logging_step)
            self._logging_step += 1
            for one in self.monitors:
                one.clear_metrics()

    monitor = Monitor(run_id, sampling_interval=5, tracking_uri=tracking_uri)
    monitor._logging_step = first_step
    monitor.start()
    return monitor


def next_step(run: Any) -> int:
    """The step that follows the system metrics which a run has."""
    steps = [metric.step for metric in run.data._metric_objs if metric.key.startswith(_PREFIX)]
    return max(steps, default=-1) + 1
