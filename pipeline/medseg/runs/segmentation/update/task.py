"""An update as the segmentation job takes part in it: its cases, its earlier validation and what is said of both."""

from __future__ import annotations

from dataclasses import replace

from medseg.errors import ConfigError
from medseg.planning import Plan
from medseg.runs.job import Finished, Prepared
from medseg.runs.progress import Progress
from medseg.runs.run_folder import RunFolder
from medseg.runs.segmentation.update.before import measure_before, read_before
from medseg.runs.segmentation.update.begin import begin_update
from medseg.runs.segmentation.update.forgetting import UpdateChange, measure_change
from medseg.runs.segmentation.update.record import UpdateRecord, load_update, save_update
from medseg.runs.settings import TrainingSettings
from medseg.runs.training_cases import TrainingCases
from medseg.training import parse_duration_s
from medseg.training.segmentation import SegmentationInputs
from medseg.training.segmentation.task import SegmentationTask


def as_update(
    inputs: SegmentationInputs, cases: TrainingCases, plan: Plan, settings: TrainingSettings, *, progress: Progress
) -> SegmentationInputs:
    """The inputs with old cases beside new ones, once the weights that the update begins with are measured.

    Inputs of a training that updates no run are given back as they are.

    Args:
        inputs: Inputs of the training.
        cases: Cases of the fold.
        plan: Plan of the training.
        settings: Choices of the training.
        progress: Follows the work.

    Raises:
        ConfigError: If the plan is that of an update, and the training is none.
        ManifestError: If there is nothing new to learn, or validation cases of the run would be trained on.
        CheckpointError: If a record is damaged.
    """
    record = begin_update(cases, plan, settings, training=inputs.training, validation=inputs.validation)
    if record is None:
        if plan.training.fresh_share is not None:
            raise ConfigError(
                f"training.fresh_share is for a training that updates a run, got {plan.training.fresh_share:g} without "
                "one",
                remedy="leave it out, or name the run to update",
            )
        return inputs
    folder = RunFolder(settings.out)
    budget_s = parse_duration_s(settings.budget) if settings.budget else None
    measured = measure_before(inputs, folder.before, budget_s=budget_s, progress=progress)
    save_update(record, folder.update)
    return replace(measured, replay=record.replay)


def with_update(prepared: Prepared[SegmentationTask], folder: RunFolder) -> Prepared[SegmentationTask]:
    """What is prepared, with what is to be said of the cases of an update."""
    record = load_update(folder.update)
    if record is None:
        return prepared
    counts, measured = record.counts, len(prepared.task.validation_cases)
    validation = record.validation
    cases = sum(map(len, (validation.old, validation.fresh)))
    said = []
    if not cases:
        said.append("there are no validation cases: what the update forgets is not measured")
    elif measured < cases:
        said.append(f"the validation is of {measured} of {cases} cases, which the budget pays for before and after")
    return replace(
        prepared,
        warnings=(*prepared.warnings, *record.warnings, *said),
        notes=(*prepared.notes, *record.notes),
        parameters={**prepared.parameters, "update": {"fresh_share": round(record.fresh_share, 4), **counts}},
        tags={**prepared.tags, **{f"medseg.update_{name}": str(count) for name, count in counts.items()}},
    )


def change_of(done: Finished[Plan, SegmentationTask]) -> UpdateChange | None:
    """What an update forgot and gained; None for another training, and for one without a validation."""
    record: UpdateRecord | None = load_update(done.folder.update)
    if record is None or done.outcome.last is None:
        return None
    begun = done.task.inputs.initialisation
    weights = begun.record.earlier.weights_digest[:12] if begun else ""
    drawn = [
        case.case_id
        for case in done.cases.validation
        if weights and case.label_review and any(model.endswith(weights) for model in case.label_review.models)
    ]
    return measure_change(
        record,
        read_before(done.folder.before),
        list(done.outcome.last.rows),
        patients={case.case_id: case.patient_id for case in done.cases.validation},
        seen=begun.record.validation_cases_seen if begun else (),
        drawn=drawn,
    )
