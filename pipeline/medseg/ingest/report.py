"""What an ingest did, and the dataset's manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.atomic import write_json
from medseg.ingest.carry_over import carry_over, previous_manifest
from medseg.ingest.case_build import CaseBuild
from medseg.ingest.key import Pseudonyms
from medseg.ingest.label_source import LabelSource
from medseg.ingest.mapping import Mapping
from medseg.ingest.risks import find_risks
from medseg.ingest.scrub import Scrubber
from medseg.ingest.state import State
from medseg.ingest.walk import Source
from medseg.manifest.save import save_manifest
from medseg.records import Case, Failure, Manifest


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What was found and what became of it; holds pseudonyms only.

    Attributes:
        files: Number of files by what they are.
        cases: One entry per case that was written.
        failures: Cases that could not be written, and why.
        aside: Number of series, files or labels that were set aside, by reason.
        lost_labels: Labels that went into no case, and why.
        structures: Label and number of cases of each structure name.
        risks: What may tell who a patient is.
        unreadable: Number of damaged DICOM files, by reason.
        refused: Number of failures, by modality.
    """

    files: dict[str, int]
    cases: tuple[dict[str, Any], ...]
    failures: tuple[Failure, ...]
    aside: dict[str, int]
    lost_labels: tuple[str, ...]
    structures: dict[str, dict[str, Any]]
    risks: tuple[dict[str, str], ...]
    unreadable: dict[str, int]
    refused: dict[str, int]

    @property
    def is_clean(self) -> bool:
        """Whether everything that looked like a scan or label went into a case."""
        return not self.failures and not self.lost_labels and not self.unreadable

    def by_modality(self) -> dict[str, dict[str, int]]:
        """Number of cases, of those with a label, and of what was refused, by modality."""
        rows: dict[str, dict[str, int]] = {}
        for case in self.cases:
            modality = "+".join(dict.fromkeys(one["modality"] or "other" for one in case["channels"]))
            row = rows.setdefault(modality, {"cases": 0, "labelled": 0, "refused": 0})
            row["cases"] += 1
            row["labelled"] += bool(case["labels"])
        for modality, count in self.refused.items():
            rows.setdefault(modality, {"cases": 0, "labelled": 0, "refused": 0})["refused"] += count
        return dict(sorted(rows.items()))

    def count_risks(self) -> dict[str, int]:
        """Number of cases by kind of risk."""
        return dict(Counter(kind for kind, _ in {(risk["risk"], risk["case_id"]) for risk in self.risks}))

    @classmethod
    def of(
        cls,
        files: Source,
        plans: Sequence[CaseBuild],
        records: AnyMapping[str, dict[str, Any]],
        failures: Sequence[Failure],
        lost: Iterable[tuple[LabelSource, str]],
        unused: Iterable[str],
        scrub: Scrubber,
        names: Pseudonyms,
    ) -> IngestReport:
        """Sum up a run."""
        done = [plan for plan in plans if plan.case_id in records]
        unlisted = _unlabelled_beside_labelled(done, records)
        risks = [
            {"case_id": plan.case_id, "risk": risk.kind, "message": risk.message}
            for plan in done
            for image in plan.images
            for risk in find_risks(image)
        ]
        return cls(
            files={
                "DICOM": len(files.instances),
                "NIfTI, NRRD, MetaImage": len(files.volumes),
                "pictures": len(files.pictures),
                "unreadable DICOM": len(files.unreadable),
                "other": len(files.ignored),
            },
            cases=tuple(_entry(plan, records[plan.case_id], scrub, names, plan.case_id in unlisted) for plan in done),
            failures=tuple(_cleaned(failure, scrub) for failure in failures),
            aside=dict(Counter([*(scrub.clean(plan.refusal) for plan in plans if plan.is_aside), *unused])),
            lost_labels=tuple(_lost(label, reason, scrub, names) for label, reason in lost),
            structures=_structures(records.values()),
            risks=tuple(risks),
            unreadable=dict(Counter(reason for _, reason in files.unreadable)),
            refused=_refused(plans, {failure.case_id for failure in failures}),
        )


def write_dataset(
    report: IngestReport,
    plans: Sequence[CaseBuild],
    records: AnyMapping[str, dict[str, Any]],
    out: Path,
    mapping: Mapping,
    names: Pseudonyms,
    name: str,
    shift_dates: bool,
    state: State,
    scrub: Scrubber,
) -> None:
    """Write `ingest.json` and, if there is a case, `dataset.json`; remove files of cases that are no more."""
    _remove_stale(out, plans, records, state)
    write_json(
        out / "ingest.json",
        {
            "files": report.files,
            "cases": report.cases,
            "failures": [{"case_id": f.case_id, "reason": f.reason} for f in report.failures],
            "set_aside": report.aside,
            "labels_in_no_case": report.lost_labels,
            "unreadable": report.unreadable,
            "structures": report.structures,
            "risks": report.risks,
        },
    )
    done = [plan for plan in plans if plan.case_id in records]
    unused = _unlabelled_beside_labelled(done, records)
    cases = [
        _case(plan, records[plan.case_id], names, scrub, shift_dates) for plan in done if plan.case_id not in unused
    ]
    if cases:
        before = previous_manifest(out)
        cases = carry_over(cases, before)
        labels = {"background": 0, **{label: rule.value for label, rule in mapping.labels.items()}}
        manifest = Manifest(
            name=name,
            version=before.version if before else "1",
            description="Built by medseg ingest; see ingest.json",
            channels=_channels(plans, records, mapping),
            labels=labels,
            instances=mapping.instances,
            cases=tuple(sorted(cases, key=lambda case: (case.split == "test", case.case_id))),
        )
        save_manifest(manifest, out / "dataset.json")
    else:
        (out / "dataset.json").unlink(missing_ok=True)


def _cleaned(failure: Failure, scrub: Scrubber) -> Failure:
    """Without identifying values, but with its case's name, which may look like one."""
    start = f"case {failure.case_id}: "
    return Failure(failure.case_id, failure.stage, start + scrub.clean(failure.reason.removeprefix(start)))


def _unlabelled_beside_labelled(plans: Sequence[CaseBuild], records: AnyMapping[str, dict[str, Any]]) -> set[str]:
    """Cases without a label of patients who have one with a label: no patient may be in training and in test."""
    has_label = {plan.case_id: bool(records[plan.case_id].get("label", {}).get("label")) for plan in plans}
    labelled = {plan.patient_id for plan in plans if has_label[plan.case_id]}
    return {plan.case_id for plan in plans if plan.patient_id in labelled and not has_label[plan.case_id]}


def _entry(
    plan: CaseBuild, record: dict[str, Any], scrub: Scrubber, names: Pseudonyms, is_unused: bool
) -> dict[str, Any]:
    image, label = record["image"], record.get("label", {})
    notes = [scrub.clean(note) for note in [*image["notes"], *label.get("notes", [])]]
    if is_unused:
        notes.append("it is not in dataset.json: it has no label, and another case of its patient is for training")
    return {
        "case_id": plan.case_id,
        "patient_id": plan.patient_id,
        "channels": [
            {
                "modality": one.modality,
                "description": "" if one.found is None and not names.keep_ids else scrub.clean(one.description),
                "series_uid": names.uid(one.series_uid),
                "files": len(one.files),
                "sha256_of_files": source,
            }
            for one, source in zip(plan.images, image["source_sha256"], strict=True)
        ],
        "labels": label.get("matched_by", []),
        "structures": {scrub.clean(name): found for name, found in label.get("structures", {}).items()},
        "notes": notes,
    }


def _case(plan: CaseBuild, record: dict[str, Any], names: Pseudonyms, scrub: Scrubber, shift_dates: bool) -> Case:
    image, label = record["image"], record.get("label", {})
    reference = plan.reference
    sums = dict(image["sha256"])
    if label.get("label"):
        sums[label["label"]] = label["sha256"]
    return Case(
        case_id=plan.case_id,
        patient_id=plan.patient_id,
        images=tuple(image["images"]),
        label=label.get("label"),
        split="training" if label.get("label") else "test",
        site=names.site(reference.institution),
        scanner=scrub.clean(reference.scanner) or None,
        study_uid=names.uid(reference.found.first.study_uid) if reference.found else None,
        series_uid=names.uid(reference.series_uid),
        study_date=names.shifted_date(reference.patient, reference.study_date) if shift_dates else None,
        sha256=sums,
        modality="+".join(dict.fromkeys(one.modality for one in plan.images if one.modality)) or None,
        label_ml=label.get("label_ml") or None,
    )


def _channels(
    plans: Sequence[CaseBuild], records: AnyMapping[str, dict[str, Any]], mapping: Mapping
) -> tuple[str, ...]:
    if mapping.channels:
        return tuple(rule.name for rule in mapping.channels)
    done = [plan for plan in plans if plan.case_id in records]
    count = records[done[0].case_id]["image"]["channels"]
    if count == 3 and done[0].reference.is_picture:
        return ("red", "green", "blue")
    modalities = {plan.reference.modality for plan in done}
    name = modalities.pop() if len(modalities) == 1 else ""
    return (name or "image",) if count == 1 else tuple(f"channel {number}" for number in range(count))


def _refused(plans: Sequence[CaseBuild], failed: set[str]) -> dict[str, int]:
    modalities = (
        "+".join(dict.fromkeys(image.modality or "other" for image in plan.images)) or "other"
        for plan in plans
        if plan.case_id in failed
    )
    return dict(Counter(modalities))


def _lost(label: LabelSource, reason: str, scrub: Scrubber, names: Pseudonyms) -> str:
    mark = names.series(str(label.path))
    return f"label {mark} ({label.kind}, {len(label.names)} structure(s)): {scrub.clean(reason)}"


def _structures(records: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        for structure, label in record.get("label", {}).get("structures", {}).items():
            entry = found.setdefault(structure, {"label": label, "cases": 0})
            entry["cases"] += 1
    return dict(sorted(found.items()))


def _remove_stale(
    out: Path, plans: Sequence[CaseBuild], records: AnyMapping[str, dict[str, Any]], state: State
) -> None:
    """Remove the files of cases that an earlier run made and this one does not have.

    Images whose labels alone could not be drawn stay, so that a mended mapping finds them.
    """
    waiting = [state.read(plan.case_id) for plan in plans if plan.case_id not in records and not plan.refusal]
    used = {path for record in (*records.values(), *waiting) for path in record.get("image", {}).get("images", ())}
    used |= {record["label"]["label"] for record in records.values() if record.get("label")}
    state.forget({plan.case_id for plan in plans})
    for folder in ("images", "labels"):
        for path in sorted((out / folder).glob("*")):
            if path.relative_to(out).as_posix() not in used:
                path.unlink()
