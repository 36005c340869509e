"""The report of an ingest: the file `ingest.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from medseg.disclosure import MESSAGES
from medseg.ingest.case_build import CaseBuild
from medseg.ingest.case_record import CaseRecord
from medseg.ingest.context import IngestContext
from medseg.ingest.endings import count_endings
from medseg.ingest.fates import Fate, count_files, unaccounted
from medseg.ingest.image_source import ImageSource
from medseg.ingest.match import LostLabel
from medseg.ingest.outcome import UNUSED, Outcome
from medseg.ingest.risks import find_risks
from medseg.ingest.scrub import Scrubber
from medseg.ingest.shared_folders import shared_folder_warnings
from medseg.ingest.shared_ids import shared_id_warnings
from medseg.ingest.walk import Source
from medseg.manifest import MixedChannel
from medseg.records import Failure


@dataclass(frozen=True, slots=True)
class ChannelEntry:
    """One channel of a case, without identifying values.

    Attributes:
        modality: DICOM (0008,0060), or "" for files.
        description: Series description, or "" where it may name a patient.
        series_uid: Pseudonym of the series UID; None for files.
        files: Number of files.
        sha256_of_files: HMAC-SHA256 with the key, over the sorted SHA-256 lines of the files.
    """

    modality: str
    description: str
    series_uid: str | None
    files: int
    sha256_of_files: str


@dataclass(frozen=True, slots=True)
class CaseEntry:
    """One case that was written.

    Attributes:
        case_id: Pseudonym of the case.
        patient_id: Pseudonym of the patient.
        channels: One entry per channel file.
        labels: Kind of each label object, and how its image was found.
        structures: Label of each structure by its name.
        notes: Repairs that were made, and warnings for a person.
    """

    case_id: str
    patient_id: str
    channels: tuple[ChannelEntry, ...]
    labels: tuple[str, ...]
    structures: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """A series or file of the source, without identifying values.

    Attributes:
        source: Short name, by which the private table beside the key calls it too.
        kind: Kind of thing, such as a series or a mask.
        became: What became of it.
        case_id: Case that it went into, or that failed because of it; None without one.
        why: Reason, if it is not in the dataset.
        modality: DICOM (0008,0060), or "" for files.
        description: Series description, or "" where it may name a patient.
        series_uid: Pseudonym of the series UID; None for files.
        files: Number of files.
    """

    source: str
    kind: str
    became: str
    case_id: str | None
    why: str
    modality: str
    description: str
    series_uid: str | None
    files: int


@dataclass(frozen=True, slots=True)
class StructureEntry:
    """Label of a structure, and the number of cases that hold it."""

    label: str
    cases: int


@dataclass(frozen=True, slots=True)
class RiskEntry:
    """Something in a case that may identify the patient."""

    case_id: str
    risk: str
    message: str


@dataclass(frozen=True, slots=True)
class WarningEntry:
    """A doubt about the dataset as a whole, and its kind."""

    warning: str
    message: str


@dataclass(frozen=True, slots=True)
class ModalityCount:
    """Number of cases of one modality, with a label, and refused."""

    cases: int
    labelled: int
    refused: int


@dataclass(frozen=True, slots=True)
class IngestReport:
    """Everything that an ingest found and what became of it; holds pseudonyms only.

    Attributes:
        files: Number of files by kind.
        cases: One entry per case that was written.
        failures: Cases that could not be written, with reasons.
        aside: Number of series, files or labels that were set aside, by reason.
        lost_labels: Labels and doses that went into no case, with reasons.
        structures: Label and number of cases of each structure name.
        risks: Features of cases that may identify patients.
        unreadable: Number of damaged DICOM files, by reason.
        refused: Number of failures, by modality.
        sources: One entry per series, label and damaged file of the source.
        became: Number of files by what became of them.
        endings: Number of files that are no scans, by their endings.
        passed_over: Number of files and links that were passed over, by reason.
        warnings: Doubts about the dataset as a whole, each with a remedy.
    """

    files: dict[str, int]
    cases: tuple[CaseEntry, ...]
    failures: tuple[Failure, ...]
    aside: dict[str, int]
    lost_labels: tuple[str, ...]
    structures: dict[str, StructureEntry]
    risks: tuple[RiskEntry, ...]
    unreadable: dict[str, int]
    refused: dict[str, int]
    sources: tuple[SourceEntry, ...]
    became: dict[str, int]
    endings: dict[str, int]
    passed_over: dict[str, int]
    warnings: tuple[WarningEntry, ...]

    @classmethod
    def of(cls, outcome: Outcome, fates: Sequence[Fate], mixed: Sequence[MixedChannel], context: IngestContext) -> Self:
        """The report of an outcome.

        Args:
            outcome: Outcome of the ingest.
            fates: Fate of every series and file.
            mixed: Channels of the dataset that hold several modalities.
            context: Settings and state of the ingest.
        """
        aside = [
            context.scrub.clean(build.refusal.message) for build in outcome.builds if build.refusal and build.is_aside
        ]
        return cls(
            files=_count_files(outcome.files),
            cases=tuple(
                _case_entry(build, record, context, is_unused=build.case_id in outcome.unlabelled_beside_labelled)
                for build, record in outcome.done
            ),
            failures=tuple(_cleaned(failure, context.scrub) for failure in outcome.failures),
            aside=dict(Counter([*aside, *_unused(outcome)])),
            lost_labels=(*(_lost(one, context) for one in outcome.lost), *_lost_doses(outcome, context)),
            structures=_count_structures(list(outcome.records.values())),
            risks=tuple(risk for build, record in outcome.done for risk in _risks(build, record)),
            unreadable=dict(Counter(one.reason for one in outcome.files.unreadable)),
            refused=_count_refused(outcome),
            sources=tuple(
                _source_entry(fate, context) for fate in fates if fate.became not in ("no scan", "passed over")
            ),
            became=count_files(fates),
            endings=count_endings(path for fate in fates if fate.became == "no scan" for path in fate.files),
            passed_over=dict(Counter(fate.why for fate in fates if fate.became == "passed over")),
            warnings=(
                *(WarningEntry("shared_id", text) for text in shared_id_warnings(outcome.images, context.names)),
                *(WarningEntry("shared_folder", text) for text in _shared_folders(outcome, context)),
                *(WarningEntry("modalities", channel.message) for channel in mixed),
                *(WarningEntry("unaccounted", text) for text in _unaccounted_warnings(fates)),
            ),
        )

    @property
    def is_clean(self) -> bool:
        """Whether no scan or label failed, was lost or was unreadable."""
        is_whole = not self.became.get("unaccounted")
        return is_whole and not self.failures and not self.lost_labels and not self.unreadable

    def by_modality(self) -> dict[str, ModalityCount]:
        """Number of cases, with a label, and refused, by modality."""
        modalities = [_joined([one.modality for one in case.channels]) for case in self.cases]
        cases = Counter(modalities)
        labelled = Counter(one for one, case in zip(modalities, self.cases, strict=True) if case.labels)
        return {
            modality: ModalityCount(cases[modality], labelled[modality], self.refused.get(modality, 0))
            for modality in sorted({*modalities, *self.refused})
        }

    def count_risks(self) -> dict[str, int]:
        """Number of cases by kind of risk."""
        return dict(Counter(kind for kind, _ in {(risk.risk, risk.case_id) for risk in self.risks}))

    def document(self) -> dict[str, Any]:
        """The content of `ingest.json`."""
        content = asdict(self)
        return {
            "warnings": content["warnings"],
            "files": content["files"],
            "files_became": content["became"],
            "other_endings": content["endings"],
            "passed_over": content["passed_over"],
            "cases": content["cases"],
            "failures": [{"case_id": failure.case_id, "reason": failure.reason} for failure in self.failures],
            "set_aside": content["aside"],
            "labels_in_no_case": content["lost_labels"],
            "unreadable": content["unreadable"],
            "structures": content["structures"],
            "risks": content["risks"],
            "sources": content["sources"],
        }


def _count_files(files: Source) -> dict[str, int]:
    return {
        "DICOM": len(files.instances),
        "NIfTI, NRRD, MetaImage": len(files.volumes),
        "pictures": len(files.pictures),
        "unreadable DICOM": len(files.unreadable),
        "other": len(files.ignored),
        "passed over": len(files.passed_over),
    }


def _case_entry(build: CaseBuild, record: CaseRecord, context: IngestContext, *, is_unused: bool) -> CaseEntry:
    scrub, label = context.scrub, record.label
    of_quantities = record.quantities.notes if record.quantities else ()
    notes = [scrub.clean(note) for note in (*record.image.notes, *(label.notes if label else ()), *of_quantities)]
    return CaseEntry(
        case_id=build.case_id,
        patient_id=build.patient_id,
        channels=tuple(
            _channel_entry(image, source, context)
            for image, source in zip(build.images, record.image.source_sha256, strict=True)
        ),
        labels=label.matched_by if label else (),
        structures={scrub.clean(name): found for name, found in record.structures.items()},
        notes=(*notes, UNUSED) if is_unused else tuple(notes),
    )


def _channel_entry(image: ImageSource, source_sha256: str, context: IngestContext) -> ChannelEntry:
    may_name_patient = image.found is None and not context.names.keep_ids
    return ChannelEntry(
        modality=image.modality,
        description="" if may_name_patient else context.scrub.description(image.description),
        series_uid=context.names.uid(image.series_uid),
        files=len(image.files),
        sha256_of_files=source_sha256,
    )


def _source_entry(fate: Fate, context: IngestContext) -> SourceEntry:
    has_description = fate.kind in ("series", "files of a series")
    return SourceEntry(
        source=context.names.series(fate.key),
        kind=fate.kind,
        became=fate.became,
        case_id=fate.case_id,
        why=context.scrub.clean(fate.why),
        modality=fate.modality,
        description=context.scrub.description(fate.description) if has_description else "",
        series_uid=context.names.uid(fate.series_uid),
        files=len(set(fate.files)),
    )


def _shared_folders(outcome: Outcome, context: IngestContext) -> list[str]:
    """Warnings on folders as patients, unless the user chose what makes a patient."""
    return shared_folder_warnings(outcome.images, context.names) if context.options.patients_from == "id" else []


def _unaccounted_warnings(fates: Sequence[Fate]) -> list[str]:
    count = unaccounted(fates)
    fact = f"every file must become part of the dataset or have a reason, got {count} file(s) without one"
    return [f"{fact}; see the private table beside the key, and report this"] if count else []


def _cleaned(failure: Failure, scrub: Scrubber) -> Failure:
    """A failure without identifying values, but with its case id, which may look like one."""
    start = f"case {failure.case_id}: "
    return Failure(failure.case_id, failure.stage, start + scrub.clean(failure.reason.removeprefix(start)))


def _unused(outcome: Outcome) -> list[str]:
    """Why each label or dose was set aside that could be read."""
    doses = (refusal for _, refusal in outcome.doses if refusal.is_aside)
    return [refusal.message for refusal in (*(refusal for _, refusal in outcome.unused), *doses)]


def _lost_doses(outcome: Outcome, context: IngestContext) -> Iterator[str]:
    """Each dose of no case that was not set aside."""
    for dose, refusal in outcome.doses:
        if not refusal.is_aside:
            yield f"dose {context.names.series(str(dose.path))}: {context.scrub.clean(refusal.message)}"


def _lost(one: LostLabel, context: IngestContext) -> str:
    mark = context.names.series(str(one.label.path))
    reason = context.scrub.clean(one.refusal.message)
    return f"label {mark} ({one.label.kind}, {len(one.label.names)} structure(s)): {reason}"


def _count_structures(records: Sequence[CaseRecord]) -> dict[str, StructureEntry]:
    label_of = {name: label for record in reversed(records) for name, label in record.structures.items()}
    counts = Counter(name for record in records for name in record.structures)
    return {name: StructureEntry(label_of[name], counts[name]) for name in sorted(counts)}


def _risks(build: CaseBuild, record: CaseRecord) -> list[RiskEntry]:
    seen = record.image.risks or tuple(() for _ in build.images)
    kinds = [kind for image, one in zip(build.images, seen, strict=True) for kind in find_risks(image, one)]
    held = record.quantities.risks if record.quantities else {}
    kinds += [kind for one in build.quantities if one.image for kind in find_risks(one.image, held.get(one.name, ()))]
    return [RiskEntry(build.case_id, kind, MESSAGES[kind]) for kind in kinds]


def _count_refused(outcome: Outcome) -> dict[str, int]:
    failed = {failure.case_id for failure in outcome.failures}
    builds = [build for build in outcome.builds if build.case_id in failed]
    return dict(Counter(_joined([image.modality for image in build.images]) or "other" for build in builds))


def _joined(modalities: Sequence[str]) -> str:
    """The modalities of a case's channels, each once."""
    return "+".join(dict.fromkeys(modality or "other" for modality in modalities))
