"""medseg classify: the slice classifier."""

from __future__ import annotations

import importlib

import click

STEPS = ("train", "predict", "evaluate", "gate", "compare")

EPILOG = """\b
Example, from label volumes to a ranked list of studies:
  medseg classify train dataset.json --plane axial --out classifier --fold 0 --budget 5m
  medseg classify evaluate classifier dataset.json --fold 0 --out evaluation
  medseg classify predict classifier scans/ --out triage
  medseg predict run scans/ --gate classifier --out masks
"""


class LazySteps(click.Group):
    """Imports a step's module only when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All steps, in the order of the work."""
        return list(STEPS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The step's command, or None where there is no such step."""
        if name not in STEPS:
            return None
        command: click.Command = importlib.import_module(f"medseg.workflows.classify_{name}").command
        return command


@click.group("classify", cls=LazySteps, epilog=EPILOG)
def command() -> None:
    """Classify the slices of scans: triage, gate, check of masks."""


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
