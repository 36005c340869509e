"""What every machine of a cluster must see: the folder of the results, what is read, and the same medseg."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
        token: File in the folder of the results.
        content: Content of that file.
        folder: Folder in which the command runs, to which relative paths lead.
        folders: Files and folders that are read.
    """

    token: Path
    content: str
    folder: Path
    folders: tuple[Path, ...]

    @classmethod
    @contextmanager
    def shown(cls, out: Path, folders: Sequence[Path]) -> Iterator[View]:
        """Write the token, which is removed in the end."""
        token = out.absolute() / temporary_name()
        content = uuid.uuid4().hex
        write_text(token, content)
        try:
            yield cls(token, content, Path.cwd(), tuple(path.absolute() for path in folders))
        finally:
            token.unlink(missing_ok=True)


def check_view(ray: ModuleType, view: View, machines: Sequence[Machine]) -> None:
    """Refuse machines that do not see the same.

    Args:
        ray: The module of Ray.
        view: What this machine sees.
        machines: Machines to ask.

    Raises:
        ClusterError: If a machine does not answer, has another medseg, or does not see a folder.
    """
    for machine, answer in zip(machines, [_ask(ray, view, machine) for machine in machines], strict=True):
        _check_answer(ray, view, machine, answer)


def _ask(ray: ModuleType, view: View, machine: Machine) -> object:
    place = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(machine.node_id, soft=False)
    return ray.remote(look).options(num_cpus=0, max_retries=0, scheduling_strategy=place).remote(view)


def look(view: View) -> tuple[str, tuple[str, ...]]:
    """Version of medseg here, and what is not seen here of a view."""
    end = time.monotonic() + _APPEAR_S
    while (is_hidden := not _holds_token(view)) and time.monotonic() < end:
        time.sleep(0.2)
    missing = [str(view.token.parent)] if is_hidden else []
    return __version__, (*missing, *(str(path) for path in (view.folder, *view.folders) if not os.path.lexists(path)))


def _holds_token(view: View) -> bool:
    try:
        return view.token.read_text(encoding="utf-8") == view.content
    except OSError:
        return False


def _check_answer(ray: ModuleType, view: View, machine: Machine, answer: object) -> None:
    try:
        version, missing = ray.get(answer, timeout=_ANSWER_S)
    except ray.exceptions.GetTimeoutError as error:
        raise ClusterError(
            f"machine {machine.name} must answer within {_ANSWER_S} s, got no answer",
            remedy="end Ray there with `ray stop`, or begin it again",
        ) from error
    except ray.exceptions.RayError as error:
        if not isinstance(error, ray.exceptions.RuntimeEnvSetupError) and "No module named" not in str(error):
            raise
        raise _other_version(machine, "none") from error
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
