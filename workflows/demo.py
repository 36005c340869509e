"""medseg demo: the whole route on made-up patients."""

from __future__ import annotations

from pathlib import Path

import click
from medseg.workflows import options

EPILOG = """\b
Example:
  medseg demo --out medseg_demo
"""


@click.command("demo", epilog=EPILOG)
@click.option(
    "--out", "folder", type=options.FOLDER, default=Path("medseg_demo"), show_default=True, help="New or empty folder."
)
@click.option("--budget", default="2m", show_default=True, help="Wall clock for the training.")
@options.device
@options.tracking
@click.pass_context
def command(
    context: click.Context, folder: Path, budget: str, device: str, tracking_uri: str | None, no_tracking: bool
) -> None:
    """Make patients, train on them, draw masks for patients not seen, and measure them: under 5 minutes on 2 cores."""
    from medseg.phantom import write_cohort
    from medseg.workflows import evaluate, predict, train
    from medseg.workflows.console import counting, empty_folder

    empty_folder(folder)
    dataset, run, masks, evaluation = (folder / name for name in ("dataset", "run", "masks", "evaluation"))
    click.echo("1/4 made-up patients: three scanners, oblique and anisotropic grids, coil shading and noise")
    with counting(22, "draw") as on_done:
        write_cohort(dataset, on_done=on_done)
    shared = {"device": device, "tracking_uri": tracking_uri, "no_tracking": no_tracking}
    click.echo(f"2/4 train for {budget}")
    context.invoke(train.command, dataset=dataset, folder=run, budget=budget, store=folder / "store", **shared)
    click.echo("3/4 masks for the test patients")
    context.invoke(predict.command, run=run, inputs=(dataset,), folder=masks, split="test", device=device)
    click.echo("4/4 measure them on the scans' own grids")
    del shared["device"]
    context.invoke(evaluate.command, dataset=dataset, masks=masks, folder=evaluation, split="test", **shared)
    click.echo(f"masks:    {masks}\npictures: {evaluation / 'overlays'}\nmetrics:  {evaluation / 'summary.json'}")
    click.echo("numbers:  medseg ui   (in this folder, then open http://127.0.0.1:5000)")


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
