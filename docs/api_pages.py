"""A page per room, out of its docstrings: `api/index.md` and `api/<room>.md`."""

from __future__ import annotations

from docs.rooms import Module, find, rooms


def api_pages() -> dict[str, str]:
    """Content of every page by its path."""
    pages = {f"api/{room.room}.md": room_page(room) for room in documented_rooms()}
    return {"api/index.md": index_page(), **pages}


def documented_rooms() -> list[Module]:
    """Every room but the commands, which have a page of their own."""
    return [room for room in rooms() if room.room != "workflows"]


def index_page() -> str:
    """What `import medseg` offers, and the rooms with a line each."""
    medseg = find("medseg")
    if medseg is None:
        raise FileNotFoundError("the package medseg must lie in pipeline/")
    lines = [
        "# Python API",
        "",
        "These few functions are all that a program or a notebook needs to begin; the rooms below hold the rest.",
        "",
        "| room | what it holds |",
        "| --- | --- |",
        *[f"| [`medseg.{room.room}`]({room.room}.md) | {room.first_line} |" for room in documented_rooms()],
        "",
        "## What `import medseg` offers",
        "",
        *_directive(medseg, [name for name in medseg.public_names if not name.startswith("_")]),
    ]
    return "\n".join(lines)


def room_page(room: Module) -> str:
    """The public names of a room and of the packages in it.

    A package's `__all__` says what is public; where there is none, every module of the package is its own section.
    """
    return "\n".join([f"# {room.name}", "", *_section(room)])


def _section(module: Module) -> list[str]:
    names = module.public_names
    lines = _directive(module, names)
    for part in module.parts:
        if part.is_package or not names:
            lines += ["", f"## {part.name}", "", *_section(part)]
    return lines


def _directive(module: Module, members: list[str]) -> list[str]:
    """A mkdocstrings block for the given names of a module."""
    return [f"::: {module.name}", "    options:", f"      members: [{', '.join(members)}]"]
