"""medseg plan: the plan of a training, with what it costs and what more time would buy."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from medseg.workflows import bars, console, label_table, options

if TYPE_CHECKING:
    from medseg.planning import Plan, RegressionPlan
    from medseg.planning.expectation import Expectation
    from medseg.runs.regression.plan import QuantityPlanResult
    from medseg.runs.segmentation.plan import PlanResult

EPILOG = """\b
Examples:
  medseg plan data/dataset.json --budget 10m
  medseg plan data/dataset.json --budget 10m --out my_plan.yaml
  medseg train data/dataset.json --out run --budget 10m --plan my_plan.yaml
"""


@click.command("plan", epilog=EPILOG)
@click.argument("dataset", type=options.FILE)
@click.option("--out", "path", type=options.FOLDER, default=Path("plan.yaml"), show_default=True, help="File to write.")
@options.planning
def command(path: Path, **arguments: Any) -> None:
    """Plan a training on DATASET, a dataset.json or its folder, and say why each setting is as it is."""
    started = time.monotonic()
    from medseg.manifest import is_of_quantities
    from medseg.runs.regression.job import RegressionJob
    from medseg.runs.regression.plan import plan_quantities
    from medseg.runs.segmentation.job import SegmentationJob
    from medseg.runs.segmentation.plan import plan_dataset
    from medseg.runs.settings import TrainingSettings

    dataset = arguments.pop("dataset")
    planned = {name: arguments.pop(name) for name in ("grid", "network", "preset")}
    arguments |= {"folder": path.parent, "tracking_uri": None, "no_tracking": True}
    settings = options.training_settings(TrainingSettings, arguments)
    if is_of_quantities(dataset):
        of_values = RegressionJob(network=planned["network"], preset=planned["preset"])
        _echo(plan_quantities(of_values, dataset, settings, path=path, progress=bars.Bars()))
    else:
        job = SegmentationJob(**planned)
        _echo(plan_dataset(job, dataset, settings, path=path, started=started, progress=bars.Bars()))


def _echo(result: PlanResult | QuantityPlanResult) -> None:
    """Print a plan and where it is."""
    for line in plan_lines(result.plan, parameters=result.parameters):
        click.echo(line)
    console.warn(result.warnings)
    click.echo(f"plan in {result.path}; change what you like and give it to medseg train as its plan")
    console.report_failures(result.failures)


def plan_lines(plan: Plan | RegressionPlan, *, parameters: int) -> list[str]:
    """What people ask of a plan, line by line.

    Args:
        plan: Plan to describe.
        parameters: Trainable parameters of its network.
    """
    training, spacing, widths = plan.training, plan.preprocess.spacing_mm, plan.network.widths
    grid = f"{_by(spacing)} mm" if spacing else "the pictures' own pixels"
    patch = f"{_by(training.patch_size)}, {training.batch_size} per step"
    if start := getattr(training, "coarse_start", None):
        patch += f"; for the first {start.share:.0%} {_by(start.patch_size)} of coarser voxels"
    network = f"{parameters / 1e6:.1f} M parameters, {len(widths)} stages of {widths[0]} to {widths[-1]} channels"
    lines = [f"grid      {grid}", f"patch     {patch}", f"network   {network}"]
    why = ["why", *(f"  {setting}: {reason}" for setting, reason in plan.reasons.items())]
    expected, profile = getattr(plan, "expected", None), getattr(plan, "fingerprint", None)  # which labels alone have
    if expected is not None:
        lines += _expectation_lines(expected, kind="picture" if plan.network.spatial_dims == 2 else "scan")
    if profile is not None:
        ceiling = expected.ceiling if expected else {}
        lines += ["labels", *(f"  {line}" for line in label_table.label_lines(profile, ceiling))]
    return [*lines, *why]


def _expectation_lines(expected: Expectation, *, kind: str) -> list[str]:
    lines = [
        f"expected  {expected.steps} steps of {expected.step_seconds:.3g} s in about {_time(expected.seconds)}",
        f"          {expected.memory_bytes / 1e9:.1f} GB beside what the program itself takes, on {expected.device}",
        f"          each part of a {kind} is seen {expected.views_per_scan:g} times",
    ]
    if expected.ceiling:
        worst = min(expected.ceiling, key=lambda name: expected.ceiling[name])
        lines.append(f"          labels on this grid and back keep a Dice of {expected.ceiling[worst]:.3f} ({worst})")
    if expected.shortfall is not None:
        lines.append(f"          about {expected.shortfall:.3f} of Dice lost to the grid and what is not yet learned")
    for outlook in expected.outlook:
        grid = f"{_by(outlook.spacing_mm)} mm, " if outlook.spacing_mm else ""
        batch = outlook.batch_size
        steps = f"{outlook.steps} steps" + (f" of {batch} patch{'es' if batch > 1 else ''}" if batch else "")
        lost = f", about {outlook.shortfall:.3f} lost" if outlook.shortfall is not None else ""
        lines.append(f"in {outlook.budget:<7}{grid}{steps}, seen {outlook.views_per_scan:g} times{lost}")
    return lines


def _by(numbers: tuple[float, ...]) -> str:
    return "×".join(f"{number:.4g}" for number in numbers)


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.0f} s"


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
