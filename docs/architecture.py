"""The house as a picture and a table, drawn from the contract that `make check` holds.

`<!-- picture of the rooms -->` and `<!-- table of the rooms -->` in a page are the places that are filled.
"""

from __future__ import annotations

from html import escape

from docs.rooms import layers, rooms

_WIDTH, _BOX, _GAP = 840, 34, 10


def fill_places(page: str) -> str:
    """A page with the picture and the table in their places."""
    page = page.replace("<!-- picture of the rooms -->", rooms_picture())
    return page.replace("<!-- table of the rooms -->", rooms_table())


def rooms_table() -> str:
    """A line per room, from the top of the house to the ground."""
    lines = [f"| {_link(room.room)} | {room.first_line} |" for room in rooms()]
    return "\n".join(["| room | what it holds |", "| --- | --- |", *lines])


def rooms_picture() -> str:
    """The levels of the house as an SVG drawing, in the page's own colours."""
    levels = layers()
    height = len(levels) * (_BOX + _GAP) + _GAP
    boxes = [box for number, level in enumerate(levels) for box in _level(level, _GAP + number * (_BOX + _GAP))]
    title = "Rooms of medseg, one level per line; a room imports only rooms below its line"
    return (
        f'<svg class="rooms" role="img" viewBox="0 0 {_WIDTH} {height}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{title}</title>{''.join(boxes)}</svg>\n"
    )


def _level(names: list[str], top: int) -> list[str]:
    width = (_WIDTH - _GAP * (len(names) - 1)) / len(names)
    return [
        f'<rect x="{number * (width + _GAP):.1f}" y="{top}" width="{width:.1f}" height="{_BOX}" rx="5"/>'
        f'<text x="{number * (width + _GAP) + width / 2:.1f}" y="{top + _BOX / 2 + 5:.1f}">{escape(name)}</text>'
        for number, name in enumerate(names)
    ]


def _link(name: str) -> str:
    return f"[`{name}`](commands.md)" if name == "workflows" else f"[`{name}`](api/{name}.md)"
