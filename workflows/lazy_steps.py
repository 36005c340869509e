"""A command of several steps, each in a module of its own."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import click


class LazySteps(click.Group):
    """Imports a step's module, `<command>_<step>.py`, only when it is asked for.

    Args:
        steps: Names of the steps, in the order of the work.
        settings: As for `click.Group`.
    """

    def __init__(self, *, steps: Sequence[str], **settings: Any) -> None:
        super().__init__(**settings)
        self.steps = list(steps)

    def list_commands(self, context: click.Context) -> list[str]:
        """All steps, in the order of the work."""
        return self.steps

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The step's command, or None where there is no such step."""
        if name not in self.steps:
            return None
        command: click.Command = importlib.import_module(f"medseg.workflows.{self.name}_{name}").command
        return command
