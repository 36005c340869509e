"""Remedies of the errors of clusters; those that need several machines are a person's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from medseg.cohort.cluster.machine import Machine
from medseg.cohort.cluster.open_cluster import _imported_ray
from medseg.runs.cluster import check_folders, network_executor
from medseg.runs.machine import DeviceName

from tests.remedies.attempts import by_a_person, covers, tried_elsewhere, tries

covers("cohort")
Again = Iterator[Callable[[], object]]
OPEN, VIEW = "cohort/cluster/open_cluster.py", "cohort/cluster/view.py"


@tries(OPEN, "pip install 'medseg[cluster]'")
def missing_ray(place: Path) -> Again:
    with patch.dict(sys.modules, ray=None):
        yield _imported_ray
    yield _imported_ray


@tries(OPEN, "end it with ray.shutdown()")
def second_connection(place: Path) -> Again:
    import ray

    with patch("ray.is_initialized", return_value=True):
        yield _imported_ray
    ray.shutdown()
    yield _imported_ray


@tries("runs/cluster.py", "choose cpu")
def no_gpu_in_the_cluster(place: Path) -> Again:
    @contextmanager
    def two_cores(*given: Any, **named: Any) -> Iterator[Any]:
        yield SimpleNamespace(machines=lambda: [Machine("id", "name", 1, 2, 0)])

    def opened(device: DeviceName) -> object:
        with network_executor("auto", device, out=place, folders=[]) as executor:
            return executor

    with patch("medseg.cohort.cluster.opened_cluster", two_cores):
        yield lambda: opened("cuda")
        yield lambda: opened("cpu")


@tries("runs/cluster.py", "give the folder of the run that the model comes from")
def registered_model_on_a_cluster(place: Path) -> Again:
    yield lambda: check_folders(["models:/livers@clinical"])
    yield lambda: check_folders([place])


by_a_person("it needs a head that runs elsewhere", OPEN, "install the same versions everywhere",
            "begin or join it here with `ray start`, or choose local",
            "give the address that `ray start` has printed on the head",
            "check that its head runs and that the address is the one that `ray start` has printed")  # fmt: skip
by_a_person("it needs a machine that differs from this one", VIEW,
            "end Ray there with `ray stop`, or begin it again",
            "install the same medseg on all machines, and begin Ray in that environment")  # fmt: skip
by_a_person("it needs a cluster that others use", "cohort/cluster/crew.py",
            "add a machine with `ray start`, or wait for the end of other work; then give the command "
            "again")  # fmt: skip
TWO_MACHINES = "tests/cohort/cluster/test_two_machines.py"
tried_elsewhere(TWO_MACHINES, "folder_that_a_machine_does_not_see", VIEW,
                "put scans, models and results on storage that all machines mount at the same path, and start "
                "there")  # fmt: skip
tried_elsewhere(TWO_MACHINES, "case_that_ends_its_workers", "cohort/cluster/ray_executor.py",
                "give it a machine with more memory, or leave it out")  # fmt: skip
