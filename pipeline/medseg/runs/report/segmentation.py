"""Results of a segmentation run: structures with intervals, subgroups, failures and the worst cases."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.delivery.report import Block, Facts, Section, Text
from medseg.evaluation.segmentation import as_text, load_evaluation, read_metrics
from medseg.inference.segmentation import ModelCard
from medseg.runs.report.cases import case_pictures, failed_cases, failed_limits, worst_cases
from medseg.runs.report.model_match import ModelMatch, match_model
from medseg.runs.report.plain import count, memory_text
from medseg.runs.report.raters import raters
from medseg.runs.report.results import Result, damaged, missing_result, number, warned
from medseg.runs.report.second_reader import second_reader
from medseg.runs.report.source import ReportSource, read_json
from medseg.runs.report.structures import structure_tables, subgroup_table
from medseg.runs.report.training import unfinished


def validation_result(source: ReportSource, *, with_pictures: bool) -> Result:
    """The last validation of a run.

    Args:
        source: The run.
        with_pictures: Whether its pictures are shown.
    """
    title = "Last validation"
    if source.validation == ():
        return missing_result(title, "There are no validation cases: the run was trained on every case.")
    content, problem = read_json(source.folder.validation.with_suffix(".json"))
    if content is None:
        return missing_result(title, f"The last validation cannot be shown: {problem}.")
    try:
        table, folded = structure_tables(content)
        facts = _validation_facts(content, source)
        unmeasured = [str(case_id) for case_id in content.get("not_measured", ())]
        failures = list(failed_cases(content["failures"]))
        headline = _headline(content, "validation case")
    except (KeyError, TypeError, ValueError, AttributeError):
        return missing_result(title, "The last validation cannot be shown: validation.json is damaged.")
    limits = [f"{count(len(unmeasured), 'validation case')} of the run were not measured."] if unmeasured else []
    if unfinished(source):
        limits.append(
            "The last validation may be of an earlier end of the training, not of the weights that the run holds."
        )
    blocks: list[Block] = [Facts(facts), *warned(limits), table, folded, *failures]
    try:
        blocks += worst_cases(read_metrics(source.folder.validation.with_suffix(".csv")))
    except (OSError, ValueError, KeyError, csv.Error):
        blocks.append(Text("The single cases cannot be shown: validation.csv is missing or damaged.", "missing"))
    blocks += case_pictures(source.folder.overlays) if with_pictures else []
    return Result(Section(title, blocks), headline, (table,), limits=limits)


def evaluation_result(folder: Path, source: ReportSource) -> Result:
    """An evaluation of masks.

    Args:
        folder: Folder that `evaluate` wrote.
        source: The run, to which the evaluation is held.

    Raises:
        EvaluationError: If its tables are missing or damaged.
    """
    stored = load_evaluation(folder)
    content = stored.notes
    try:
        table, folded = structure_tables(content)
        match = match_model(content, source)
        warnings = _warnings(content, match)
        blocks: list[Block] = [
            Facts(_evaluation_facts(content, source, match)),
            *warned(warnings),
            table,
            folded,
            *second_reader(content),
            *raters(content),
            *subgroup_table(content.get("subgroups") or ()),
            *failed_cases(content["failures"]),
            *worst_cases(stored.rows),
            *case_pictures(folder / "overlays"),
        ]
        headline = _headline(content, "case", f" of {_dataset_name(content)}")
        limits = [*_best_limits(content, source, match, stored.name), *failed_limits(content["failures"], stored.name)]
        is_own = source.is_own_dataset(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(folder, f"{type(error).__name__} {error}") from error
    return Result(
        Section(_title(stored.name, match), blocks),
        headline,
        (table,),
        warnings=warnings,
        limits=limits,
        is_of_training_data=bool(content.get("trained_on")),
        is_elsewhere=None if is_own is None else not is_own,
        is_of_run=match.is_of_run,
    )


def _headline(content: Mapping[str, Any], what: str, where: str = "") -> str:
    mean = number(content["means"].get("dice"))
    if mean != mean:
        return ""
    over, cases = count(len(_labels(content)), "structure"), count(content["cases"], what)
    return f"mean Dice {as_text('dice', mean, 4)} over {over} in {cases}{where}"


def _labels(content: Mapping[str, Any]) -> dict[str, None]:
    return dict.fromkeys(entry["label"] for entry in content["structures"])


def _validation_facts(content: Mapping[str, Any], source: ReportSource) -> dict[str, str]:
    grid = str(content["method"]["grid"])
    best = number(content.get("best_mean_dice_of_any_validation"))
    facts = {
        "Weights": "last",
        "Cases measured": str(content["cases"]),
        "Validation cases": str(content.get("validation_cases", "unknown")),
    }
    if best == best:
        cases = content.get("best_mean_dice_is_over_cases")
        facts["Best mean Dice of any validation"] = f"{best:.4f}" + (f", over {count(cases, 'case')}" if cases else "")
    return facts | {
        "Contract": str(content["contract_digest"]),
        "Measured on": (grid.replace("scan", "picture") if source.is_flat else grid) + " grid",
    }


def _evaluation_facts(content: Mapping[str, Any], source: ReportSource, match: ModelMatch) -> dict[str, str]:
    cost = content.get("cost") or {}
    facts = {
        "Dataset": _dataset_name(content) + _version_note(content, source),
        "Weights": _weights_text(content, match),
        "Cases": _origin(content, source),
        "Patients": str(len(set(content["patients"].values()))),
        "Contract": str(content["contract_digest"]),
    }
    if cost.get("seconds_per_case") is not None:
        facts["Time of a mask"] = f"{cost['seconds_per_case']:.1f} s"
    if cost.get("peak_memory_bytes"):
        facts["Peak memory of a mask"] = memory_text(cost["peak_memory_bytes"])
    return facts


def _origin(content: Mapping[str, Any], source: ReportSource) -> str:
    """How many cases are of the run's training and validation; ids of another dataset's cases tell nothing of that."""
    case_ids, is_own = set(content["patients"]), source.is_own_dataset(content)
    if not is_own:
        where = "another dataset" if is_own is False else "a dataset that is not stated"
        return f"{len(case_ids)} of {where}"
    validation = source.validation
    parts = {
        "of the run's validation": len(case_ids & set(validation or ())),
        "of its training": len(case_ids & set(source.training)),
    }
    rest = "of neither its training nor its validation"
    if validation is None:
        rest = "not of its training; whether of its validation, is not known without run.json"
    parts[rest] = len(case_ids) - sum(parts.values())
    return ", ".join(f"{size} {what}" for what, size in parts.items() if size) or "none"


def _dataset_name(content: Mapping[str, Any]) -> str:
    dataset = content.get("dataset") or {}
    return f"{dataset['name']} {dataset['version']}" if {"name", "version"} <= set(dataset) else "an unnamed dataset"


def _version_note(content: Mapping[str, Any], source: ReportSource) -> str:
    """A note where the dataset is the run's by its name, in another version."""
    is_other = source.is_own_dataset(content) and _dataset_name(content) != source.card.dataset
    return f", another version of the run's {source.card.dataset}" if is_other else ""


def _weights_text(content: Mapping[str, Any], match: ModelMatch) -> str:
    if content.get("folds"):
        return "of the networks of all folds"
    if match.is_of_run is False:
        return "of another model"
    return match.weights or "not stated"


def _warnings(content: Mapping[str, Any], match: ModelMatch) -> list[str]:
    """What flatters the numbers, or keeps them from being this model's."""
    said = []
    seen, folds = content.get("trained_on") or (), content.get("folds")
    if match.is_of_run is False:
        said.append(f"The evaluation is of another model: the masks are not those of this run, {match.why}.")
    elif folds:
        numbers = ", ".join(map(str, folds))
        said.append(f"The evaluation is of the networks of folds {numbers}, each on cases it has not seen, not of one.")
    elif match.is_of_run is None:
        said.append("The evaluation does not say which model drew the masks.")
    if seen:
        what = "case is of a patient" if len(seen) == 1 else "cases are of patients"
        said.append(f"{len(seen)} of the evaluated {what} that the model was trained on; their numbers flatter it.")
    return said


def _title(name: str, match: ModelMatch) -> str:
    return f"Evaluation: {name}" + (" (of another model)" if match.is_of_run is False else "")


def _best_limits(content: Mapping[str, Any], source: ReportSource, match: ModelMatch, name: str) -> list[str]:
    """A sentence where the best weights are measured on the cases by which they were chosen."""
    validation = source.validation
    chosen_by = set(content["patients"]) & set(validation) if validation is not None else set(content["patients"])
    if match.weights != "best" or not chosen_by or not source.is_own_dataset(content):
        return []
    by = "by the validation cases, which may be among" if validation is None else "by validation cases that are among"
    return [f"The best weights, which the evaluation {name} is of, were chosen {by} its cases."]


def grid_limits(source: ReportSource, card: ModelCard) -> str:
    """What the model's grid and intensities were made for."""
    spacing = card.preprocess.spacing_mm
    scan, voxel = ("picture", "pixel") if source.is_flat else ("scan", "voxel")
    grid = (
        f"on each {scan}'s own grid"
        if spacing is None
        else "on a grid of " + " × ".join(f"{mm:.3g}" for mm in spacing) + " mm"
    )
    return (
        f"The network works {grid}, learned from {', '.join(card.channels)}. Other modalities, and {voxel}s much "
        f"coarser or finer than those of the training {scan}s, were not trained on; the run folder does not hold the "
        f"range of the training {scan}s' {voxel} sizes."
    )
