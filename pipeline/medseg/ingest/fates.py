"""What became of every series and file of a source, so that whatever goes in comes out or is listed with a reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from medseg.ingest.case_build import CaseBuild
from medseg.ingest.image_source import ImageSource, dicom_patient
from medseg.ingest.label_source import LabelSource
from medseg.ingest.outcome import UNUSED, Outcome
from medseg.ingest.quantity_source import DoseSource
from medseg.ingest.refusal import Refusal
from medseg.scans import is_picture_file, voxel_files

Became = Literal[
    "image", "label", "quantity", "set aside", "failed", "copy", "unreadable", "no scan", "passed over", "unaccounted"
]

_NO_SCAN = "its content and its ending are those of no scan"
_COPY = "a copy of another file of its series, or a damaged one beside a whole one"
_MASK_PICTURE = "a mask picture beside volumes; ingest it and its picture apart, with the kind pictures"
_NOT_CHOSEN = "it is in no case"
UNACCOUNTED = "no reason is known; report this as a fault of medseg"


@dataclass(frozen=True, slots=True)
class Fate:
    """A series or file of a source, and what became of it.

    Attributes:
        key: Identity of the series or file, the same in a later run; never written as it stands.
        files: Files of the series, or the file.
        kind: Kind of thing, for a person.
        became: What became of it.
        why: Reason, if it did not become part of the dataset; "" otherwise.
        case_id: Case that it went into, or that failed because of it; None without one.
        patient: Patient as the source gives it.
        study: Study UID, or the folder of a file.
        series_uid: DICOM (0020,000E); "" for files.
        modality: DICOM (0008,0060); "" for files.
        description: Description of the series, or the names of a label's structures.
    """

    key: str
    files: tuple[Path, ...]
    kind: str
    became: Became
    why: str = ""
    case_id: str | None = None
    patient: str = ""
    study: str = ""
    series_uid: str = ""
    modality: str = ""
    description: str = ""

    @property
    def is_listed(self) -> bool:
        """Whether the public report lists it; files that are no scans are counted there by their endings."""
        return self.became not in ("no scan", "passed over")


def find_fates(outcome: Outcome) -> list[Fate]:
    """The fate of every series and file, each file in exactly one of them.

    Args:
        outcome: Outcome of the ingest.
    """
    failed = {failure.case_id: failure.reason for failure in outcome.failures}
    fates = [*_of_images(outcome, failed), *_of_labels(outcome, failed), *_of_doses(outcome, failed)]
    taken: set[Path] = set()
    once = []
    for fate in fates:
        if not fate.files or not taken.issuperset(fate.files):
            taken.update(fate.files)
            once.append(fate)
    return [*once, *_of_other_files(outcome, taken)]


def _of_images(outcome: Outcome, failed: dict[str, str]) -> Iterator[Fate]:
    """One fate for each image, and one for each study that failed although none of its images did."""
    case_of = {id(image): build for build in outcome.builds for image in build.images}
    quantity_of = {id(one.image): build for build in outcome.builds for one in build.quantities if one.image}
    incomplete = [build for build in outcome.builds if build.refusal and build.refusal.kind == "channels"]
    told = set()
    for image in outcome.images:
        quantity = quantity_of.get(id(image))
        build = quantity or case_of.get(id(image)) or _study_of(image, incomplete)
        fate = _of_image(image, build, outcome, failed)
        if quantity and fate.became == "image":
            fate = replace(fate, became="quantity")
        told.add(fate.case_id)
        yield fate
    for build in incomplete:
        if build.case_id not in told and build.refusal:
            patient, study = build.reference.patient, build.reference.study
            why, key = build.refusal.message, f"study {patient}/{study}"
            yield Fate(key, (), "study", "failed", why, build.case_id, patient, study)


def _study_of(image: ImageSource, incomplete: Sequence[CaseBuild]) -> CaseBuild | None:
    """The refused case of an image's study, or else of its patient."""
    own = [build for build in incomplete if build.reference.patient == image.patient]
    return next((build for build in own if build.reference.study == image.study), own[0] if own else None)


def _of_image(image: ImageSource, build: CaseBuild | None, outcome: Outcome, failed: dict[str, str]) -> Fate:
    became: Became = "image"
    why, case_id = "", build.case_id if build else None
    if build is None:
        became, why, case_id = "set aside", image.refusal.message if image.refusal else _NOT_CHOSEN, None
    elif build.refusal is not None and build.is_aside:
        became, why, case_id = "set aside", build.refusal.message, None
        became = "copy" if build.refusal.kind == "copy" else became
    elif build.case_id not in outcome.records:
        became, why = "failed", failed.get(build.case_id, build.refusal.message if build.refusal else UNACCOUNTED)
    elif build.case_id in outcome.unlabelled_beside_labelled:
        why = UNUSED
    kind = "series" if image.found else "picture" if image.is_picture else "volume"
    return Fate(
        image.key,
        image.files,
        kind,
        became,
        why.removeprefix(f"case {case_id}: "),
        case_id,
        image.patient,
        image.study,
        image.series_uid,
        image.modality,
        image.description if image.found else "",
    )


def _of_labels(outcome: Outcome, failed: dict[str, str]) -> Iterator[Fate]:
    """One fate for each label that was read."""
    used = {id(one): build for build in outcome.builds if not build.is_aside for one in build.labels}
    for one, refusal in outcome.unused:
        build_of = used.get(id(one))
        yield _of_label(one.label, "set aside", refusal, build_of.case_id if build_of else None)
    for lost in outcome.lost:
        yield _of_label(lost.label, "unreadable" if lost.refusal.kind == "unreadable" else "failed", lost.refusal)
    for build in {id(build): build for build in used.values()}.values():
        for one in build.labels:
            if build.case_id in outcome.records:
                yield _of_label(one.label, "label", None, build.case_id)
            else:
                reason = failed.get(build.case_id, UNACCOUNTED).removeprefix(f"case {build.case_id}: ")
                yield _of_label(
                    one.label, "failed", Refusal("refused_image", f"its case failed: {reason}"), build.case_id
                )


def _of_doses(outcome: Outcome, failed: dict[str, str]) -> Iterator[Fate]:
    """One fate for each dose."""
    for dose, refusal in outcome.doses:
        became: Became = "set aside" if refusal.is_aside else "failed"
        if refusal.kind in ("unreadable", "copy"):
            became = refusal.kind
        yield _of_dose(dose, became, refusal.message, None)
    for build in outcome.builds:
        for dose in (dose for source in build.quantities for dose in source.doses):
            if build.case_id in outcome.records:
                yield _of_dose(dose, "quantity", "", build.case_id)
            else:
                reason = failed.get(build.case_id, UNACCOUNTED).removeprefix(f"case {build.case_id}: ")
                yield _of_dose(dose, "failed", f"its case failed: {reason}", build.case_id)


def _of_dose(dose: DoseSource, became: Became, why: str, case_id: str | None) -> Fate:
    one = dose.instance
    return Fate(
        str(one.path),
        (one.path,),
        "dose",
        became,
        why,
        case_id,
        dose.patient,
        one.study_uid,
        one.series_uid,
        one.modality,
        one.description,
    )


def _of_label(label: LabelSource, became: Became, refusal: Refusal | None, case_id: str | None = None) -> Fate:
    files = (label.path, *(one for one in voxel_files(label.path) if one.is_file()))
    why = refusal.message if refusal else ""
    names = ", ".join(label.names)
    return Fate(str(label.path), files, label.kind, became, why, case_id, label.patient, description=names)


def _of_other_files(outcome: Outcome, taken: set[Path]) -> Iterator[Fate]:
    """Fates of the files that are neither an image nor a label, and of those that were lost on the way."""
    files = outcome.files
    for damaged in files.unreadable:
        yield Fate(str(damaged.path), (damaged.path,), "damaged file", "unreadable", damaged.reason)
    for passed in files.passed_over:
        if passed.path not in taken:
            yield Fate(str(passed.path), (passed.path,), "file", "passed over", passed.reason)
    for path in files.ignored:
        if path not in taken:
            yield Fate(str(path), (path,), "file", "no scan", _NO_SCAN)
    yield from _copies(outcome, taken)
    known = {image.is_picture for image in outcome.images if not image.refusal}
    for path in (*files.volumes, *files.pictures):
        if path in taken:
            continue
        if is_picture_file(path) and True not in known:
            yield Fate(str(path), (path,), "mask picture", "set aside", _MASK_PICTURE)
        else:
            yield Fate(str(path), (path,), "file", "unaccounted", UNACCOUNTED)


def _copies(outcome: Outcome, taken: set[Path]) -> Iterator[Fate]:
    """DICOM files that are in no volume: copies that were left out of their series, or lost ones."""
    left = [one for one in outcome.files.instances if one.path not in taken]
    copies = {one.path for image in outcome.images if image.found for one in image.found.left_out}
    groups: dict[tuple[str, Became], list[Path]] = defaultdict(list)
    header = {}
    for one in left:
        became: Became = "copy" if one.path in copies else "unaccounted"
        groups[one.series_uid, became].append(one.path)
        header[one.series_uid] = one
    for (series, became), paths in groups.items():
        first = header[series]
        why = _COPY if became == "copy" else UNACCOUNTED
        yield Fate(
            f"{series}/{became}",
            tuple(paths),
            "files of a series",
            became,
            why,
            None,
            dicom_patient(first),
            first.study_uid,
            series,
            first.modality,
            first.description,
        )


def count_files(fates: Iterable[Fate]) -> dict[str, int]:
    """Number of files by what became of them."""
    counts: dict[str, int] = defaultdict(int)
    for fate in fates:
        counts[fate.became] += len(set(fate.files))
    return dict(counts)


def unaccounted(fates: Sequence[Fate]) -> int:
    """Number of files for which no reason is known; 0 unless medseg is at fault."""
    return count_files(fates).get("unaccounted", 0)
