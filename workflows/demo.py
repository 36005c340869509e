"""medseg demo: the whole route on made-up patients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import bars, console, options

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
def command(folder: Path, budget: str, device: Any, **arguments: Any) -> None:
    """Make patients, train on them, draw masks for patients not seen, and measure them: under 5 minutes on 2 cores."""
    import medseg
    from medseg.phantom import write_cohort
    from medseg.runs.run_folder import check_empty

    check_empty(folder)
    tracking = options.tracking_of(arguments)
    progress = bars.Bars()
    logged: dict[str, Any] = {"tracking": tracking.uri or tracking.is_on, "progress": progress}
    dataset, run, masks, evaluation = (folder / name for name in ("dataset", "run", "masks", "evaluation"))
    click.echo("1/4 made-up patients: three scanners, oblique and anisotropic grids, coil shading and noise")
    with progress.over_cases(22, "draw") as on_done:
        write_cohort(dataset, on_done=on_done)
    click.echo(f"2/4 train for {budget}")
    trained = medseg.train(dataset, out=run, budget=budget, store=folder / "store", device=device, **logged)
    click.echo(trained.summary)
    console.warn(trained.warnings)
    click.echo(f"{trained.steps} steps in {trained.seconds:.0f} s")
    click.echo("3/4 masks for the test patients")
    predicted = medseg.predict(run, dataset, out=masks, split="test", device=device, progress=progress)
    click.echo("4/4 measure them on the scans' own grids")
    evaluated = medseg.evaluate(dataset, masks=masks, out=evaluation, split="test", **logged)
    click.echo(evaluated.summary)
    console.warn((*predicted.warnings, *evaluated.warnings))
    click.echo(f"masks:    {masks}\npictures: {evaluation / 'overlays'}\nmetrics:  {evaluation / 'summary.json'}")
    click.echo("numbers:  medseg ui   (in this folder; it prints the address)")
    console.report_failures((*trained.failures, *predicted.failures, *evaluated.failures))


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
