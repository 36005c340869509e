"""What a run and its results do not show."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.delivery.report import Bullets, Section
from medseg.inference.segmentation import ModelCard
from medseg.planning import Plan, low_ceilings
from medseg.runs.report.classification import picture_limits
from medseg.runs.report.data import patients_of
from medseg.runs.report.plain import count, some_of
from medseg.runs.report.results import Result
from medseg.runs.report.segmentation import grid_limits
from medseg.runs.report.source import ReportSource
from medseg.runs.report.training import unfinished

_FEW = 20


def limits_of(source: ReportSource, validation: Result, evaluations: Sequence[Result]) -> list[str]:
    """A sentence per limit that the folders bear out.

    Args:
        source: The run.
        validation: Its last validation.
        evaluations: The evaluations that were given.
    """
    results = (validation, *evaluations)
    return [
        "Research software, not a medical device: a person must check every result.",
        *unfinished(source),
        *_cohort(source),
        *_folds(source),
        *(limit for result in results for limit in (*result.limits, *result.warnings)),
        *_tests(evaluations),
        *_grid(source),
        f"Only {some_of(source.structures)} can be found; everything else is background to the model.",
    ]


def limits_section(limits: Sequence[str]) -> Section:
    """The limits as a part of the report."""
    return Section("Limits", [Bullets(limits)])


def _cohort(source: ReportSource) -> list[str]:
    cases = f"The model was trained on {count(len(source.training), 'case')}"
    if source.cases is None:
        few = ", few for a model that others use" if len(source.training) < _FEW else ""
        return [f"{cases}{few}; of how many patients, sites and scanners, the run folder does not say."]
    manifest, training = source.cases.manifest, source.training_cases
    few = ", few for a model that others use" if len({case.patient_id for case in training}) < _FEW else ""
    found = [f"{cases} of {patients_of(training, manifest)}{few}."]
    for by in ("site", "scanner"):
        groups = {getattr(case, by) for case in training} - {None}
        if len(groups) == 1:
            found.append(f"All training cases with a stated {by} are of one {by}.")
    return found


def _folds(source: ReportSource) -> list[str]:
    if source.record is None:
        return ["The fold of the run is not known, because run.json cannot be read."]
    if source.record.fold == "all":
        return ["Every case was trained on: the run has no validation of its own."]
    fold = source.record.fold
    return [
        f"The validation is of one division of the cases, fold {fold}; from fold to fold the numbers may differ.",
    ]


def _tests(evaluations: Sequence[Result]) -> list[str]:
    if not evaluations:
        return ["No evaluation was given: nothing is known of cases outside of the validation."]
    own = [result for result in evaluations if result.is_of_run is not False]
    if not own:
        return ["No evaluation of this model was given: nothing is known of cases outside of the validation."]
    if any(result.is_elsewhere for result in own):
        return []
    if any(result.is_elsewhere is None for result in own):
        return ["Whether an evaluation is of another dataset is not stated; an external test is not shown."]
    return ["No evaluation is of another dataset: an external test is missing."]


def _grid(source: ReportSource) -> list[str]:
    if not isinstance(source.card, ModelCard):
        return [picture_limits(source.card)]
    low = low_ceilings(source.plan) if isinstance(source.plan, Plan) else None
    ceiling = [f"{low[0].upper()}{low[1:]}."] if low else []
    return [*ceiling, grid_limits(source, source.card)]
