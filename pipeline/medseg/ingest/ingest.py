"""From a folder of scans as hospitals have them to a dataset of NIfTI files with a manifest."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from medseg.atomic import write_text
from medseg.cohort import ThreadExecutor, map_in_order, run_cases
from medseg.errors import ConfigError, ManifestError
from medseg.ingest.build_image import build_image
from medseg.ingest.build_label import build_label
from medseg.ingest.case_build import CaseBuild, LabelOfCase, labels_left_over, plan_cases
from medseg.ingest.copies import REASON as COPY
from medseg.ingest.copies import set_aside_copies
from medseg.ingest.image_source import ImageSource, file_image, series_image
from medseg.ingest.key import Pseudonyms
from medseg.ingest.label_source import LabelSource, as_objects, lies_on, mask_label, object_label
from medseg.ingest.mapping import Mapping, load_mapping, mapping_text, propose_mapping
from medseg.ingest.mask_match import MaskMatcher
from medseg.ingest.match import Images
from medseg.ingest.name_tokens import masks_and_images, name_tokens
from medseg.ingest.patient_name import PatientName, patient_names
from medseg.ingest.report import IngestReport, write_dataset
from medseg.ingest.scan_notes import ScanNotes, catching_notes
from medseg.ingest.scrub import Scrubber
from medseg.ingest.state import State
from medseg.ingest.structure_name import normalised
from medseg.ingest.value_names import ValueNames
from medseg.ingest.walk import Source, walk_source
from medseg.records import Failure
from medseg.scans import is_picture_file
from medseg.scans.dicom import LABEL_CLASSES, SeriesRules, find_series, quiet_dicom

Repair = Literal["tilt", "gaps", "grids", "orientations"]
REPAIR_CHOICES: tuple[Repair, ...] = ("tilt", "gaps", "grids", "orientations")


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How to ingest.

    Attributes:
        repair: What is repaired instead of refused.
        min_slices: Fewest slices of a volume.
        suv: Whether PET becomes SUV by body weight.
        shift_dates: Whether the manifest gets study dates, moved by a number of days per patient.
        kind: Volumes or pictures; what there is more of in importance, volumes first, if not given.
        workers: Threads.
        name: Of the dataset; the output folder's if not given.
    """

    repair: frozenset[str] = frozenset()
    min_slices: int = 3
    suv: bool = False
    shift_dates: bool = False
    kind: Literal["volumes", "pictures"] | None = None
    workers: int = 2
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What is called as the work goes on, from the calling thread."""

    on_files: Callable[[int], None] = lambda count: None
    on_cases: Callable[[int], None] = lambda total: None
    on_case: Callable[[str], None] = lambda case_id: None


class _Found(NamedTuple):
    """Images and labels of a source."""

    images: list[ImageSource]
    labels: list[LabelOfCase]
    lost: list[tuple[LabelSource, str]]


def ingest(
    source: Path,
    out: Path,
    *,
    names: Pseudonyms,
    mapping_file: Path | None = None,
    options: IngestOptions,
    progress: Progress,
) -> IngestReport:
    """Build a dataset from everything below a folder.

    Cases that are done and whose files did not change are not read again. One that cannot be read is reported and
    stops no other.

    Args:
        source: Any depth, any file names.
        out: New, empty, or begun by an earlier ingest.
        names: Gives pseudonyms.
        mapping_file: Which structure is which label; proposed, and written to `out`, if not given.
        options: How.
        progress: Callbacks.

    Returns:
        What was done, as it is written to `ingest.json`.

    Raises:
        ConfigError: If the mapping is wrong, or the proposed one was edited and not given.
        ManifestError: If `out` cannot be used, or nothing was found.
    """
    mapping = load_mapping(mapping_file) if mapping_file else None
    if out.resolve() in (source.resolve(), *source.resolve().parents):
        raise ManifestError(f"dataset {out.name}: must not hold its own source; choose another --out")
    state, proposal = State(out, names), out / "mapping.yaml"
    if mapping is None and not state.is_own_text(proposal):
        raise ConfigError(f"mapping {proposal}: was edited; give it with --mapping, or remove it for a new proposal")
    with quiet_dicom(), catching_notes() as said:
        files = walk_source(source, without=out, workers=options.workers, on_file=progress.on_files)
        found = _find(files, source, options)
        if not found.images:
            raise ManifestError(_nothing(files))
        scrub = Scrubber(
            (instance.identity for instance in files.instances),
            patients=() if names.keep_ids else _folder_words(found.images),
            keeps_ids=names.keep_ids,
            tag=names.series,
        )
        if mapping is None:
            mapping = propose_mapping(one.label.renamed(scrub.name) for one in found.labels)
            state.remember_text(mapping_text(mapping))
            write_text(proposal, mapping_text(mapping))
        plans = plan_cases(found.images, found.labels, mapping, names)
        unused = labels_left_over(plans, found.labels)
        _check_ids(plans)
        progress.on_cases(len(plans))
        records, failures = _build_all(plans, out, state, mapping, scrub, options, progress, said)
        _set_aside_copies(plans, records, state)
        unused += [f"a label of a copy: {COPY}" for plan in plans if plan.refusal == COPY for _ in plan.labels]
        orphans = [plan for plan in plans if records.get(plan.case_id, {}).get("is_copy")]
        for plan in orphans:  # what they were copies of is gone
            state.write(plan.case_id, {})
            records.pop(plan.case_id)
        more, failed = _build_all(orphans, out, state, mapping, scrub, options, progress, said)
        records, failures = {**records, **more}, [*failures, *failed]
    report = IngestReport.of(files, plans, records, failures, found.lost, unused, scrub, names)
    write_dataset(report, plans, records, out, mapping, names, options.name or out.name, options.shift_dates, state,
                  scrub)  # fmt: skip
    return report


def _nothing(files: Source) -> str:
    """Why there is nothing to do, so that a share that is not mounted empties no dataset."""
    told = f"; {len(files.unreadable)} file(s) cannot be read: {files.unreadable[0][1]}" if files.unreadable else ""
    return f"source: must hold a scan, got none in {files.count} file(s){told}; check the folder"


def _find(files: Source, root: Path, options: IngestOptions) -> _Found:
    """Images, and the labels that belong to them."""
    rules = SeriesRules(options.min_slices, "orientations" in options.repair)
    images = [series_image(found, repair=options.repair) for found in find_series(files.instances, rules)]
    images = _doubtful(images, {path.parent for path, _ in files.unreadable})
    masks, plain = masks_and_images([*files.volumes, *files.pictures], root)
    known = ValueNames(root)
    whose = patient_names(plain, root, _patients_below(images))
    threads = ThreadExecutor(options.workers)
    images += map_in_order(threads, lambda path: file_image(path, root, whose[path]), plain)
    images = _one_kind(images, options.kind)
    index, matcher = Images(images), MaskMatcher(images, root)
    objects = [one for one in files.instances if one.sop_class in LABEL_CLASSES]
    labels = map_in_order(threads, object_label, objects)
    masks = _masks_of_kind(masks, images)
    told = {folder: known.near(folder) for folder in {path.parent for path in masks}}
    matched = map_in_order(threads, lambda path: _match_mask(path, matcher, told[path.parent]), masks)
    if any(label.has_objects for label, _, _ in matched):
        matched = [(as_objects(label), image, how) for label, image, how in matched]
    found = _Found(images, [], [])
    for label in labels:
        match = index.of_object(label)
        _sort_in(found, label, match.image, match.how)
    for label, image, how in matched:
        _sort_in(found, label, image, how)
    return found


def _patients_below(images: Sequence[ImageSource]) -> dict[Path, set[PatientName]]:
    """The patients of DICOM series by every folder that holds some."""
    patients: dict[Path, set[PatientName]] = defaultdict(set)
    for image in images:
        for folder in (image.folder, *image.folder.parents):
            patients[folder].add(PatientName(image.patient, False, image.has_patient_id))
    return patients


def _doubtful(images: Sequence[ImageSource], damaged: set[Path]) -> list[ImageSource]:
    """Images with a note where a file beside theirs could not be read: it may have been their first or last slice."""
    note = "a file beside its own cannot be read; it may have been a slice at one of its ends"
    return [
        replace(image, notes=(*image.notes, note)) if any(path.parent in damaged for path in image.files) else image
        for image in images
    ]


def _sort_in(found: _Found, label: LabelSource, image: ImageSource | None, how: str) -> None:
    is_other = image is not None and image.found is not None and label.patient not in ("", image.patient)
    if is_other and how.startswith("frame"):
        image, how = None, "it names another patient than the image that it fits; correct the patient, and ingest again"
    elif is_other:
        how += ", though it names another patient"
    if label.refusal or image is None or image.refusal:
        reason = label.refusal or (how if image is None else f"its image was refused: {image.refusal}")
        found.lost.append((label, reason))
    else:
        found.labels.append(LabelOfCase(label, image, how))


def _match_mask(
    path: Path, matcher: MaskMatcher, value_names: dict[int, str]
) -> tuple[LabelSource, ImageSource | None, str]:
    """A mask file with its image: of those that its name or folder allow, the only one or the only one on its grid."""
    candidates, by_name, needs_grid = matcher.of_mask(path)
    shared = matcher.shared_words(path, candidates)
    label = mask_label(path, shared_words=shared, value_names=value_names)
    if label.refusal or not candidates or label.grid is None:
        return label, None, "no image beside it, and none with a like name, was found"
    same = [image for image in candidates if lies_on(label, image)]
    how = "name and grid" if by_name else "folder and grid"
    if len(same) == 1:
        return label, same[0], how
    if len(candidates) == 1 and not needs_grid:
        return label, candidates[0], "name" if by_name else "folder"
    if not same and needs_grid:
        return label, None, "no image beside it lies on its grid and has a like name; name it like its image"
    count = len(same) or len(candidates)
    return label, None, f"{count} images fit it equally well (by {how}); name it like its image"


def _one_kind(images: list[ImageSource], kind: Literal["volumes", "pictures"] | None) -> list[ImageSource]:
    """Set aside what does not go into one dataset: pictures beside volumes, colours beside grey."""
    usable = [image for image in images if not image.refusal]
    wants_pictures = kind == "pictures" if kind else not any(not image.is_picture for image in usable)
    alike = [image for image in usable if image.is_picture == wants_pictures]
    counts: dict[int, int] = defaultdict(int)
    for image in alike:
        counts[image.channels] += 1
    channels = max(counts, key=lambda one: (counts[one], -one), default=1)
    return [_aside(image, wants_pictures, channels) for image in images]


def _masks_of_kind(masks: list[Path], images: Sequence[ImageSource]) -> list[Path]:
    """Without the masks of pictures where the dataset holds volumes: they were set aside with their pictures."""
    if any(image.is_picture and not image.refusal for image in images):
        return masks
    return [path for path in masks if not is_picture_file(path)]


def _aside(image: ImageSource, wants_pictures: bool, channels: int) -> ImageSource:
    if image.refusal:
        return image
    if image.is_picture != wants_pictures:
        other = "pictures" if image.is_picture else "volumes"
        reason = (
            f"a dataset must hold volumes or pictures, got both; ingest these and their masks apart with --kind {other}"
        )
    elif image.channels != channels:
        reason = (
            f"images of a dataset must have the same channels ({channels}), got {image.channels}; ingest them apart"
        )
    else:
        return image
    return replace(image, refusal=reason, is_aside=True)


def _folder_words(images: Sequence[ImageSource]) -> list[str]:
    """Names of patient folders and files, which may be patients' names, without words that most of them share."""
    names = {f"{image.study}/{image.patient}" for image in images if image.found is None}
    counts = Counter(word for name in names for word in name_tokens(name))
    shared = {word for word, count in counts.items() if len(names) > 2 and count > len(names) / 2}
    return [word for name in names for word in re.split(r"[\W_]+", name) if normalised(word) not in shared]


def _check_ids(plans: Sequence[CaseBuild]) -> None:
    patients: dict[str, str] = {}
    for plan in plans:
        if patients.setdefault(plan.patient_id, plan.reference.patient) != plan.reference.patient:
            raise ManifestError(f"patient {plan.patient_id}: two patients must not share an id; use another --key")


def _build_all(
    plans: Sequence[CaseBuild], out: Path, state: State, mapping: Mapping, scrub: Scrubber, options: IngestOptions,
    progress: Progress,
    said: ScanNotes,
) -> tuple[dict[str, dict[str, Any]], list[Failure]]:  # fmt: skip
    """Build every case that is not done, in parallel."""
    failures: dict[str, Failure] = {}
    wanted = [plan for plan in plans if not plan.refusal]
    for plan in plans:
        if plan.refusal:
            if not plan.is_aside:
                failures[plan.case_id] = Failure.of(plan.case_id, "ingest", ManifestError(plan.refusal))
            progress.on_case(plan.case_id)
    build = partial(_build, out=out, state=state, mapping=mapping, scrub=scrub, options=options, said=said)
    threads = ThreadExecutor(options.workers)
    done = run_cases(wanted, build, stage="ingest", executor=threads, on_done=progress.on_case)
    failures |= {failure.case_id: failure for failure in done.failures}
    return done.by_id(), [failures[plan.case_id] for plan in plans if plan.case_id in failures]


def _set_aside_copies(plans: Sequence[CaseBuild], records: dict[str, dict[str, Any]], state: State) -> None:
    """Set exports aside, and remember them: their files are removed, but need not be read again to know them."""
    built = dict(records)
    for case_id in set_aside_copies(plans, records):
        state.write(case_id, {**built[case_id], "is_copy": True})


def _build(
    plan: CaseBuild, *, out: Path, state: State, mapping: Mapping, scrub: Scrubber, options: IngestOptions,
    said: ScanNotes,
) -> dict[str, Any]:  # fmt: skip
    """Build what of a case is not done yet, and record it."""
    reading: dict[str, object] = {"repair": sorted(options.repair), "suv": options.suv}
    record = state.read(plan.case_id)
    seal = state.image_seal(plan, reading)
    is_copy = bool(record.get("is_copy"))  # its files were removed, but what they would be is known
    if record.get("image_seal") != seal or not (is_copy or _exist(out, record.get("image", {}).get("images", []))):
        state.write(plan.case_id, {})  # what was made before is no longer true, also if this fails
        built = build_image(plan, out, repair=options.repair, suv=options.suv, said=said)
        record = {"image_seal": seal, "image": built._asdict()}
        state.write(plan.case_id, record)
    label_seal = state.label_seal(plan, {**reading, "mapping": mapping.model_dump(mode="json"), "image": seal})
    label = record.get("label", {}).get("label")
    if record.get("label_seal") != label_seal or (label and not is_copy and not _exist(out, [label])):
        record = {key: record[key] for key in ("image_seal", "image")}
        if plan.labels:
            record["label"] = build_label(plan, out, mapping=mapping, scrub=scrub, repair=options.repair)._asdict()
        record["label_seal"] = label_seal
        state.write(plan.case_id, record)
    return record


def _exist(out: Path, paths: Sequence[str]) -> bool:
    return bool(paths) and all((out / path).is_file() for path in paths)
