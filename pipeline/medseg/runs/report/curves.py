"""The curves of a run: loss, learning rate and the validations on the way."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.delivery.report import Block, Curve, LineChart, Panel, Section, Text, line_chart
from medseg.inference.segmentation import ModelCard
from medseg.runs.report.source import ReportSource, read_columns

_REPORTED = {"train_loss": "Training loss", "learning_rate": "Learning rate"}


def curves_section(source: ReportSource) -> Section:
    """A drawing per number; what is missing or damaged is said."""
    score = "Mean Dice of the validations" if isinstance(source.card, ModelCard) else "Mean AUROC of the validations"
    charts, missing = _drawn(source, _REPORTED)
    if source.validation == ():
        missing.append("There is no curve of validations, because every case was trained on.")
    else:
        columns, problem = read_columns(source.folder.validation_curve)
        drawn = _chart(columns["step"], columns["score"], score, 2) if columns and "score" in columns else None
        if drawn is not None:
            charts.append(drawn)
        else:
            why = problem or f"{source.folder.validation_curve.name} holds no score"
            missing.append(f"The validations on the way cannot be drawn: {why}.")
    blocks: list[Block] = [Panel(charts)] if charts else []
    return Section("Curves", [*blocks, *(Text(text, "missing") for text in missing)])


def _drawn(source: ReportSource, names: dict[str, str]) -> tuple[list[LineChart], list[str]]:
    columns, problem = read_columns(source.folder.curves)
    if columns is None:
        return [], [f"Loss and learning rate cannot be drawn: {problem}."]
    found, missing = [], []
    for index, (name, title) in enumerate(names.items()):
        drawn = _chart(columns["step"], columns[name], title, index) if name in columns else None
        if drawn is None:
            missing.append(f"{source.folder.curves.name} holds no {name}.")
        else:
            found.append(drawn)
    return found, missing


def _chart(steps: Sequence[float], values: Sequence[float], title: str, index: int) -> LineChart | None:
    curve = Curve(title, tuple(zip(steps, values, strict=True)))
    return line_chart(curve, index=index, may_be_log=title == _REPORTED["train_loss"])
