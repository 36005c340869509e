"""medseg classify gate: measure what a gate saves and costs on labelled cases."""

from __future__ import annotations

from typing import Any

import click
from medseg.workflows import bars, console, options

EPILOG = """\b
Example:
  medseg classify gate run classifier dataset.json --fold 0 --out gate
"""


@click.command("gate", epilog=EPILOG)
@click.argument("run", type=options.FILE)
@click.argument("classifier", type=options.FILE)
@click.argument("dataset", type=options.FILE)
@click.option("--out", "folder", type=options.FOLDER, required=True, help="Folder of the tables; new or empty.")
@click.option(
    "--sensitivity",
    "sensitivities",
    type=click.FloatRange(0.5, 1),
    multiple=True,
    default=(0.95, 0.99, 1.0),
    show_default=True,
    help="Share of slices with a label that the gate is to keep; may be given again.",
)
@click.option("--fold", type=click.IntRange(0), help="Only this fold's validation cases.")
@click.option(
    "--split", type=click.Choice(["training", "test"]), help="Only this split.  [default: all labelled cases]"
)
@options.data_root
@options.device
@options.tracking
def command(**arguments: Any) -> None:
    """Segment DATASET's cases with RUN, whole and only where CLASSIFIER finds a structure; compare time and Dice."""
    from medseg.runs.classification.gate import GateSettings, try_gate

    run, classifier, dataset, folder = (arguments.pop(name) for name in ("run", "classifier", "dataset", "folder"))
    settings = GateSettings(out=folder, tracking=options.tracking_of(arguments), **arguments)
    result = try_gate(run, classifier, dataset, settings, progress=bars.Bars())
    console.warn(result.warnings)
    for line in result.lines():
        click.echo(line)
    click.echo(f"tables in {folder}")
    console.report_failures(result.failures)


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
