"""What every machine of a cluster must see: the folder of the results, what is read, and the same medseg."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from medseg.atomic import temporary_name, write_text
from medseg.cohort.cluster.machine import Machine
from medseg.errors import ClusterError
from medseg.version import __version__

_ANSWER_S = 90  # a machine that has just started imports Ray first
_APPEAR_S = 10  # shared storage may show a new file a little later elsewhere


@dataclass(frozen=True, slots=True)
class View:
    """What this machine sees.

    Attributes:
        out: Folder of the results.
        folder: Folder in which the command runs, to which relative paths lead.
        folders: Files and folders that are read.
    """

    out: Path
    folder: Path
    folders: tuple[Path, ...]

    @classmethod
    def of(cls, out: Path, folders: Sequence[Path]) -> View:
        """What is seen from the folder of this process."""
        return cls(out.absolute(), Path.cwd(), tuple(dict.fromkeys(path.absolute() for path in folders)))


def check_view(ray: ModuleType, view: View, machines: Sequence[Machine]) -> None:
    """Refuse machines that do not see the same; a file that they read is in the folder of the results meanwhile.

    Args:
        ray: The module of Ray.
        view: What this machine sees.
        machines: Machines to ask.

    Raises:
        ClusterError: If a machine does not answer, has another medseg, or does not see a folder.
    """
    token, content = view.out / temporary_name(), uuid.uuid4().hex
    write_text(token, content)
    try:
        answers = [_ask(ray, machine, view, token, content) for machine in machines]
        for machine, answer in zip(machines, answers, strict=True):
            _check_answer(ray, machine, answer)
    finally:
        token.unlink(missing_ok=True)


def _ask(ray: ModuleType, machine: Machine, *question: object) -> object:
    place = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(machine.node_id, soft=False)
    return ray.remote(look).options(num_cpus=0, max_retries=0, scheduling_strategy=place).remote(*question)


def look(view: View, token: Path, content: str) -> tuple[str, tuple[str, ...]]:
    """Version of medseg here, and what is not seen here of a view."""
    end = time.monotonic() + _APPEAR_S
    while (is_hidden := not _holds(token, content)) and time.monotonic() < end:
        time.sleep(0.2)
    missing = [str(view.out)] if is_hidden else []
    return __version__, (*missing, *(str(path) for path in (view.folder, *view.folders) if not os.path.lexists(path)))


def _holds(path: Path, content: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == content
    except OSError:
        return False


def _check_answer(ray: ModuleType, machine: Machine, answer: object) -> None:
    try:
        version, missing = ray.get(answer, timeout=_ANSWER_S)
    except ray.exceptions.RayError as error:
        if isinstance(error, ray.exceptions.RayTaskError) and "No module named" in str(error):
            raise _other_version(machine, "none") from error
        raise ClusterError(
            f"machine {machine.name} must answer within {_ANSWER_S} s, got {type(error).__name__}",
            remedy="end Ray there with `ray stop`, or begin it again",
        ) from error
    if version != __version__:
        raise _other_version(machine, version)
    if missing:
        raise ClusterError(
            f"machine {machine.name} must see {missing[0]} as this one does, got another folder or none",
            remedy="put scans, models and results on storage that all machines mount at the same path, and start there",
        )


def _other_version(machine: Machine, version: str) -> ClusterError:
    return ClusterError(
        f"machine {machine.name} must have medseg {__version__} as this one, got {version}",
        remedy="install the same medseg on all machines, and begin Ray in that environment",
    )
