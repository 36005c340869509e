"""Where the cases of a command are worked on: in threads of this process, or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from medseg.cohort import Executor
from medseg.errors import ClusterError, ConfigError
from medseg.runs.machine import DeviceName

_AT_ONCE = 3  # one case is read, one drawn and one written


@contextmanager
def case_executor(
    cluster: str | None, *, here: Executor, out: Path, folders: Sequence[Path], workers: int | None = None
) -> Iterator[Executor]:
    """What runs the work on cases: a process on each core of a cluster, if there is one.

    Args:
        cluster: `local`, `auto`, or host and port of its head; None for no cluster.
        here: What runs it without a cluster.
        out: Folder of the results, which every machine must see.
        folders: Files and folders that are read there.
        workers: Largest number of processes; one for each core if not given.

    Raises:
        ClusterError: If the cluster cannot be used.
    """
    if cluster is None:
        yield here
        return
    from medseg.cohort.cluster import RayExecutor, opened_cluster

    with opened_cluster(cluster, out=out, folders=folders) as opened:
        yield RayExecutor(opened, most=workers)


@contextmanager
def network_executor(cluster: str, device: DeviceName, *, out: Path, folders: Sequence[Path]) -> Iterator[Executor]:
    """What runs networks on a cluster: a process for each device, which keeps what it loads.

    Args:
        cluster: `local`, `auto`, or host and port of its head.
        device: Kind of devices; with `auto` the GPUs, or cores where no machine has a GPU.
        out: Folder of the results, which every machine must see.
        folders: Files and folders that are read there.

    Raises:
        ClusterError: If the cluster cannot be used, or has no such device.
    """
    from medseg.cohort.cluster import RayExecutor, opened_cluster

    with opened_cluster(cluster, out=out, folders=folders) as opened:
        if device == "cuda" and not any(machine.gpus for machine in opened.machines()):
            raise ClusterError(f"cluster {cluster} must have a GPU for device cuda, got none", remedy="choose cpu")
        yield RayExecutor(opened, "cores" if device == "cpu" else "device", at_once=_AT_ONCE)


def check_folders(runs: Path | str | Sequence[Path | str]) -> None:
    """Refuse addresses of registered models, whose copies lie on this machine alone.

    Raises:
        ConfigError: If one is given.
    """
    for run in [runs] if isinstance(runs, str | Path) else runs:
        if str(run).startswith("models:/"):
            raise ConfigError(
                f"models on a cluster must be folders that all of its machines see, got {run}",
                remedy="give the folder of the run that the model comes from",
            )
