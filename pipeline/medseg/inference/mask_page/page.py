"""The page of a folder of masks: what `predictions.json` holds, and the pictures beside it."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from pathlib import Path
from urllib.parse import quote

from medseg.atomic import write_text
from medseg.inference.case_record import CaseRecord
from medseg.inference.mask_page.picture import PICTURES, picture_path
from medseg.inference.mask_page.reading_order import flag_count, reading_order
from medseg.inference.record import PredictionRecord
from medseg.scans.segment import Colour
from medseg.terms import structure_colours

PAGE_NAME = "index.html"
_FILES = Path(__file__).parent / "page_files"
_MOST_FLAGS = 5
_MOST_SHOWN = 8  # structures of a case that are seen without a click
_LETTERS = (("R", "L"), ("R", "L"), ("A", "P"))


def save_mask_page(record: PredictionRecord, folder: Path) -> None:
    """Write `index.html` into a folder of masks, whole or not at all.

    Raises:
        DeliveryError: If it cannot be written.
    """
    pictures = folder / PICTURES
    names = {path.name for path in pictures.iterdir()} if pictures.is_dir() else set()
    shown = {case.case_id for case in record.cases if picture_path(folder, case.case_id).name in names}
    write_text(folder / PAGE_NAME, mask_page(record, pictures=shown))


def mask_page(record: PredictionRecord, *, pictures: set[str]) -> str:
    """The text of the page, which opens from the disk and loads nothing but the pictures beside it.

    Args:
        record: Record of the folder.
        pictures: Ids of the cases that have a picture.
    """
    script, style = ((_FILES / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    colours = structure_colours(record.structures)
    flagged = sum(flag_count(case) > 0 for case in record.cases)
    count = _count(len(record.cases), "mask")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self' file:; "
        f"style-src 'unsafe-inline'; script-src 'sha256-{_sha256(script)}'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{count}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{count}{f', {flagged:,} flagged' if flagged else ''}</h1>\n{_facts(record)}</header>\n<main>\n"
        f"{_failures(record)}{_CONTROLS if record.cases else ''}"
        + "".join(_case(case, colours, case.case_id in pictures) for case in reading_order(record.cases))
        + f'<p id="nothing" class="faint" hidden>No case fits.</p>\n</main>\n<footer>{_FOOTER}</footer>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


_CONTROLS = (
    '<div class="controls"><label>Find <input id="find" type="search" placeholder="part of a case id" '
    'autocomplete="off" spellcheck="false"></label> <label><input id="flagged" type="checkbox"> flagged only</label> '
    '<label>Order <select id="order"><option value="0">most worth a look first</option><option value="1">by case id'
    '</option></select></label> <span id="says" role="status" aria-live="polite"></span></div>\n'
)
_FOOTER = (
    "Made by medseg predict. Pictures show the planes with most of the mask, reduced, with the patient's right or "
    "front on the left; a structure may be outlined larger than it is so that it is not lost. The masks themselves are "
    "in this folder, on the grids of their scans."
)


def _facts(record: PredictionRecord) -> str:
    models = "; ".join(
        f"{model.dataset}{f', weights {model.weights_digest[:12]}' if model.weights_digest else ''}"
        for model in record.models
    )
    parts = [f"Model <b><bdi>{escape(models)}</bdi></b>"] if models else []
    parts += [escape(part) for part in (_moment(record.date), record.device) if part]
    passed = _count(len(record.passed_over), "other file") + " passed over, listed in predictions.json"
    parts += [passed] if record.passed_over else []
    return (
        f'<p class="facts">{"".join(f"<span>{part}</span> " for part in parts)}</p>\n<p class="notice"><strong>Not a '
        "medical device.</strong> Research software: every mask must be checked by a person before it is used.</p>\n"
    )


def _moment(date: str | None) -> str | None:
    """A time in UTC as people write it: `2026-11-28 01:48 UTC`."""
    return re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)\S*\+00:00$", r"\1 \2 UTC", date) if date else None


def _failures(record: PredictionRecord) -> str:
    if not record.failures:
        return ""
    rows = "".join(
        f"<tr><td><bdi>{escape(one.case_id)}</bdi></td><td>{escape(one.stage)}</td><td>{escape(one.reason)}</td></tr>\n"
        for one in record.failures
    )
    return (
        f'<section class="failed"><h2>{_count(len(record.failures), "case")} without a mask</h2><table><thead><tr>'
        f"<th>Case</th><th>Stage</th><th>Reason</th></tr></thead><tbody>\n{rows}</tbody></table></section>\n"
    )


def _case(case: CaseRecord, colours: dict[str, Colour], has_picture: bool) -> str:
    notes = ["seen in training: its quality says nothing about new patients"] if case.in_training else []
    notes += ["changed by a person since; picture and numbers are of the mask as drawn"] if case.is_edited else []
    flags = [flag.reason for flag in case.flags]
    if case.quality and case.quality.is_flagged:
        flags.append(case.quality.reason or "the slice classifier contradicts it")
    listed = _flags(flags) + "".join(f'<li class="note">{escape(text)}</li>' for text in notes)
    mask = escape(quote(case.mask), quote=True)
    return (
        f'<article{" data-flagged" if flags else ""} data-name="{escape(case.case_id.lower(), quote=True)}">'
        f'<h2><bdi>{escape(case.case_id)}</bdi> <a href="{mask}">mask</a></h2>{_picture(case, has_picture)}<div>'
        f"{f'<ul>{listed}</ul>' if listed else ''}{_structures(case, colours)}</div></article>\n"
    )


def _flags(flags: list[str]) -> str:
    first, rest = (
        "".join(f'<li class="flag">{escape(text)}</li>' for text in part)
        for part in (flags[:_MOST_FLAGS], flags[_MOST_FLAGS:])
    )
    more = _count(len(flags) - _MOST_FLAGS, "more flag")
    return first + (f"<li><details><summary>{more}</summary><ul>{rest}</ul></details></li>" if rest else "")


def _picture(case: CaseRecord, has_picture: bool) -> str:
    if not has_picture:
        return '<p class="faint">No picture.</p>'
    name = escape(f"{PICTURES}/{quote(case.case_id, safe='')}.png", quote=True)
    image = f'<img src="{name}" loading="lazy" decoding="async" alt="Planes of {escape(case.case_id, quote=True)}">'
    if _is_picture(case):
        return f"<figure>{image}</figure>"
    letters = "".join(f"<i>{left}</i><i>{right}</i>" for left, right in _LETTERS)
    return f'<figure class="planes">{image}{letters}</figure>'


def _structures(case: CaseRecord, colours: dict[str, Colour]) -> str:
    found = {name: volume for name, volume in case.volume_ml.items() if volume > 0}
    names = sorted(found, key=lambda name: -found[name]) if len(found) > _MOST_SHOWN else list(found)
    shown = _table(names[:_MOST_SHOWN], case, colours)
    if len(names) > _MOST_SHOWN:
        rest = _table(names[_MOST_SHOWN:], case, colours)
        more = _count(len(names) - _MOST_SHOWN, "smaller structure")
        shown += f"<details><summary>{more}</summary>{rest}</details>"
    missing = [name for name in case.volume_ml if name not in found]
    text = ", ".join(escape(name) for name in missing)
    return shown + (f'<p class="faint">not found: {text}</p>' if missing else "")


def _table(names: list[str], case: CaseRecord, colours: dict[str, Colour]) -> str:
    rows = []
    for name in names:
        red, green, blue = colours.get(name, (255, 255, 255))
        sure = (case.confidence or {}).get(name)
        told = f"{sure:.2f}" if sure is not None else ""
        rows.append(
            f'<tr><td><i style="background:rgb({red},{green},{blue})"></i><bdi>{escape(name)}</bdi></td>'
            f"<td>{_size(case.volume_ml[name], case)}</td><td>{told}</td></tr>"
        )
    head = f"<tr><th>Structure</th><th>{'Area' if _is_picture(case) else 'Volume'}</th><th>Confidence</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>" if rows else ""


def _is_picture(case: CaseRecord) -> bool:
    return case.mask.endswith(".png")


def _size(volume_ml: float, case: CaseRecord) -> str:
    """Millilitres; pixels of a picture, each of which counts as 1 mm to a side and deep."""
    if _is_picture(case):
        return f"{round(volume_ml * 1000):,} pixels"
    return f"{volume_ml:,.0f} ml" if volume_ml >= 1000 else f"{volume_ml:.4g} ml"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
