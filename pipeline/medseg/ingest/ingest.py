"""From a folder of scans as hospitals have them to a dataset of NIfTI files with a manifest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from medseg.atomic import write_json, write_text
from medseg.cohort import Executor, ThreadExecutor, run_cases
from medseg.errors import ConfigError, ManifestError
from medseg.ingest.build_case import build_case, build_case_alone
from medseg.ingest.case_build import CaseBuild, group_cases, labels_left_over, labels_not_drawn
from medseg.ingest.case_record import CaseRecord
from medseg.ingest.context import IngestContext, IngestOptions, Progress
from medseg.ingest.copies import COPY, LABEL_OF_COPY, set_aside_copies
from medseg.ingest.dataset import make_manifest, previous_manifest, remove_stale, write_manifest
from medseg.ingest.fates import find_fates
from medseg.ingest.file_roles import find_roles
from medseg.ingest.image_source import ImageSource
from medseg.ingest.key import Pseudonyms
from medseg.ingest.mapping import Mapping, load_mapping, mapping_text, propose_mapping
from medseg.ingest.match import MatchedLabel
from medseg.ingest.match_labels import MASK_BY_VALUES, match_labels
from medseg.ingest.modality import is_of_modality, known_modality, only_modality
from medseg.ingest.nesting import drawing_order
from medseg.ingest.outcome import Outcome
from medseg.ingest.quantity_match import match_quantities
from medseg.ingest.quantity_source import dose_sources
from medseg.ingest.report import IngestReport
from medseg.ingest.scan_notes import catching_notes
from medseg.ingest.scrub import Scrubber, scrubber_of
from medseg.ingest.source_files import LOST_LINK
from medseg.ingest.sources_table import write_sources_table
from medseg.ingest.state import State
from medseg.ingest.walk import Source, walk_source
from medseg.manifest import mixed_channels
from medseg.records import Failure
from medseg.scans.dicom import DOSE_CLASS, LABEL_CLASSES, Instance, quiet_dicom


def ingest(
    source: Path,
    out: Path,
    *,
    names: Pseudonyms,
    mapping_file: Path | None = None,
    options: IngestOptions,
    private: Path | None = None,
    progress: Progress,
    elsewhere: Executor | None = None,
) -> IngestReport:
    """Build a dataset from everything below a folder.

    Finished cases are not read again unless their files changed. A case that cannot be read is reported and does not
    stop the others.

    Args:
        source: Folder of scans and labels, of any depth and with any file names.
        out: Folder of the dataset: new, empty, or begun by an earlier ingest.
        names: Pseudonyms of patients, cases and UIDs.
        mapping_file: Mapping of structures to labels; one is proposed and written to `out` if not given.
        options: Settings of the ingest.
        private: File for what became of every series and file, under their own names; outside of `out`.
        progress: Callbacks that follow the work.
        elsewhere: Executor that builds the cases in other processes; threads of this one if not given.

    Returns:
        Report of the work, as written to `ingest.json`.

    Raises:
        ConfigError: If the mapping is wrong, or a proposed one was edited but not given.
        ManifestError: If `out` cannot be used, its `dataset.json` cannot be read, or nothing was found.
    """
    given = load_mapping(mapping_file) if mapping_file else None
    state = _begin(source, out, names, has_mapping=given is not None)
    with quiet_dicom(), catching_notes() as notes:
        files = walk_source(source, without=out, workers=options.workers, on_file=progress.on_files)
        roles = find_roles(files, source, given, options)
        dose_files = _dose_files(files, given)
        images = [image for image in roles.images if not _is_one_of(image, dose_files)]
        if not images:
            raise _no_scan(files)
        objects = [one for one in files.instances if one.sop_class in LABEL_CLASSES]
        labels = match_labels(objects, roles.masks, images, source, by_values=roles.by_values, workers=options.workers)
        scrub = scrubber_of(files.instances, images, names)
        wanted = [one for one in labels.matched if is_of_modality(one.image, options.modality)]
        mapping = given or _propose_mapping(wanted, scrub, state, out)
        context = IngestContext(out, options, names, mapping, scrub, state, notes)
        grouped = only_modality(group_cases(images, labels.matched, mapping, names), options.modality)
        if all(build.is_aside for build in grouped) and options.modality:
            raise _no_modality(options.modality, images)
        doses = dose_sources(dose_files, workers=options.workers)
        matched = match_quantities(grouped, doses, images, mapping)
        grouped = list(matched.builds)
        _check_ids(grouped, keep_ids=names.keep_ids)
        progress.on_cases(len(grouped))
        builds, records, failures = _build_each_once(grouped, context, progress, elsewhere)
    unused = labels_left_over(grouped, labels.matched)
    unused += [(one, LABEL_OF_COPY) for build in builds if build.refusal == COPY for one in build.labels]
    unused += [found for build in builds if not build.refusal for found in labels_not_drawn(build, records)]
    outcome = Outcome(
        files,
        tuple(builds),
        records,
        tuple(failures),
        labels.lost,
        tuple(unused),
        tuple(images),
        is_regression=bool(mapping.quantities),
        doses=matched.unused,
    )
    fates, manifest = find_fates(outcome), make_manifest(outcome, context)
    report = IngestReport.of(outcome, fates, mixed_channels(manifest) if manifest else (), context)
    remove_stale(outcome, manifest, context)
    write_json(out / "ingest.json", report.document())
    write_manifest(manifest, context)
    if private is not None:
        write_sources_table(fates, private, root=source, names=names)
    return report


def _dose_files(files: Source, mapping: Mapping | None) -> list[Instance]:
    """The RT Dose files of a source, if the mapping has a quantity that is read from them."""
    if mapping is None or not any(rule.is_dose for rule in mapping.quantities.values()):
        return []
    return [one for one in files.instances if one.sop_class == DOSE_CLASS]


def _is_one_of(image: ImageSource, files: Sequence[Instance]) -> bool:
    """Whether an image is of one of some DICOM files."""
    return image.found is not None and any(image.found.first is one for one in files)


def _begin(source: Path, out: Path, names: Pseudonyms, *, has_mapping: bool) -> State:
    """The state of the dataset, once it is known that it may be begun or continued."""
    if out.resolve() in (source.resolve(), *source.resolve().parents):
        raise ManifestError(f"dataset {out.name}: must not hold its own source", remedy="choose another output folder")
    state, proposal = State(out, names), _proposal(out)
    if not has_mapping and not state.is_own_text(proposal):
        raise ConfigError(
            f"mapping {proposal}: was edited", remedy="give it as the mapping, or remove it for a new proposal"
        )
    previous_manifest(out)  # before hours of work, since it is needed at their end
    return state


def _proposal(out: Path) -> Path:
    return out / "mapping.yaml"


def _no_scan(files: Source) -> ManifestError:
    """The error of a source without a scan, raised so that an unmounted share never empties a dataset."""
    unread = [one.reason for one in files.unreadable]
    unread += [one.reason for one in files.passed_over if one.reason == LOST_LINK]
    reason = f"; {len(unread)} file(s) cannot be read: {unread[0]}" if unread else ""
    fact = f"source: must hold a scan, got none in {files.count} file(s){reason}"
    return ManifestError(fact, remedy="check the folder")


def _no_modality(modality: str, images: Sequence[ImageSource]) -> ManifestError:
    """The error of a source without an image of the asked modality."""
    found = ", ".join(sorted({known_modality(image) or "files that give none" for image in images}))
    fact = f"source: must hold an image of the modality {modality}, got {found}"
    return ManifestError(fact, remedy="give one of these as the option modality of medseg ingest, or none")


def _propose_mapping(labels: Sequence[MatchedLabel], scrub: Scrubber, state: State, out: Path) -> Mapping:
    """A mapping of all structures that were found, written for a person to review."""
    by_image: dict[int, list[MatchedLabel]] = defaultdict(list)
    for one in labels:
        by_image[id(one.image)].append(one)
    cases = [(found[0].image.grid, [one.label for one in found]) for found in by_image.values()]
    order = drawing_order(((grid, found) for grid, found in cases if grid is not None), scrub.name)
    beside = [{scrub.name(name) for one in on_one if one.label_object is None for name in one.names}
              for _, on_one in cases]  # fmt: skip
    mapping = propose_mapping((one.label.renamed(scrub.name) for one in labels), order, beside=beside)
    by_values = {scrub.name(name) for one in labels if one.label.kind == MASK_BY_VALUES for name in one.label.names}
    text = mapping_text(mapping, doubtful=sorted(by_values))
    state.remember_text(text)
    write_text(_proposal(out), text)
    return mapping


def _check_ids(builds: Sequence[CaseBuild], *, keep_ids: bool) -> None:
    patients: dict[str, str] = {}
    for build in builds:
        if patients.setdefault(build.patient_id, build.reference.patient) != build.reference.patient:
            remedy = "correct one of the ids in the source" if keep_ids else "ingest with another key and output folder"
            raise ManifestError(f"patient {build.patient_id}: two patients must not share an id", remedy=remedy)


def _build_each_once(
    grouped: Sequence[CaseBuild], context: IngestContext, progress: Progress, elsewhere: Executor | None
) -> tuple[list[CaseBuild], dict[str, CaseRecord], list[Failure]]:
    """Build all cases, and set aside copies of other cases."""
    records, failures = _build_all(grouped, context, progress, elsewhere)
    builds = set_aside_copies(grouped, records)
    records, orphans = _without_copies(builds, records, context.state)
    more, failed = _build_all(orphans, context, progress, elsewhere)
    return builds, {**records, **more}, [*failures, *failed]


def _build_all(
    builds: Sequence[CaseBuild], context: IngestContext, progress: Progress, elsewhere: Executor | None
) -> tuple[dict[str, CaseRecord], list[Failure]]:
    """Build every case that is not finished, in parallel."""
    failures: dict[str, Failure] = {}
    wanted = [build for build in builds if not build.refusal]
    for build in builds:
        if build.refusal:
            if not build.is_aside:
                refused = ManifestError(build.refusal.fact, remedy=build.refusal.remedy)
                failures[build.case_id] = Failure.of(build.case_id, "ingest", refused)
            progress.on_case(build.case_id)
    executor = elsewhere or ThreadExecutor(context.options.workers)
    work = partial(build_case_alone if elsewhere else build_case, context=context)
    done = run_cases(wanted, work, stage="ingest", executor=executor, on_done=progress.on_case)
    failures |= {failure.case_id: failure for failure in done.failures}
    return done.by_id(), [failures[build.case_id] for build in builds if build.case_id in failures]


def _without_copies(
    builds: Sequence[CaseBuild], records: dict[str, CaseRecord], state: State
) -> tuple[dict[str, CaseRecord], list[CaseBuild]]:
    """The cases that go into the dataset, and those to build again, since the case they copied is gone.

    Copies stay in the state: their files are removed, but need not be read again to be recognised.
    """
    orphans = []
    for build in builds:
        record = records.get(build.case_id)
        if record and build.refusal == COPY:
            state.write(build.case_id, record.model_copy(update={"is_copy": True}))
        elif record and record.is_copy:
            state.clear(build.case_id)
            orphans.append(build)
    left_out = {build.case_id for build in (*orphans, *(one for one in builds if one.refusal == COPY))}
    return {case_id: record for case_id, record in records.items() if case_id not in left_out}, orphans
