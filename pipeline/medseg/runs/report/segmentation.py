"""Results of a segmentation run: structures with intervals, subgroups, failures and the worst cases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.delivery.report import Block, Facts, Section, Text
from medseg.evaluation.segmentation import as_text, load_evaluation, read_metrics
from medseg.inference.segmentation import ModelCard
from medseg.runs.report.cases import case_pictures, failed_cases, failed_limits, worst_cases
from medseg.runs.report.plain import count, memory_text
from medseg.runs.report.results import Result, damaged, missing_result, number, warned
from medseg.runs.report.source import ReportSource, read_json
from medseg.runs.report.structures import structure_tables, subgroup_table


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
        facts = _validation_facts(content)
        unmeasured = [str(case_id) for case_id in content.get("not_measured", ())]
        failures = list(failed_cases(content["failures"]))
        headline = _headline(content, "validation cases")
    except (KeyError, TypeError, ValueError, AttributeError):
        return missing_result(title, "The last validation cannot be shown: validation.json is damaged.")
    limits = [f"{count(len(unmeasured), 'validation case')} of the run were not measured."] if unmeasured else []
    blocks: list[Block] = [Facts(facts), *warned(limits), table, folded, *failures]
    try:
        blocks += worst_cases(read_metrics(source.folder.validation.with_suffix(".csv")))
    except (OSError, ValueError, KeyError):
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
        warnings = _warnings(content, source)
        blocks: list[Block] = [
            Facts(_evaluation_facts(content, source)),
            *warned(warnings),
            table,
            folded,
            *_second_reader(content),
            *subgroup_table(content.get("subgroups") or ()),
            *failed_cases(content["failures"]),
            *worst_cases(stored.rows),
            *case_pictures(folder / "overlays"),
        ]
        headline = _headline(content, f"cases of {_dataset_name(content)}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(folder, f"{type(error).__name__} {error}") from error
    return Result(
        Section(f"Evaluation: {stored.name}", blocks),
        headline,
        (table,),
        warnings=warnings,
        limits=failed_limits(content["failures"], stored.name),
        is_of_training_data=bool(content.get("trained_on")),
        is_elsewhere=_dataset_name(content) != source.card.dataset,
    )


def _headline(content: Mapping[str, Any], what: str) -> str:
    mean = number(content["means"].get("dice"))
    if mean != mean:
        return ""
    return f"mean Dice {as_text('dice', mean, 4)} over {len(_labels(content))} structures in {content['cases']} {what}"


def _labels(content: Mapping[str, Any]) -> dict[str, None]:
    return dict.fromkeys(entry["label"] for entry in content["structures"])


def _validation_facts(content: Mapping[str, Any]) -> dict[str, str]:
    best = number(content.get("best_mean_dice_of_any_validation"))
    facts = {
        "Cases measured": str(content["cases"]),
        "Validation cases": str(content.get("validation_cases", "unknown")),
    }
    if best == best:
        cases = content.get("best_mean_dice_is_over_cases")
        facts["Best mean Dice of any validation"] = f"{best:.4f}" + (f", over {count(cases, 'case')}" if cases else "")
    return facts | {
        "Contract": str(content["contract_digest"]),
        "Measured on": str(content["method"]["grid"]) + " grid",
    }


def _second_reader(content: Mapping[str, Any]) -> list[Block]:
    """The labels of a second reader, measured as the masks are; nothing without one."""
    found = content.get("inter_rater")
    return [structure_tables(found, "A second reader, measured likewise")[0]] if found else []


def _evaluation_facts(content: Mapping[str, Any], source: ReportSource) -> dict[str, str]:
    case_ids = set(content["patients"])
    parts = {
        "of the run's validation": len(case_ids & set(source.validation or ())),
        "of its training": len(case_ids & set(source.training)),
    }
    parts["of neither its training nor its validation"] = len(case_ids) - sum(parts.values())
    cost = content.get("cost") or {}
    facts = {
        "Dataset": _dataset_name(content),
        "Cases": ", ".join(f"{size} {what}" for what, size in parts.items() if size) or "none",
        "Patients": str(len(set(content["patients"].values()))),
        "Contract": str(content["contract_digest"]),
    }
    if cost.get("seconds_per_case") is not None:
        facts["Time of a mask"] = f"{cost['seconds_per_case']:.1f} s"
    if cost.get("peak_memory_bytes"):
        facts["Peak memory of a mask"] = memory_text(cost["peak_memory_bytes"])
    return facts


def _dataset_name(content: Mapping[str, Any]) -> str:
    dataset = content.get("dataset") or {}
    return f"{dataset['name']} {dataset['version']}" if {"name", "version"} <= set(dataset) else "an unnamed dataset"


def _warnings(content: Mapping[str, Any], source: ReportSource) -> list[str]:
    """What flatters the numbers, or keeps them from being this model's."""
    said = []
    seen, model = content.get("trained_on") or (), content.get("model")
    if seen:
        what = "case is of a patient" if len(seen) == 1 else "cases are of patients"
        said.append(f"{len(seen)} of the evaluated {what} that the model was trained on; their numbers flatter it.")
    if model is None:
        said.append("The evaluation does not say which model drew the masks.")
    elif not _is_of_run(model, source):
        said.append("The masks were drawn by another model than this run's: its training, plan or dataset differs.")
    return said


def _is_of_run(model: Mapping[str, Any], source: ReportSource) -> bool:
    """Whether the model that drew the masks is the run's, as far as its identity is known."""
    run_id = source.record.mlflow_run_id if source.record else None
    if model.get("run_id") and run_id and model["run_id"] != run_id:
        return False
    return (model["plan_digest"], model["manifest_digest"]) == (source.card.plan_digest, source.card.manifest_digest)


def grid_limits(card: ModelCard) -> str:
    """What the model's grid and intensities were made for."""
    spacing = card.preprocess.spacing_mm
    grid = (
        "on each scan's own grid"
        if spacing is None
        else "on a grid of " + " × ".join(f"{mm:.3g}" for mm in spacing) + " mm"
    )
    return (
        f"The network works {grid}, learned from {', '.join(card.channels)}. Other modalities, and voxels much coarser "
        "or finer than those of the training scans, were not trained on; the run folder does not hold the range of the "
        "training scans' voxel sizes."
    )
