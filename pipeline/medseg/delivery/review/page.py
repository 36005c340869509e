"""Review pages: each a file that opens by double click and holds scans, masks and the viewer."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from medseg.atomic import atomic_path
from medseg.configuration import Config
from medseg.delivery.pages import fill_page
from medseg.delivery.review.case import ReviewCase, Structure
from medseg.inference.record import SOFTWARE
from medseg.text import printable

MOST_LABELS = 254
"""Structures that a page can tell apart."""
_TEMPLATE = "review/templates/review.html.jinja"
_MARK = "<!-- volumes -->"
_VIEWER = Path(__file__).parent / "vendor" / "niivue.umd.js"
_LARGE_MB = 300
_BLOCK = 3 << 20  # bytes, a multiple of 3, that become base 64 at once


class PageLimits(Config):
    """Limits of a page, beyond which another is begun.

    Attributes:
        cases: Most cases of a page.
        page_mb: Most megabytes of the volumes of a page; one case may be larger.
        image_mb: About the most megabytes of a scan, compressed; larger ones are averaged.
    """

    cases: int = 20
    page_mb: float = 200.0
    image_mb: float = 8.0


class ReviewPages(NamedTuple):
    """Pages that were written.

    Attributes:
        files: Files in their order.
        cases: Ids of the cases, in the order in which they are shown.
        warnings: Sentences for the person who made the pages.
    """

    files: tuple[Path, ...]
    cases: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Page:
    """A page while its cases are collected."""

    volumes: Path
    size_bytes: int = 0
    facts: list[dict[str, Any]] = field(default_factory=list)


def write_pages(
    cases: Iterable[ReviewCase], out: Path, *, structures: Sequence[Structure], title: str, limits: PageLimits
) -> ReviewPages:
    """Write `out`, and `out` with `_2`, `_3`, … in its name where the cases do not fit one page.

    Cases are taken one after the other, so that the volumes of one are held at a time.

    Args:
        cases: Cases in the order in which they are to be read.
        out: First page.
        structures: Structures of all cases.
        title: Words on what is reviewed.
        limits: Limits of a page.

    Raises:
        DeliveryError: If a page cannot be written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".review") as scratch:
        pages = _collected(cases, Path(scratch), limits)
        files = [out.with_name(f"{out.stem}_{n}{out.suffix}") if n > 1 else out for n in range(1, len(pages) + 1)]
        for number, page in enumerate(pages):
            _write(page, files, number, structures=structures, title=title)
    sizes = {file: file.stat().st_size / 1e6 for file in files}
    warnings = [
        f"{file.name} has {size:.0f} MB, which an ordinary computer may not open; make the images smaller"
        for file, size in sizes.items()
        if size > _LARGE_MB
    ]
    return ReviewPages(tuple(files), tuple(one["id"] for page in pages for one in page.facts), tuple(warnings))


def _collected(cases: Iterable[ReviewCase], scratch: Path, limits: PageLimits) -> list[_Page]:
    pages: list[_Page] = []
    for case in cases:
        last = pages[-1] if pages else None
        is_full = last is not None and (
            len(last.facts) >= limits.cases or last.size_bytes + case.size_bytes > limits.page_mb * 1e6
        )
        if last is None or is_full:
            last = _Page(scratch / str(len(pages)))
            pages.append(last)
        with last.volumes.open("a", encoding="ascii") as stream:
            for kind, data in (("image", case.image), ("mask", case.mask)):
                stream.write(f'<script type="text/plain" id="{kind}-{len(last.facts)}">')
                for start in range(0, len(data), _BLOCK):
                    stream.write(base64.b64encode(data[start : start + _BLOCK]).decode())
                stream.write("</script>\n")
        last.facts.append(case.facts)
        last.size_bytes += case.size_bytes
    return pages


def _write(page: _Page, files: Sequence[Path], number: int, *, structures: Sequence[Structure], title: str) -> None:
    shown = {
        "software": SOFTWARE,
        "title": title,
        "key": _key(page),
        "structures": [{"name": one.name, "value": one.value, "colour": one.colour} for one in structures],
        "cases": page.facts,
    }
    text = fill_page(
        _TEMPLATE,
        title=title,
        facts=_json(shown),
        viewer=_VIEWER.read_text(encoding="utf-8"),
        number=number + 1,
        names=[file.name for file in files],
        is_reduced=any(max(one["image"]["steps"]) > 1 for one in page.facts),
    )
    head, _, tail = text.partition(_MARK)
    with atomic_path(files[number]) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(head)
        with page.volumes.open(encoding="ascii") as volumes:
            shutil.copyfileobj(volumes, stream, _BLOCK)
        stream.write(tail)


def _key(page: _Page) -> str:
    """Name under which a browser keeps the verdicts of this page and no other."""
    shown = json.dumps([[one["id"], one["sha256"]] for one in page.facts])
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


def _json(content: dict[str, Any]) -> str:
    """JSON that cannot end the script that it stands in."""
    return printable(json.dumps(content, ensure_ascii=False, allow_nan=False)).replace("<", "\\u003c")
