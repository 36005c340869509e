"""What a training was asked for, so that a resumed one is not asked for something else in silence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from medseg.errors import ConfigError
from medseg.runs.settings import TrainingSettings

_CHECKED_ELSEWHERE = ("own parts", "network")


def asked_choices(settings: TrainingSettings, named: Mapping[str, str]) -> dict[str, str]:
    """What was asked for beside the length, by the names of options and of the plan's settings.

    Args:
        settings: Choices of the training.
        named: Choices of this kind of training that are not the default, by their names.
    """
    found = {name: value for name, value in named.items() if name not in _CHECKED_ELSEWHERE}
    if settings.fold != "0":
        found["fold"] = settings.fold
    if settings.seed is not None:
        found["seed"] = str(settings.seed)
    if settings.plan is not None and settings.plan.is_file():
        found["plan"] = f"a file of SHA-256 {hashlib.sha256(settings.plan.read_bytes()).hexdigest()[:12]}"
    return found | dict(_flat(settings.changes, ""))


def check_choices(begun: Mapping[str, str] | None, asked: Mapping[str, str]) -> None:
    """Hold what a resumed training is asked for to what it began with; what is left out is as it was.

    Args:
        begun: Choices that it began with; None where an earlier version of medseg did not note them.
        asked: Choices of the resume.

    Raises:
        ConfigError: If something else is asked for.
    """
    if begun is None:
        return
    others = [name for name, value in asked.items() if begun.get(name) != value]
    if others:
        parts = [f"{name} {begun.get(name, 'not given')}, got {asked[name]}" for name in others]
        raise ConfigError(
            f"resume: settings must be as the run began with them: {'; '.join(parts)}",
            remedy=f"leave out {', '.join(others)}, or start a new run",
        )


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    """Dotted names and values as JSON."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value, default=str)
