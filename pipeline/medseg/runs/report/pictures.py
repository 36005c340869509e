"""Pictures of a run or an evaluation; files that hold none are said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from medseg.delivery.report import Block, Gallery, Picture, Text, read_picture


def gallery(title: str, paths: Sequence[Path], caption: Callable[[Path], str], *, none: str) -> Iterator[Block]:
    """The pictures that can be read, and a sentence for each that cannot.

    Args:
        title: Title above them.
        paths: PNG files in their order.
        caption: Caption of a file.
        none: Sentence where there are no files.
    """
    if not paths:
        yield Text(none, "missing")
        return
    readable = [path for path in paths if read_picture(path) is not None]
    if readable:
        yield Gallery(title, [Picture(path, caption(path)) for path in readable])
    broken = [path.name for path in paths if path not in readable]
    if broken:
        is_one = len(broken) == 1
        subject = "The picture" if is_one else "The pictures"
        yield Text(
            f"{subject} {', '.join(broken)} cannot be read: {'it is' if is_one else 'they are'} damaged.", "missing"
        )
