"""The `medseg` command."""

from __future__ import annotations

import difflib
import importlib
import logging
import sys
from collections.abc import Callable
from functools import partial

import click
from medseg import __version__
from medseg.errors import ConfigError, PipelineError
from medseg.workflows import console
from medseg.workflows.interruption import Interruption

_ON_DATA = (
    "ingest",
    "audit",
    "split",
    "plan",
    "prepare",
    "lens",
    "train",
    "search",
    "predict",
    "evaluate",
    "compare",
    "choose",
    "report",
    "promote",
)
VERBS = (*_ON_DATA, "deliver", "review", "package", "serve", "watch", "adopt", "classify", "demo", "ui", "sync")

EXAMPLE = """\b
Example, from scans to measured masks:
  medseg train dataset.json --out run --fold 0 --budget 10m
  medseg predict run dataset.json --fold 0 --out masks
  medseg evaluate dataset.json --masks masks --fold 0 --out evaluation
  medseg ui
"""


class LazyVerbs(click.Group):
    """Imports a verb's module only when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All verbs, in the order of the work."""
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The verb's command, or None where there is no such verb."""
        if name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"medseg.workflows.{name}").command
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve as click does, with the nearest verb in the message."""
        near = difflib.get_close_matches(arguments[0], VERBS, n=1) if arguments[0] not in VERBS else []
        if near:
            context.fail(f"No such verb {arguments[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(context, arguments)


@click.group(cls=LazyVerbs, epilog=EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="medseg")
def medseg() -> None:
    """Medical image segmentation, from a manifest of scans to masks on the scans' own grids."""


def main() -> None:
    """Entry point of `medseg`."""
    run_command(partial(medseg, prog_name="medseg"))


def run_command(command: Callable[..., object]) -> None:
    """Run a command and exit: 0 done, 1 failed, 2 usage error, 130 stopped, 143 stopped by a scheduler."""
    console.speak_utf8_to_the_disk()
    console.accept_every_name()
    console.share_cores()
    console.collect_rarely()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    interruption = Interruption()
    try:
        with interruption.received():  # a scheduler's kill closes the MLflow run too
            result = command(standalone_mode=False, obj=interruption)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except PipelineError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped", err=True)
        interruption.end()
    sys.exit(result if isinstance(result, int) else 0)


if __name__ == "__main__":
    main()
