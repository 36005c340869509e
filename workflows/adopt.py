"""medseg adopt: a trained nnU-Net model as a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import options

EPILOG = """\b
Examples:
  medseg adopt nnUNetTrainer__nnUNetPlans__3d_fullres --out run
  medseg adopt nnUNetTrainer__nnUNetPlans__3d_fullres --folds 0,1 --no-mirroring --out run
  medseg predict run scans/ --out masks
"""


@click.command("adopt", epilog=EPILOG)
@click.argument("folder", type=options.FOLDER)
@click.option("--out", type=options.FOLDER, required=True, help="Folder of the run; new or empty.")
@click.option("--folds", help="Folds whose outputs are averaged, such as 0,1 or all.  [default: all numbered ones]")
@click.option("--checkpoint", default="checkpoint_final.pth", show_default=True, help="File of each fold's weights.")
@click.option("--mirroring/--no-mirroring", default=True, show_default=True,
              help="Average mirrored copies as the training allows; without, 3D is up to 8 times faster.")  # fmt: skip
@click.option("--step", type=click.FloatRange(0, 1, min_open=True), default=0.5, show_default=True,
              help="Largest distance of neighbouring windows, as a share of their size.")  # fmt: skip
@click.option("--previous", type=options.FOLDER,
              help="Model folder of a cascade's first stage.  [default: the one beside FOLDER]")  # fmt: skip
@click.option("--precision", type=click.Choice(["auto", "bf16", "fp32"]), default="auto", show_default=True,
              help="Number format; auto takes bf16 where it decides as fp32 does.")  # fmt: skip
@click.option("--sample", type=options.FILE, help="Scan on which auto compares both formats.  [default: noise]")
@click.option("--accept-trainer", is_flag=True,
              help="Trust a trainer class that is not nnU-Net's to change the training alone.")  # fmt: skip
def command(folder: Path, out: Path, folds: str | None, **choices: Any) -> None:
    """Turn the trained nnU-Net v2 model in FOLDER into a run, whose masks are nnU-Net's.

    FOLDER holds plans.json, dataset.json and fold_0, fold_1, …; nothing in its files is executed.
    """
    from medseg.runs.segmentation.adopt import AdoptSettings, adopt_model

    wanted = tuple(name.strip() for name in folds.split(",")) if folds else None
    result = adopt_model(folder, out, AdoptSettings(folds=wanted, **choices))
    for note in result.notes:
        click.echo(note)
    click.echo(f"run in {result.folder}; draw masks with: medseg predict {result.folder} SCANS --out masks")


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
