"""A cluster that is ready for work: begun or joined, and looked at from every machine."""

from __future__ import annotations

import logging
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

from medseg.cohort.cluster.machine import Machine
from medseg.cohort.cluster.quiet_ray import only_loopback, silenced
from medseg.cohort.cluster.view import View, check_view
from medseg.errors import ClusterError

LOCAL = "local"
"""Address of a cluster that is begun on this machine for the work, and ended with it."""

_RUNNING = "auto"
_CONNECT_S = 30
_ASK = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"  # which waits longer, or exits
_STORE_BYTES = 100 * 2**20  # cases go to the workers by name, and results come back as records
_log = logging.getLogger(__name__)
_ADDRESS = re.compile(r"(?P<host>[^:/\s]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")


class Cluster:
    """A cluster that this process is connected to.

    Args:
        ray: The module of Ray.
        view: What every machine must see.
    """

    def __init__(self, ray: ModuleType, view: View) -> None:
        self.ray, self.view = ray, view
        self._fit: dict[str, bool] = {}

    def check(self) -> None:
        """Look at all machines.

        Raises:
            ClusterError: If one does not see the same files and the same medseg as this one.
        """
        machines = self._alive()
        check_view(self.ray, self.view, machines)
        self._fit |= {machine.node_id: True for machine in machines}

    def machines(self) -> list[Machine]:
        """The machines that are alive now; one that has joined is looked at first, and left out if it does not fit."""
        machines = self._alive()
        for machine in machines:
            if machine.node_id not in self._fit:
                self._fit[machine.node_id] = self._is_fit(machine)
        return [machine for machine in machines if self._fit[machine.node_id]]

    def _alive(self) -> list[Machine]:
        return [Machine.of(node) for node in self.ray.nodes() if node["Alive"]]

    def _is_fit(self, machine: Machine) -> bool:
        try:
            check_view(self.ray, self.view, [machine])
        except ClusterError as error:
            _log.warning("machine %s has joined, but takes no part: %s", machine.name, error)
            return False
        return True


@contextmanager
def opened_cluster(
    address: str, *, out: Path, folders: Sequence[Path] = (), cores: int | None = None
) -> Iterator[Cluster]:
    """Connect to a cluster, and make sure that all of its machines see the same files and the same medseg.

    Nothing is reported to anybody: neither usage statistics nor a dashboard are begun.

    Args:
        address: `local` for this machine alone, `auto` for the cluster that this machine is part of, or host and port
            of its head.
        out: Folder of the results, created if missing.
        folders: Files and folders that are read.
        cores: Cores of a local cluster; those of this machine if not given.

    Raises:
        ClusterError: If Ray is missing, the cluster cannot be reached or runs another version, or a machine does not
            see a folder or has another medseg.
    """
    ray = _imported_ray()
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(silenced())
        if address == LOCAL:
            _begin(ray, stack, cores)
        else:
            _join(ray, address)
        stack.callback(ray.shutdown)
        cluster = Cluster(ray, View.of(out, folders))
        cluster.check()
        yield cluster


def _imported_ray() -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise ClusterError(
            "Ray must be installed for work on a cluster, got none", remedy="pip install 'medseg[cluster]'"
        ) from error
    if ray.is_initialized():
        raise ClusterError(
            "this process must not be connected to a cluster yet, got a connection of its own",
            remedy="end it with ray.shutdown()",
        )
    module: ModuleType = ray
    return module


def _begin(ray: ModuleType, stack: ExitStack, cores: int | None) -> None:
    """Begin a cluster of this machine, which nobody outside can reach and which leaves no file behind."""
    scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="medseg", ignore_cleanup_errors=True))
    with only_loopback():
        ray.init(
            address="local",
            num_cpus=cores,
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            _temp_dir=scratch,
        )


def _join(ray: ModuleType, address: str) -> None:
    """Connect to a cluster that runs."""
    if address != _RUNNING:
        _check_reachable(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        ray.shutdown()
        if "ersion mismatch" in str(error):
            said = " ".join(str(error).split())
            raise ClusterError(
                f"cluster {address} must run the same Ray and Python as this machine, got: {said}",
                remedy="install the same versions everywhere",
            ) from error
        raise ClusterError(
            f"cluster {address} must be one that this machine is part of, got {_first_sentence(error)}",
            remedy="begin or join it here with `ray start`, or choose local",
        ) from error


def _first_sentence(error: Exception) -> str:
    """What Ray has to say, without its advice, which names options of other commands."""
    return str(error).strip().split("\n")[0].split(". ")[0].removesuffix(".") or type(error).__name__


def _check_reachable(address: str) -> None:
    """Refuse an address behind which no head of a cluster answers, for which Ray itself would wait for minutes."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ClusterError(
            f"address of a cluster must be host:port, auto or local, got {address}",
            remedy="give the address that `ray start` has printed on the head",
        )
    try:
        host = found["host"].strip("[]")
        with socket.create_connection((host, int(found["port"])), timeout=_CONNECT_S):
            pass
        ask = [sys.executable, "-c", _ASK, address]
        subprocess.run(ask, check=True, timeout=_CONNECT_S, capture_output=True)  # noqa: S603
    except (OSError, OverflowError, subprocess.SubprocessError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no answer of Ray"
        raise ClusterError(
            f"cluster {address} must answer within {_CONNECT_S} s, got: {reason}",
            remedy="check that its head runs and that the address is the one that `ray start` has printed",
        ) from error
