"""How far a training came: its length, its last validation and what it cost."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.delivery.report import Block, Facts, Section, Text
from medseg.inference.model_cost import ModelCost
from medseg.inference.segmentation import ModelCard
from medseg.runs.report.plain import count, seconds_text
from medseg.runs.report.source import ReportSource, read_columns

NOT_ENDED = "The training did not end"
_UNKNOWN = "not known"


def training_section(source: ReportSource) -> Section:
    """What was asked for, what was reached, the step of the last validation, and the cost."""
    blocks: list[Block] = [Text(sentence, "warning") for sentence in unfinished(source)]
    facts = {"Asked for": _asked(source), "Reached": _reached(source), "Last validation on the way": _validated(source)}
    cost = _cost_of(source)
    blocks.append(Facts(facts | (_cost_facts(cost) if cost else {})))
    if cost is None and isinstance(source.card, ModelCard):
        blocks.append(Text("The cost of the training is not known: model.json holds it from its end on.", "missing"))
    return Section("Training", blocks)


def unfinished(source: ReportSource) -> list[str]:
    """A sentence that says that a training did not end, by what its folder lacks; none for one that ended."""
    why = _signs(source)
    if not why:
        return []
    length = f"Reached: {_reached(source)}; asked for: {_asked(source)}"
    return [f"{NOT_ENDED}: {' and '.join(why)}. {length}. Its weights and numbers are those of a stage on the way."]


def _signs(source: ReportSource) -> list[str]:
    """What a training that ended would have left."""
    steps, cost = _last(source, "step"), _cost_of(source)
    found = []
    if isinstance(source.card, ModelCard):
        if cost is None:
            found.append("model.json holds no cost, which is written at the end")
        elif steps is not None and cost.steps < steps:
            found.append(f"model.json is of step {cost.steps:,}, and the curves go on to step {steps:,.0f}")
        tables = source.folder.validation.with_suffix(".json")
    else:
        tables = source.folder.validation / "classification.json"
        asked, epochs = _epochs(source), _last(source, "epoch")
        if asked is not None and epochs is not None and epochs < asked:
            found.append("the curves stop before the last epoch")
    if source.validation != () and not tables.is_file():
        found.append(f"there is no {tables.relative_to(source.folder.path).as_posix()}")
    return found


def _epochs(source: ReportSource) -> int | None:
    """Epochs that were asked for; None with a budget, or where they are not known."""
    record = source.record
    if record is None or record.budget:
        return None
    return record.epochs or (source.plan.training.epochs if source.plan else None)


def _asked(source: ReportSource) -> str:
    """The length as it was asked for."""
    if source.record is None:
        return _UNKNOWN
    epochs = _epochs(source)
    return f"a budget of {source.record.budget}" if source.record.budget else _epoch_text(epochs) or _UNKNOWN


def _epoch_text(epochs: float | None) -> str:
    return "" if epochs is None else count(int(epochs), "epoch")


def _reached(source: ReportSource) -> str:
    """The last line of the curves."""
    steps, seconds, cost = _last(source, "step"), _last(source, "elapsed_seconds"), _cost_of(source)
    if steps is None:
        return count(cost.steps, "step") if cost else "no step that curves.csv holds"
    parts = [count(int(steps), "step"), _epoch_text(_last(source, "epoch"))]
    return ", ".join([part for part in parts if part] + ([seconds_text(seconds)] if seconds is not None else []))


def _validated(source: ReportSource) -> str:
    """The step of the last validation, and how far the training went on after it."""
    columns, problem = read_columns(source.folder.validation_curve)
    if source.validation == ():
        return "none: every case was trained on"
    if columns is None:
        return f"{_UNKNOWN}: {problem}"
    step, last = columns["step"][-1], _last(source, "step")
    went_on = f", {count(int(last - step), 'step')} before the last" if last is not None and last > step else ""
    return f"at step {step:,.0f}{went_on}"


def _cost_of(source: ReportSource) -> ModelCost | None:
    return source.card.cost if isinstance(source.card, ModelCard) else None


def _cost_facts(cost: ModelCost) -> dict[str, str]:
    window = cost.multiply_adds_per_window
    return {
        "Steps": f"{cost.steps:,}",
        "Time of the training": f"{cost.training_s / 60:.1f} min",
        "Device": cost.device,
        "Multiply-adds per window": _UNKNOWN if window is None else f"{window:,}",
        "Parameters": f"{cost.parameters:,}",
    }


def _last(source: ReportSource, name: str) -> float | None:
    """The last value of a column of the curves; None without one."""
    columns, _ = read_columns(source.folder.curves)
    values: Sequence[float] = (columns or {}).get(name, ())
    return values[-1] if values and values[-1] == values[-1] else None
