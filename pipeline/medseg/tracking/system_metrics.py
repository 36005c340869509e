"""MLflow's metrics of the machine, sent as the run's other numbers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_PREFIX = "system/"
_UNHELPFUL = ("disk_", "network_")  # counters since the machine began


def start_monitor(run_id: str, tracking_uri: str, *, log: Callable[[Mapping[str, float]], None]) -> Any:
    """Start MLflow's monitor of processor, memory and GPU; its `finish` ends it.

    Args:
        run_id: MLflow run.
        tracking_uri: MLflow store, which the monitor does not speak to.
        log: Function that is called with metrics, in the monitor's thread.
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
            log({f"{_PREFIX}{node}{name}": value for name, value in helpful.items()})
            for one in self.monitors:
                one.clear_metrics()

    monitor = Monitor(run_id, sampling_interval=5, tracking_uri=tracking_uri)
    monitor.start()
    return monitor


def next_step(steps: Mapping[str, int]) -> int:
    """The step that follows the system metrics which a run has.

    Args:
        steps: Last step of each metric of the run.
    """
    return max((step for name, step in steps.items() if name.startswith(_PREFIX)), default=-1) + 1
