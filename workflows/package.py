"""medseg package: models as programs take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import bars, console, options

FORMS = ("mlflow", "bundle", "onnx")
EPILOG = """\b
Examples:
  medseg package run --out package
  medseg package folds --out package --form mlflow
  medseg package run_a run_b --out package --check-on scans/
  mlflow models serve -m package/mlflow --env-manager local --port 5001
"""


@click.command("package", epilog=EPILOG)
@click.argument("runs", metavar="RUN...", type=options.PLACE, nargs=-1, required=True)
@click.option("--out", type=options.FOLDER, required=True, help="Folder of the package; new or empty.")
@click.option("--form", "forms", type=click.Choice(FORMS), multiple=True,
              help="Form to write: mlflow, one model that a server answers with; bundle, of MONAI; onnx, the bare "
              "network. May be given several times.  [default: all]")  # fmt: skip
@click.option("--weights", type=click.Choice(["last", "best"]), default="last", show_default=True,
              help="Weights at the end, or at the best validation (which flatters that validation set).")  # fmt: skip
@click.option("--check-on", "check_on", type=options.FILE, multiple=True,
              help="Scans on whose masks bfloat16 and float32 are compared. May be given several times.  "
              "[default: noise]")  # fmt: skip
@click.option("--precision", type=click.Choice(["auto", "checked", "fp32"]), default="auto", show_default=True,
              help="Number format: each device's own as in the run; float32 where the comparison does not clear "
              "bfloat16; or float32.")  # fmt: skip
@click.option("--most-voxels", type=click.IntRange(1), default=2**29, show_default=True,
              help="Most voxels of a scan that a server takes, those of all channels together.")  # fmt: skip
@click.option("--most-bytes", type=click.IntRange(1), default=2**31, show_default=True,
              help="Most bytes of the files of such a scan, unpacked.")  # fmt: skip
@options.device
@click.option("--tracking-uri", help="MLflow store of a registered model.  [default: MLFLOW_TRACKING_URI, else here]")
def command(runs: tuple[Path | str, ...], forms: tuple[Any, ...], **choices: Any) -> None:
    """Package the models of RUN... for programs: a servable MLflow model, a MONAI bundle, and ONNX.

    RUN is the folder of a training, that of a training of all folds, an adopted model, or a registered model such as
    models:/livers@clinical. Several models draw one mask together, as in `medseg predict`. Nothing in the package is a
    pickle, and it carries medseg itself, which no package index has.
    """
    from medseg.inference.requests import RequestLimits
    from medseg.runs.segmentation.package import PackageSettings, package_models

    limits = RequestLimits(most_voxels=choices.pop("most_voxels"), most_bytes=choices.pop("most_bytes"))
    settings = PackageSettings(forms=forms or FORMS, limits=limits, **choices)
    result = package_models(runs, settings, progress=bars.Bars())
    console.warn(result.warnings)
    for form, folder in result.forms.items():
        click.echo(f"{form}: {folder}")
    click.echo(f"how to use them: {result.folder / 'README.md'}")


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
