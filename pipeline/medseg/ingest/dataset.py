"""The dataset that an ingest writes: its manifest, and no files of cases that no longer exist."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medseg.errors import ManifestError, PipelineError
from medseg.ingest.case_build import CaseBuild
from medseg.ingest.case_record import CaseRecord
from medseg.ingest.context import IngestContext
from medseg.ingest.mapping import Mapping
from medseg.ingest.modality import known_modality
from medseg.ingest.outcome import Outcome
from medseg.ingest.suv_channels import named_for_suv
from medseg.manifest.label_scheme import value_name
from medseg.manifest.load import load_manifest
from medseg.manifest.quantity_checks import has_reference
from medseg.manifest.save import save_manifest
from medseg.records import Case, Manifest


def write_manifest(manifest: Manifest | None, context: IngestContext) -> None:
    """Write `dataset.json`; remove it if no case is left."""
    path = context.out / "dataset.json"
    if manifest is None:
        path.unlink(missing_ok=True)
    else:
        save_manifest(manifest, path)


def make_manifest(outcome: Outcome, context: IngestContext) -> Manifest | None:
    """The manifest, with the folds and the test set of the previous one; None if no case is left.

    Args:
        outcome: Outcome of the ingest.
        context: Settings and state of the ingest.

    Raises:
        ManifestError: If the previous one cannot be read.
    """
    cases = [
        _case(build, record, context, is_training=outcome.has_reference(record))
        for build, record in outcome.done
        if build.case_id not in outcome.unlabelled_beside_labelled
    ]
    if not cases:
        return None
    previous = previous_manifest(context.out)
    cases = _carried_over(cases, previous)
    mapping = context.mapping
    return Manifest(
        name=context.dataset_name,
        version=previous.version if previous else "1",
        description="Built by medseg ingest; see ingest.json",
        channels=_channels(outcome, context),
        **_scheme(mapping, outcome),
        ignore=previous.ignore if previous else None,
        fusion=previous.fusion if previous else None,
        **_task(mapping),
        instances=mapping.instances,
        cases=tuple(sorted(cases, key=lambda case: (case.split == "test", case.case_id))),
    )


def _scheme(mapping: Mapping, outcome: Outcome) -> dict[str, Any]:
    """Labels of the manifest; where they are kept as they overlap, a value for each combination, and regions."""
    if not mapping.overlapping:
        return {"labels": {"background": 0, **{label: rule.value for label, rule in mapping.labels.items()}}}
    alone = tuple(held[0] for held in mapping.values.values())
    found = {code for _, record in outcome.done if record.label for code in record.label.combinations}
    values = sorted({*alone, *found})
    regions = {name: tuple(value for value in values if value in held) for name, held in mapping.values.items()}
    labels = {"background": 0} | {value_name(value, regions): value for value in values}
    return {"labels": labels, "regions": regions, "regions_order": alone}


def _task(mapping: Mapping) -> dict[str, Any]:
    """Task and quantities of the manifest; nothing where the reference of a case is its label."""
    if not mapping.quantities:
        return {}
    return {"task": "regression", "quantities": {name: rule.quantity() for name, rule in mapping.quantities.items()}}


def previous_manifest(out: Path) -> Manifest | None:
    """The manifest that an earlier ingest or a split wrote, with what people entered in it; None without a file.

    Args:
        out: Folder of the dataset.

    Raises:
        ManifestError: If there is a file that cannot be read, since an ingest would overwrite what it holds.
    """
    if not (out / "dataset.json").is_file():
        return None
    try:
        return load_manifest(out)[0]
    except PipelineError as error:
        remedy = "repair that entry, or move the file away to ingest without the folds, test cases, sex and age in it"
        raise ManifestError(error.fact, remedy=remedy, case_id=error.case_id) from error


def remove_stale(outcome: Outcome, manifest: Manifest | None, context: IngestContext) -> None:
    """Remove the files of cases that only an earlier run made; labels of raters that the manifest lists stay.

    Images stay where only their label could not be drawn, so that a run with a corrected mapping need not read them
    again.
    """
    out, state = context.out, context.state
    waiting = [
        state.read(build.case_id)
        for build in outcome.builds
        if build.case_id not in outcome.records and not build.refusal
    ]
    used = {path for record in waiting if record for path in record.image.images}
    used |= {path for record in outcome.records.values() for path in record.paths}
    used |= {path for case in (manifest.cases if manifest else ()) for path in case.label_files}
    state.forget({build.case_id for build in outcome.builds})
    for pattern in ("images/*", "labels/*", "quantities/*/*"):
        for path in sorted(out.glob(pattern)):
            if path.relative_to(out).as_posix() not in used:
                path.unlink()


def _case(build: CaseBuild, record: CaseRecord, context: IngestContext, *, is_training: bool) -> Case:
    reference, names, label, held = build.reference, context.names, record.label, record.quantities
    return Case(
        case_id=build.case_id,
        patient_id=build.patient_id,
        images=(*record.image.images, *(label.channels if label else ())),
        label=record.label_path,
        split="training" if is_training else "test",
        site=names.site(reference.institution),
        scanner=context.scrub.clean(reference.scanner) or None,
        study_uid=names.uid(reference.found.first.study_uid) if reference.found else None,
        series_uid=names.uid(reference.series_uid),
        study_date=names.shifted_date(reference.patient, reference.study_date) if context.options.shift_dates else None,
        sha256={
            **record.image.sha256,
            **({label.label: label.sha256} if label and label.label else {}),
            **(label.channel_sha256 if label else {}),
            **(held.sha256 if held else {}),
        },
        modality="+".join(dict.fromkeys(known for one in build.images if (known := known_modality(one)))) or None,
        label_ml=(label.label_ml or None) if label else None,
        quantities=held.files if held else None,
    )


def _channels(outcome: Outcome, context: IngestContext) -> tuple[str, ...]:
    """Names of the channels; those of PET say whether it is SUV."""
    if context.mapping.channels:
        return tuple(
            named_for_suv(rule.name) if context.options.suv and _is_pet(outcome, number) else rule.name
            for number, rule in enumerate(context.mapping.channels)
        )
    first, record = outcome.done[0]
    count = record.image.channels
    if count == 3 and first.reference.is_picture:
        return ("red", "green", "blue")
    modalities = {build.reference.modality for build, _ in outcome.done}
    name = (next(iter(modalities)) if len(modalities) == 1 else "") or "image"
    if "PT" in modalities and context.options.suv:
        name = named_for_suv(name)
    return (name,) if count == 1 else tuple(f"channel {number}" for number in range(count))


def _is_pet(outcome: Outcome, number: int) -> bool:
    return any(image.modality == "PT" for build, _ in outcome.done for image in build.images[number : number + 1])


def _carried_over(cases: Sequence[Case], previous: Manifest | None) -> list[Case]:
    """The cases with what was decided or added since the ingest before.

    That is the fold of their patient, or the test set if the patient's labelled cases were in it, and the sex, age,
    raters and annotated labels that somebody has entered.
    """
    if previous is None:
        return list(cases)
    kept = ("sex", "age_years", "raters", "annotated_labels")
    entered = {case.case_id: {name: getattr(case, name) for name in kept} for case in previous.cases}
    fold_of = {case.patient_id: case.fold for case in previous.select("training") if case.fold is not None}
    held_out = {case.patient_id for case in previous.select("test") if has_reference(case, previous)}
    placed = []
    for case in cases:
        case = case.model_copy(update=entered.get(case.case_id, {}))
        if case.patient_id in held_out:
            case = case.model_copy(update={"split": "test"})
        elif case.split == "training" or case.has_reference:
            case = case.model_copy(update={"split": "training", "fold": fold_of.get(case.patient_id)})
        placed.append(case)
    return placed
