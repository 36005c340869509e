"""medseg review: masks read by people, and their decisions as the next version of a data set."""

from __future__ import annotations

import click
from medseg.workflows.lazy_steps import LazySteps

STEPS = ("build", "apply")

EPILOG = """\b
Example, from masks to a data set with the labels that a reader accepted or corrected:
  medseg review build masks --out review.html
  medseg review apply masks review.json --dataset data/dataset.json
  medseg train data/dataset.json --out run_2 --update run
"""


@click.group("review", cls=LazySteps, steps=STEPS, epilog=EPILOG)
def command() -> None:
    """Read masks in a browser without a network; accept, reject or correct them; train on what was decided."""


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
