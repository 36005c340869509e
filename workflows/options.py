"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from medseg.runs.settings import TrainingSettings
    from medseg.runs.tracking import Tracking

Function = TypeVar("Function", bound=Callable[..., Any])
AnySettings = TypeVar("AnySettings", bound="TrainingSettings")

FOLDER = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, exists=True)


class _Place(click.Path):
    """A path, or the address of a registered model, which names no file."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A path; an address as it is."""
        return value if str(value).startswith("models:/") else super().convert(value, param, ctx)


PLACE = _Place(path_type=Path)


def runs_and_inputs(places: Sequence[Path | str]) -> tuple[list[Path | str], list[Path]]:
    """Tell models from inputs: the first place is a model, and so are those after it up to the first that is none.

    Raises:
        click.UsageError: If there is no input, the first place does not exist, or a model stands among the inputs.
    """
    first, *others = places
    if isinstance(first, Path) and not first.exists():
        raise click.BadParameter(f"Path {str(first)!r} does not exist.", param_hint="'RUN...'")
    if not others:
        raise click.UsageError("Missing argument 'INPUT...': give a manifest, scans, or folders of scans after RUN")

    from medseg.runs.segmentation.model_paths import is_model, unusable_run

    for place in places:
        if found := unusable_run(place):
            raise click.UsageError(f"{place} is {found}; give a run of `medseg train`")
    count = next((place for place, other in enumerate(others) if not is_model(other)), len(others))
    runs, inputs = [first, *others[:count]], others[count:]
    if not inputs:
        raise click.UsageError("Missing argument 'INPUT...': all places are models; give scans after them")
    late = [str(place) for place in inputs if is_model(place)]
    if late:
        raise click.UsageError(f"{late[0]} is a model, but stands after the input {inputs[0]}; give all models first")
    return runs, [Path(place) for place in inputs]


def data_root(function: Function) -> Function:
    """Add `--data-root`."""
    return click.option(
        "--data-root", type=FILE, help="Folder that a manifest's paths are relative to.  [default: its folder]"
    )(function)


def studies(function: Function) -> Function:
    """Add `--series` and `--pseudonyms`."""
    function = click.option(
        "--pseudonyms",
        type=FOLDER,
        help="Private table, new or of an earlier run, that leads from pseudonyms back to patients; results are named "
        "by pseudonyms.  [default: ids as in the files]",
    )(function)
    return click.option(
        "--series",
        multiple=True,
        help="DICOM series to take, by number, UID or words of its description; 3#2 is the second volume of series 3. "
        "May be given several times.  [default: the one that fits the model]",
    )(function)


def device(function: Function) -> Function:
    """Add `--device`."""
    choice = click.Choice(["auto", "cpu", "cuda"])
    return click.option("--device", type=choice, default="auto", show_default=True, help="Device of the network.")(
        function
    )


def tracking(function: Function) -> Function:
    """Add `--tracking-uri` and `--no-tracking`."""
    function = click.option(
        "--tracking-uri", help="MLflow store.  [default: MLFLOW_TRACKING_URI, else mlflow.db in this folder]"
    )(function)
    return click.option("--no-tracking", is_flag=True, help="Log nothing to MLflow.")(function)


def workers(function: Function) -> Function:
    """Add `--workers`."""
    return click.option(
        "--workers", type=click.IntRange(1), default=None, help="Threads that read scans.  [default: cores, at most 16]"
    )(function)


def cluster(function: Function) -> Function:
    """Add `--cluster`."""
    return click.option(
        "--cluster",
        metavar="local|auto|HOST:PORT",
        help="Work on a Ray cluster: processes of this machine, the cluster that it is part of, or the head of one; "
        "needs the extra `cluster`.  [default: this process]",
    )(function)


def grid(function: Function) -> Function:
    """Add `--grid`."""
    return click.option(
        "--grid",
        type=click.Choice(["scans", "budget"]),
        default="budget",
        show_default=True,
        help="Voxels of the plan for volumes: those on which --budget is expected to lose least Dice, or the scans' "
        "own, which are also taken without --budget.",
    )(function)


def network(function: Function) -> Function:
    """Add `--network`."""
    return click.option(
        "--network",
        type=click.Choice(["unet", "unet_2015", "dynunet", "segresnet", "swinunetr"]),
        help="Network to plan; unet_2015 takes pictures only.  [default: unet]",
    )(function)


def preset(function: Function) -> Function:
    """Add `--preset`."""
    return click.option(
        "--preset",
        type=click.Choice(["nano", "S", "M", "L", "XL"], case_sensitive=False),
        metavar="[nano|S|M|L|XL]",
        help="Sizes of network, patch and batch: nano for tests, S as planned for a CPU, M as for a GPU, L and XL for "
        "GPUs of 16 and 48 GB; not with a plan.  [default: the device's]",
    )(function)


def head(function: Function) -> Function:
    """Add `--head`."""
    return click.option(
        "--head",
        type=click.Choice(["slice", "study"]),
        help="Classes to learn beside the masks, on the same encoder: of each slice along the scans' last axis, or of "
        "the whole study. Cases that have classes and no label teach them alone.  [default: masks alone]",
    )(function)


def planning(function: Function) -> Function:
    """Add the options that decide a plan."""
    choices = (
        click.option(
            "--fold", default="0", show_default=True, help="Validation fold, or 'all' to train on every case."
        ),
        click.option("--budget", help="Wall clock of the training: 90s, 10m, 2h, 1d."),
        click.option("--epochs", type=click.IntRange(1), help="Length in epochs.  [default: the plan's]"),
        click.option("--config", "config_path", type=FILE, help="YAML of plan settings to change."),
        click.option("--store", type=FOLDER, default=Path("medseg_store"), show_default=True, help="Prepared cases."),
        grid,
        network,
        preset,
        data_root,
        device,
        workers,
    )
    for choice in reversed(choices):
        function = choice(function)
    return function


def training(function: Function) -> Function:
    """Add the options of every training command: output, fold, length, plan, and the shared ones."""
    choices = (
        click.option("--out", "folder", type=FOLDER, required=True, help="Folder of the run; new or empty."),
        click.option(
            "--fold",
            default="0",
            show_default=True,
            help="Validation fold, 'all' to train on every case, or, for masks, 'all-folds' to train each in turn.",
        ),
        click.option("--budget", help="Wall clock for everything this command does: 90s, 10m, 2h, 1d."),
        click.option("--epochs", type=click.IntRange(1), help="Length in epochs.  [default: the plan's]"),
        click.option("--plan", "plan_path", type=FILE, help="A plan.yaml to use instead of planning."),
        click.option("--config", "config_path", type=FILE, help="YAML of plan settings to change."),
        click.option(
            "--seed", type=click.IntRange(0), help="Seed of weights, sampling and augmentation.  [default: the plan's]"
        ),
        click.option(
            "--resume",
            is_flag=True,
            help="Continue the run in --out, with its own settings; begin it if there is none yet.",
        ),
        click.option("--store", type=FOLDER, default=Path("medseg_store"), show_default=True, help="Prepared cases."),
        data_root,
        device,
        workers,
        tracking,
    )
    for choice in reversed(choices):
        function = choice(function)
    return function


def tracking_of(arguments: dict[str, Any]) -> Tracking:
    """Take the options of MLflow out of a command's arguments."""
    from medseg.runs.tracking import Tracking

    return Tracking(uri=arguments.pop("tracking_uri"), is_on=not arguments.pop("no_tracking"))


def training_settings(kind: type[AnySettings], arguments: dict[str, Any]) -> AnySettings:
    """A training's settings from a command's arguments."""
    from medseg.configuration import read_yaml

    if arguments["budget"] and arguments["epochs"]:
        raise click.UsageError("--budget and --epochs exclude each other; give one")
    config = arguments.pop("config_path", None)
    changes: dict[str, Any] = (
        {"changes": read_yaml(config), "changes_name": f"settings {config.name}"} if config else {}
    )
    arguments["out"] = arguments.pop("folder")
    if "plan_path" in arguments:
        arguments["plan"] = arguments.pop("plan_path")
    return kind(tracking=tracking_of(arguments), **changes, **arguments)
