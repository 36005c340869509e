"""A lens as text, as JSON and as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medseg.atomic import write_json
from medseg.delivery.classification import GradientFlow, save_gradient_flow
from medseg.delivery.lens import FieldBox, save_field_picture
from medseg.geometry import significant
from medseg.networks.classification import ClassifierConfig
from medseg.networks.lens import Stage
from medseg.runs.lens.measure import Lens, times


def lens_lines(lens: Lens) -> list[str]:
    """A table of the stages and what follows from it."""
    lines = ["  ".join(row).rstrip() for row in _table(lens)]
    subject = lens.subject
    lines.append(
        f"{subject.name}: {_amount(lens.parameters)} parameters, {_amount(lens.multiply_adds)} multiply-adds for a "
        f"patch of {_extent(subject.patch, subject.spacing_mm)}"
    )
    lines.append(_theory_line(lens))
    size = _extent([round(each, 1) for each in lens.effective.size], subject.spacing_mm)
    cut = ", at least: the field reaches beyond the image" if any(lens.effective.is_cut) else ""
    lines.append(f"effective field before training: {size} hold 95.45 % of the gradient ({lens.images} images){cut}")
    names = list(lens.flow)
    if names:
        lines.append(
            f"gradient norm before training: {lens.flow[names[0]]:.3g} at the first convolution {names[0]}, "
            f"{lens.flow[names[-1]]:.3g} at the last {names[-1]}"
        )
    if lens.fields and lens.fields.mixers:
        lines.append(
            f"left out of the fields: {len(lens.fields.mixers)} layers mix the whole patch through a mean "
            "(instance or group norm, squeeze and excitation)"
        )
    for note in lens.notes:
        lines.append(f"cut down: {note}")
    return lines


def _theory_line(lens: Lens) -> str:
    """The theoretical field, or why there is none."""
    if lens.fields is None:
        return f"theoretical field: none can be derived ({lens.obstacle})"
    where = "the last map" if isinstance(lens.subject.config, ClassifierConfig) else "the output"
    verdict = "covers the patch" if all(lens.covers) else f"is smaller than the patch along {_axes(lens.covers)}"
    return f"theoretical field of {where}: {_extent(lens.fields.output.size, lens.subject.spacing_mm)}; it {verdict}"


def save_lens(lens: Lens, folder: Path) -> None:
    """Write lens.json, receptive_field.png and gradient_flow.png."""
    folder.mkdir(parents=True, exist_ok=True)
    subject = lens.subject
    write_json(folder / "lens.json", _content(lens))
    boxes = [
        FieldBox(stage.name, stage.field.size) for stage in lens.stages if stage.field and "decoder" not in stage.name
    ]
    if lens.fields and not isinstance(subject.config, ClassifierConfig):
        boxes.append(FieldBox("output", lens.fields.output.size))
    title = f"{subject.name} for {subject.dataset}, before training"
    save_field_picture(
        boxes,
        lens.effective.map,
        folder / "receptive_field.png",
        effective_size=lens.effective.size,
        centre=lens.centre,
        patch=subject.patch,
        spacing_mm=subject.spacing_mm,
        title=title,
    )
    flow = GradientFlow("before training", subject.name, np.array(list(lens.flow.values())))
    save_gradient_flow([flow], folder / "gradient_flow.png", title=f"{title}; shortcuts left out")


def _table(lens: Lens) -> list[list[str]]:
    """Cells of equal width, the heading first."""
    spacing = lens.subject.spacing_mm
    heading = ["stage", "channels", "voxels"]
    heading += ["spacing mm", "field voxels", "field mm"] if spacing else ["field voxels"]
    rows = [[*heading, "parameters", "multiply-adds"]]
    for stage in lens.stages:
        cells = [stage.name, str(stage.channels), times(stage.shape) or "-"]
        if spacing:
            cells.append(times(_stage_spacing(stage, spacing)) if stage.field else "-")
        cells.append(times(stage.field.size) if stage.field else "-")
        if spacing:
            cells.append(times([significant(mm, 3) for mm in stage.field.size_mm(spacing)]) if stage.field else "-")
        rows.append([*cells, _amount(stage.parameters), _amount(stage.multiply_adds)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [[row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))] for row in rows]


def _stage_spacing(stage: Stage, spacing_mm: Sequence[float]) -> list[float]:
    jumps = stage.field.jump if stage.field else ()
    return [float(jump) * mm for jump, mm in zip(jumps, spacing_mm, strict=True)]


def _content(lens: Lens) -> dict[str, Any]:
    """What lens.json holds."""
    subject, spacing = lens.subject, lens.subject.spacing_mm
    output = lens.fields.output if lens.fields else None
    ones = (float("nan"),) * len(subject.patch)
    return {
        "dataset": subject.dataset,
        "network": subject.name,
        "patch": subject.patch,
        "spacing_mm": spacing,
        "parameters": lens.parameters,
        "multiply_adds": lens.multiply_adds,
        "stages": [
            {
                "name": stage.name,
                "channels": stage.channels,
                "shape": stage.shape,
                "spacing_mm": _stage_spacing(stage, spacing) if stage.field and spacing else None,
                "field": stage.field.size if stage.field else None,
                "field_mm": stage.field.size_mm(spacing) if stage.field and spacing else None,
                "parameters": stage.parameters,
                "multiply_adds": stage.multiply_adds,
            }
            for stage in lens.stages
        ],
        "field": output.size if output else None,
        "field_mm": output.size_mm(spacing) if output and spacing else None,
        "covers_patch": lens.covers,
        "effective_field": lens.effective.size,
        "effective_field_mm": lens.effective.size_mm(spacing or ones),
        "effective_field_is_cut": lens.effective.is_cut,
        "effective_field_images": lens.images,
        "layers": [
            {
                "name": row.name,
                "kind": row.kind,
                "kernel": row.kernel,
                "stride": row.stride,
                "dilation": row.dilation,
                "jump": [float(jump) for jump in row.field.jump],
                "field": row.field.size,
            }
            for row in (lens.fields.layers if lens.fields else ())
        ],
        "gradient_norms": lens.flow,
        "cut_down": lens.notes,
    }


def _extent(size: Sequence[float], spacing_mm: Sequence[float] | None) -> str:
    """Voxels, and millimetres where they are known."""
    text = f"{times(size)} voxels"
    if spacing_mm is None:
        return text
    lengths = (significant(each * mm, 4) for each, mm in zip(size, spacing_mm, strict=True))
    return f"{text} ({times(list(lengths))} mm)"


def _axes(covers: Sequence[bool]) -> str:
    return " and ".join(name for name, is_covered in zip("ijk", covers, strict=False) if not is_covered)


def _amount(number: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}" if number < 999.5 * size else f"{number / size:.0f} {unit}"
    return str(int(number))
