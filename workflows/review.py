"""medseg review: masks read by people, and their decisions as the next version of a data set."""

from __future__ import annotations

import importlib

import click

STEPS = ("build", "apply")

EPILOG = """\b
Example, from masks to a data set with the labels that a reader accepted or corrected:
  medseg review build masks --out review.html
  medseg review apply masks review.json --dataset data/dataset.json
  medseg train data/dataset.json --out run_2 --fold 0
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
        command: click.Command = importlib.import_module(f"medseg.workflows.review_{name}").command
        return command


@click.group("review", cls=LazySteps, epilog=EPILOG)
def command() -> None:
    """Read masks in a browser without a network; accept, reject or correct them; train on what was decided."""


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
