"""The commands with their own help, on one page."""

from __future__ import annotations

import click
from medseg.workflows.cli import medseg

_INTRODUCTION = """# Commands

What `medseg --help` and `medseg VERB --help` say. Every command ends with 0 (done), 1 (some data failed) or
2 (usage); [engineers](engineers.md#exit-codes) find the details there.
"""


def command_page() -> str:
    """The help of `medseg` and of every verb, a section each."""
    return "\n".join([_INTRODUCTION, *_sections(medseg, ["medseg"], None)])


def _sections(command: click.Command, names: list[str], parent: click.Context | None) -> list[str]:
    """The help of a command and of the commands below it."""
    context = click.Context(command, info_name=names[-1], parent=parent, terminal_width=92, max_content_width=92)
    lines = [f"{'#' * (len(names) + 1)} {' '.join(names)}", "", "```text", command.get_help(context), "```", ""]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                lines += _sections(below, [*names, name], context)
    return lines
