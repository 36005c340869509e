"""A machine of a cluster, and how many workers it takes."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Share = Literal["core", "cores", "device"]
"""What a worker is given: one core; several cores to run networks on; or a GPU, if any machine has one, else cores."""

_CORES_PER_NETWORK = 4
_CORES_PER_GPU = 4
_ANSWER_S = 3.0


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that is alive.

    Attributes:
        node_id: Its id in the cluster.
        name: Its address.
        port: Port at which Ray answers on it.
        cores: Cores that the cluster may use on it.
        gpus: GPUs that the cluster may use on it.
    """

    node_id: str
    name: str
    port: int
    cores: int
    gpus: int

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> Machine:
        """The machine that an entry of `ray.nodes()` describes."""
        resources = node["Resources"]
        address, port = str(node["NodeManagerAddress"]), int(node["NodeManagerPort"])
        return cls(str(node["NodeID"]), address, port, int(resources.get("CPU", 0)), int(resources.get("GPU", 0)))

    def answers(self) -> bool:
        """Whether Ray runs on it; a machine that is lost is still listed for half a minute."""
        try:
            with socket.create_connection((self.name, self.port), timeout=_ANSWER_S):
                return True
        except OSError:
            return False

    def workers(self, share: Share, *, on_gpus: bool = False) -> list[WorkerShare]:
        """The workers that fit on the machine.

        A network on a CPU gains little from more than four cores, so that a machine with more of them takes several
        workers, each with its share of the cores.

        Args:
            share: What each worker is given.
            on_gpus: Whether devices are GPUs; a machine without one takes no worker then.
        """
        if share == "core":
            return [WorkerShare(1, 0)] * self.cores
        if on_gpus and share == "device":
            cores = min(_CORES_PER_GPU, self.cores // self.gpus) if self.gpus else 0
            return [WorkerShare(cores, 1)] * self.gpus
        if self.cores == 0:
            return []
        count = max(1, self.cores // _CORES_PER_NETWORK)
        return [WorkerShare(self.cores // count, 0)] * count


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """What one worker is given of its machine.

    Attributes:
        cores: Number of cores, and of threads that compute.
        gpus: Number of GPUs.
    """

    cores: int
    gpus: int
