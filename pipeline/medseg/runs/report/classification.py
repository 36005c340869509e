"""Results of a classification run: classes with intervals, on slices and on studies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medseg.delivery.report import Block, Facts, Row, Section, Table, Text, Value
from medseg.errors import EvaluationError
from medseg.inference.classification.card import ClassifierCard
from medseg.runs.report.cases import failed_cases, failed_limits
from medseg.runs.report.pictures import gallery
from medseg.runs.report.plain import count
from medseg.runs.report.results import Result, damaged, missing_result, number, warned
from medseg.runs.report.source import ReportSource, read_json

SUMMARY_NAME = "classification.json"
_TITLES = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "sensitivity": "Sensitivity",
    "brier": "Brier score",
    "calibration_error": "Calibration error",
}
_CHOICES = {
    "accuracy": "Accuracy",
    "top5_accuracy": "Accuracy of the first five",
    "balanced_accuracy": "Balanced accuracy",
}


def validation_result(source: ReportSource, *, with_pictures: bool) -> Result:
    """The last validation of a classifier's training.

    Args:
        source: The run.
        with_pictures: Whether its pictures are shown.
    """
    title = "Last validation"
    if source.validation == ():
        return missing_result(title, "There are no validation cases: the run was trained on every case.")
    folder = source.folder.validation
    content, problem = read_json(folder / SUMMARY_NAME)
    if content is None:
        return missing_result(title, f"The last validation cannot be shown: {problem}.")
    try:
        tables = list(_levels(content))
        blocks: list[Block] = [
            Facts(_facts(content)),
            *_calibration(source),
            *tables,
            *failed_cases(content["failures"]),
        ]
        headline = _headline(content, "validation case")
    except (KeyError, TypeError, ValueError, AttributeError):
        return missing_result(title, f"The last validation cannot be shown: {SUMMARY_NAME} is damaged.")
    blocks += _gallery(folder / "pictures") if with_pictures else []
    limit = "Temperature and thresholds were fitted on the validation cases, which flatters their calibration."
    return Result(Section(title, blocks), headline, tables, limits=(limit,))


def evaluation_result(folder: Path, source: ReportSource) -> Result:
    """An evaluation of a classifier.

    Args:
        folder: Folder that `classify evaluate` wrote.
        source: The run, to which the evaluation is held.

    Raises:
        EvaluationError: If its tables are missing or damaged.
    """
    if not (folder / SUMMARY_NAME).is_file():
        fact = f"evaluation {folder.name}: must hold {SUMMARY_NAME}, because the run is a classifier's, found none"
        raise EvaluationError(fact, remedy="give the folder that classify evaluate wrote")
    try:
        content = json.loads((folder / SUMMARY_NAME).read_text(encoding="utf-8"))
        tables = list(_levels(content))
        warnings = _warnings(content, source)
        is_other = not _has_own_classes(content, source)
        blocks: list[Block] = [
            Facts(_facts(content)),
            *warned(warnings),
            Text(f"{SUMMARY_NAME} does not say which classifier and dataset it is of.", "missing"),
            *tables,
            *failed_cases(content["failures"]),
            *_gallery(folder / "pictures"),
        ]
        headline = _headline(content, "case")
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(folder, f"{type(error).__name__} {error}") from error
    name = folder.resolve().name
    return Result(
        Section(f"Evaluation: {name}" + (" (of another model)" if is_other else ""), blocks),
        headline,
        tables,
        warnings=warnings,
        limits=failed_limits(content["failures"], name),
        is_of_training_data=bool(content.get("trained_on")),
        is_elsewhere=None,
        is_of_run=False if is_other else None,
    )


def _facts(content: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Cases": str(content["cases"]),
        "Patients": str(content["patients"]),
        "Slices": f"{content['slice']['rows']:,}",
        "Classes": "may occur together" if content["kind"] == "multilabel" else "one of them on each slice",
    }


def _levels(content: Mapping[str, Any]) -> Iterator[Table]:
    """A table for slices and one for studies."""
    for level, title in (("slice", "Slices"), ("study", "Studies")):
        found = content[level]
        rows = [_class_row(entry) for entry in found["classes"]]
        if len(rows) > 1:
            rows.append(Row(("mean over classes", *(_measure(found["means"][key]) for key in _TITLES), "")))
        note = (
            f"Sensitivity at a specificity of {content['specificity']:g}, whose threshold is chosen on these data. "
            "Below each number its 95 % interval over patients, where there are enough of them for one."
        )
        columns = ("Class", *_TITLES.values(), "Positive rows")
        yield Table(title, columns, rows, note=note)
        if found.get("choice") is not None:
            shares = [(_CHOICES[key], found["choice"].get(key)) for key in _CHOICES]
            choice = [Row((name, _measure(value))) for name, value in shares if value is not None]
            yield Table(f"{title}: the most probable class", ("Measure", "Share"), choice)


def _class_row(entry: Mapping[str, Any]) -> Row:
    known = entry["positives"] + entry["negatives"]
    unknown = f"{entry['unknown']} unknown" if entry["unknown"] else ""
    beside = ", ".join(part for part in (entry["note"], unknown) if part)
    measures = [_measure(entry["measures"][key]) for key in _TITLES]
    return Row((entry["name"], *measures, Value(f"{entry['positives']} of {known}", beside)))


def _measure(value: Mapping[str, Any]) -> str | Value:
    if value["value"] is None:
        return "none"
    low, high = number(value["low"]), number(value["high"])
    return Value(f"{value['value']:.4f}", f"{low:.4f} to {high:.4f}" if low == low else "")


def _headline(content: Mapping[str, Any], what: str) -> str:
    mean = number(content["slice"]["means"]["auroc"]["value"])
    cases = count(content["cases"], what)
    return f"mean AUROC {mean:.4f} over classes on the slices of {cases}" if mean == mean else ""


def _calibration(source: ReportSource) -> Iterator[Block]:
    if isinstance(source.card, ClassifierCard):
        found = source.card.calibration
        facts = {"Temperature": f"{found.temperature:.3g}", "Fitted on": count(found.cases, "validation case")}
        yield Facts(facts if found.cases else {"Calibration": "none: it was not fitted on any case"})


def _warnings(content: Mapping[str, Any], source: ReportSource) -> list[str]:
    said = []
    if seen := content.get("trained_on"):
        what = "case is of a patient" if len(seen) == 1 else "cases are of patients"
        said.append(f"{len(seen)} of the evaluated {what} that the model was trained on; their numbers flatter it.")
    if fitted := content.get("calibrated_on"):
        said.append(f"Temperature and thresholds were fitted on {len(fitted)} of the evaluated cases.")
    if not _has_own_classes(content, source):
        said.append("The evaluation is of another model: its classes are not this run's.")
    return said


def _has_own_classes(content: Mapping[str, Any], source: ReportSource) -> bool:
    own = source.card.targets.classes if isinstance(source.card, ClassifierCard) else ()
    return tuple(content["classes"]) == tuple(own)


def _gallery(folder: Path) -> Iterator[Block]:
    paths = sorted(folder.glob("*.png"), key=lambda path: (path.name.startswith("grad_cam"), path.name))
    yield from gallery("Pictures", paths, _caption, none="There are no pictures.")


def _caption(path: Path) -> str:
    """`slice_roc` as `Slice roc`, and `grad_cam_0_Left_lung` as `Grad-CAM 0: Left lung`: a class keeps its case."""
    text = path.stem
    if text.startswith("grad_cam_"):
        number, _, name = text.removeprefix("grad_cam_").partition("_")
        text = f"Grad-CAM {number}: {name}"
    text = text.replace("_", " ")
    return text[:1].upper() + text[1:]


def picture_limits(card: ClassifierCard) -> str:
    """What the classifier's pictures were made for."""
    size = " × ".join(map(str, card.slices.size))
    return (
        f"The classifier takes {card.slices.plane} slices in pictures of {size} pixels of {card.slices.pixel_mm:g} mm, "
        f"learned from {', '.join(card.channels)}. Other planes, modalities and pixel sizes were not trained on."
    )
