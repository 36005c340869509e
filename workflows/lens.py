"""medseg lens: receptive field, gradients and cost of a plan's network."""

from __future__ import annotations

from pathlib import Path

import click
from medseg.workflows import options

EPILOG = """\b
Examples:
  medseg demo --out medseg_demo; medseg lens medseg_demo/run/plan.yaml --out lens
  medseg lens classifier/plan.yaml
"""


@click.command("lens", epilog=EPILOG)
@click.argument("plan", type=options.FILE)
@click.option(
    "--out", "folder", type=options.FOLDER, help="Folder of lens.json, receptive_field.png and gradient_flow.png."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of weights and noise.")
def command(plan: Path, folder: Path | None, seed: int) -> None:
    """Receptive field, cost and gradients of PLAN's untrained network; PLAN is a plan.yaml or the run that holds it."""
    from medseg.atomic import check_writable
    from medseg.runs.lens.measure import lens_of
    from medseg.runs.lens.report import lens_lines, save_lens

    if folder:
        check_writable(folder, option="out")
    lens = lens_of(plan, seed=seed)
    for line in lens_lines(lens):
        click.echo(line)
    if folder:
        save_lens(lens, folder)
        click.echo(f"lens.json, receptive_field.png and gradient_flow.png in {folder}")


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
