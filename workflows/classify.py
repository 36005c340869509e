"""medseg classify: the slice classifier."""

from __future__ import annotations

import click
from medseg.workflows.lazy_steps import LazySteps

STEPS = ("train", "predict", "evaluate", "gate", "compare")

EPILOG = """\b
Example, from label volumes to a ranked list of studies:
  medseg classify train dataset.json --plane axial --out classifier --fold 0 --budget 5m
  medseg classify evaluate classifier dataset.json --fold 0 --out evaluation
  medseg classify predict classifier scans/ --out triage
  medseg predict run scans/ --gate classifier --out masks
"""


@click.group("classify", cls=LazySteps, steps=STEPS, epilog=EPILOG)
def command() -> None:
    """Classify the slices of scans: triage, gate, check of masks."""


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
