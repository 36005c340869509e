"""medseg search: settings that do better than the plan, by whole short trainings that many workers may share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from medseg.workflows import bars, console, interruption, options

EPILOG = """\b
Examples:
  medseg search data/dataset.json --out search --budget 4h
  medseg search data/dataset.json --out search --trials 30 --trial-budget 10m --space space.yaml
  medseg search data/dataset.json --out search --budget 4h --storage postgresql://medseg@db/search
The same command on another machine that sees the folder joins as one more worker, and again after a kill goes on.
"""


@click.command("search", epilog=EPILOG)
@click.argument("dataset", type=options.FILE)
@click.option(
    "--out", "folder", type=options.FOLDER, required=True, help="Folder of the search; one that was begun is joined."
)
@click.option("--budget", help="Wall clock of the whole search, as long as any worker is at work: 10m, 4h, 1d.")
@click.option(
    "--trials", type=click.IntRange(1), help="Number of trials.  [default: 20, or those of --trial-budget in --budget]"
)
@click.option("--trial-budget", help="Wall clock of each training.  [default: equal parts of --budget]")
@click.option("--trial-epochs", type=click.IntRange(1), help="Length of each training in epochs.")
@click.option("--space", "space_path", type=options.FILE, help="YAML of what the trials may change.")
@click.option(
    "--storage",
    envvar="MEDSEG_SEARCH_STORAGE",
    help="Database of the trials, such as postgresql://...; also MEDSEG_SEARCH_STORAGE, which shows its password to "
    "fewer.  [default: a journal file in the folder]",
)
@click.option("--fold", default="0", show_default=True, help="Validation fold, on whose cases trials are compared.")
@click.option("--plan", "plan_path", type=options.FILE, help="A plan.yaml to begin with instead of planning.")
@click.option("--config", "config_path", type=options.FILE, help="YAML of plan settings to change in every trial.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the suggestions.")
@click.option(
    "--finalists", type=click.IntRange(1), default=2, show_default=True, help="Best trials to train again, as the plan."
)
@click.option("--repeats", type=click.IntRange(0), default=2, show_default=True, help="Other seeds to train them with.")
@click.option("--store", type=options.FOLDER, default=Path("medseg_store"), show_default=True, help="Prepared cases.")
@options.data_root
@options.device
@options.workers
@options.tracking
def command(**arguments: Any) -> None:
    """Search for settings that do better on DATASET, a dataset.json or its folder, than the plan, the first trial."""
    interruption.end_hastily()
    from medseg.configuration import parse_config, read_yaml
    from medseg.runs.search.search import search_plan
    from medseg.runs.search.settings import SearchSettings
    from medseg.runs.search.space import SearchSpace

    dataset, space, config = (arguments.pop(name) for name in ("dataset", "space_path", "config_path"))
    given: dict[str, Any] = {"out": arguments.pop("folder"), "plan": arguments.pop("plan_path")}
    if space is not None:
        given["space"] = parse_config(SearchSpace, read_yaml(space, what="space"), source=f"space {space.name}")
    if config is not None:
        given |= {"changes": read_yaml(config), "changes_name": f"settings {config.name}"}
    settings = SearchSettings(tracking=options.tracking_of(arguments), **given, **arguments)
    result = search_plan(dataset, settings, progress=bars.Bars())
    click.echo(result)
    console.warn(result.warnings)
    click.echo(f"plan to train with in {result.best}; table and page in {result.folder}")


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
