"""The way of a review into the next version of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from medseg.atomic import check_writable
from medseg.cohort import CASE_ERRORS
from medseg.delivery.review import load_review
from medseg.errors import ConfigError, ManifestError
from medseg.inference.inputs.find_source import SourcePlaces
from medseg.inference.record import PredictionRecord
from medseg.manifest import assign_folds, save_manifest, unannotated
from medseg.manifest.case_scans import check_same_grid
from medseg.manifest.load import ManifestFile, open_manifest
from medseg.manifest.version import next_version
from medseg.records import Case, Failure, LabelReview, Manifest
from medseg.runs.segmentation.review.applied import AppliedReview
from medseg.runs.segmentation.review.build import masks_record
from medseg.runs.segmentation.review.decisions import Decision, decisions_of
from medseg.runs.segmentation.review.log import (
    OUTCOMES,
    beside,
    is_known,
    load_log,
    load_queue,
    log_entries,
    save_log,
    save_queue,
    waiting_case,
)
from medseg.runs.segmentation.review.new_case import make_case
from medseg.runs.segmentation.review.new_label import check_labels, check_mask, make_label, write_label
from medseg.runs.segmentation.review.one_at_a_time import alone_in, check_unchanged
from medseg.runs.segmentation.review.patients import patients_of_new_cases
from medseg.runs.segmentation.review.same_scan import check_same_scan
from medseg.scans import read_grid
from medseg.split import check_target, keep_previous

FOLDER = "reviewed"
"""Folder below the data root for labels that people decided on, and scans that joined with them."""
_MEASURED = "test case(s) got a reviewed mask as their reference: the model that drew it cannot be measured by them"
_PARTIAL = "case(s) no longer list their raters, who had annotated only some of the structures of the reviewed label"
_DOUBTFUL = "rejected case(s) keep the label that an earlier review gave them, until they get another"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplySettings:
    """Choices in taking over a review.

    Attributes:
        dataset: Data set: a `dataset.json` or the folder that holds one.
        out: File of the new version; the data set's own, whose old version is kept, if not given.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        replace: Whether a case that has a label gets the new one; the old file stays.
        patients: CSV with the columns `case_id` and `patient_id`, for scans that are new in the data set.
        sources: Folders in which such scans are looked for, if they are not where the prediction read them.
        pseudonyms: Private table of the prediction, if its ids are pseudonyms.
    """

    dataset: Path
    out: Path | None = None
    data_root: Path | None = None
    replace: bool = False
    patients: Path | None = None
    sources: tuple[Path, ...] = ()
    pseudonyms: Path | None = None


def apply_reviews(masks: Path, reviews: Sequence[Path], settings: ApplySettings) -> AppliedReview:
    """Make accepted and corrected masks labels of a data set, and queue rejected cases for labelling.

    Labels are written to `reviewed/v<version>/` below the data root; no file that was there is changed but the
    manifest, whose old version is kept. The same review can be taken over again: what is known is passed over. One call
    at a time changes a data set; another is refused while it works.

    Args:
        masks: Folder of masks that was reviewed.
        reviews: Files that the review page saved, of one or several readers.
        settings: Choices.

    Raises:
        ConfigError: If the masks have other labels than the data set, or the target may not be written.
        ManifestError: If data set, review or table cannot be read, or a review names a case without a mask.
        DeliveryError: If the record of the masks is damaged, a file cannot be written, or another call is at work on
            the data set.
    """
    record = masks_record(masks)
    decisions = decisions_of([load_review(path) for path in reviews])
    places = open_manifest(settings.dataset, data_root=settings.data_root)
    out = settings.out or places.path
    with alone_in(places.root, places.path.parent, out.parent):
        content = places.path.read_bytes()
        source = open_manifest(settings.dataset, data_root=settings.data_root)  # as an earlier call has left it
        check_labels(record, source.manifest)
        target = _target(source, settings)
        check_writable(source.root, option="data root")
        work = _Work(record, masks, source, target, settings)
        for decision in decisions:
            work.take(decision)
        check_unchanged(source, content)
        return work.finish()


def _target(source: ManifestFile, settings: ApplySettings) -> Path:
    if settings.out is None and not source.is_own:
        raise ConfigError(
            f"manifest {source.path.name}: must be in medseg's own form to hold reviewed labels, got another",
            remedy="name a new file as the output, for the manifest with reviewed labels",
        )
    return check_target(source, settings.out, force=settings.replace)


class _Work:
    """Decisions of one call, and what came of them so far."""

    def __init__(
        self, record: PredictionRecord, masks: Path, source: ManifestFile, target: Path, settings: ApplySettings
    ) -> None:
        self.record, self.masks, self.source, self.target, self.settings = record, masks, source, target, settings
        self.records = {case.case_id: case for case in record.cases}
        self.cases = {case.case_id: case for case in source.manifest.cases}
        self.models = tuple(f"{one.dataset}, {(one.weights_digest or '')[:12]}" for one in record.models)
        self.version = next_version(source.manifest.version)
        self.folder = source.root / FOLDER / f"v{''.join(c if c.isalnum() or c in '.-' else '_' for c in self.version)}"
        self.patients = patients_of_new_cases(settings.patients, settings.pseudonyms)
        self.places = SourcePlaces.of((source.root, *settings.sources), pseudonyms=settings.pseudonyms)
        self.log_path, self.queue_path = beside(target, "reviews"), beside(target, "to_label")
        before = [path if path.exists() else beside(source.path, path_name) for path, path_name in
                  ((self.log_path, "reviews"), (self.queue_path, "to_label"))]  # fmt: skip
        self.log, self.queue = list(load_log(before[0])), list(load_queue(before[1]))
        self.failures: list[Failure] = []
        self.by_outcome: dict[str, list[str]] = {name: [] for name in OUTCOMES}

    def take(self, decision: Decision) -> None:
        """Take over what was decided on one case; a failure is noted and does not stop the others."""
        case_id = decision.case_id
        if is_known(decision, self.log):
            self.by_outcome["known"].append(case_id)
            return
        if self._is_in_manifest(decision):  # of another reader, or a call was killed between the manifest and the log
            self.by_outcome["known"].append(case_id)
            self.queue = [one for one in self.queue if one.case_id != case_id]
            self._note(decision, "label", self.cases[case_id].label)
            return
        if not decision.decided:
            outcome = "undecided"
        elif decision.is_disputed:
            outcome = "disputed"
        elif decision.review.verdict == "rejected":
            outcome = "rejected" if self._has_other_label(case_id) else "queued"
        else:
            outcome = "corrected" if decision.review.edited_voxels else "accepted"
        try:
            if case_id not in self.records:
                raise ManifestError(
                    "a reviewed case must be in predictions.json of the masks, got one that is not",
                    remedy="give the folder of masks that the page was made of",
                    case_id=case_id,
                )
            if outcome in ("rejected", "queued"):
                check_mask(self.records[case_id], decision.review, self.masks)
            if outcome == "queued":
                case, source = self.cases.get(case_id), self.records[case_id].source
                self.queue.append(waiting_case(decision, case, source, patient=self.patients.get(case_id)))
            label = self._add_label(decision, outcome) if outcome in ("accepted", "corrected") else None
        except CASE_ERRORS as error:
            failure = Failure.of(case_id, "apply", error)
            self.failures.append(failure)
            self._note(decision, f"failed: {failure.reason}", None)
            return
        self.by_outcome[outcome].append(case_id)
        self._note(decision, "label" if label else outcome, label)

    def finish(self) -> AppliedReview:
        """Write manifest, queue and log, in this order: what a kill leaves out is written by the next call."""
        labelled = {*self.by_outcome["accepted"], *self.by_outcome["corrected"]}
        done = labelled | {case_id for case_id in self.cases if self._has_other_label(case_id)}
        manifest, file, previous = self.source.manifest, None, None
        if labelled:
            changes = {"version": self.version, "cases": tuple(self.cases.values())}
            manifest = manifest.model_copy(update=changes)
            is_same = self.target.exists() and self.target.samefile(self.source.path)
            previous = keep_previous(self.source) if is_same else None
            save_manifest(manifest, self.target)
            file = self.target
        save_queue(self.queue_path, self.queue, labelled=done)
        save_log(self.log_path, self.log)
        outcomes = {name: tuple(ids) for name, ids in self.by_outcome.items()}
        return AppliedReview(
            manifest=manifest,
            file=file,
            previous=previous,
            root=self.source.root,
            **outcomes,
            failures=tuple(self.failures),
            log=self.log_path,
            queue=self.queue_path,
            warnings=self._warnings(labelled),
        )

    def _add_label(self, decision: Decision, outcome: str) -> str:
        case_id, manifest, root = decision.case_id, self.source.manifest, self.source.root
        record, known = self.records[case_id], self.cases.get(case_id)
        if known is not None and known.has_reference and not self.settings.replace:
            raise ConfigError(
                "case has a label already, which a mask does not replace unasked",
                remedy="use the option replace, which keeps the file of the old label",
                case_id=case_id,
            )
        label = make_label(record, decision.review, self.masks, labels=self.record, manifest=manifest)
        case = known or make_case(
            record, self._with_folds(), root, folder=self.folder / "images", patients=self.patients, places=self.places
        )
        grid = read_grid(root / case.images[0], case_id=case_id).geometry
        check_same_grid(label.grid.geometry, grid, case_id=case_id, thing="mask", reference="image in the data set")
        if known is not None:
            check_same_scan(record, known, manifest, root, places=self.places)
        path = write_label(label, self.folder / "labels", case_id=case_id, is_beside=self.settings.replace)
        self.cases[case_id] = self._labelled(case, path.relative_to(root).as_posix(), label.label_ml, decision, outcome)
        return path.relative_to(root).as_posix()

    def _with_folds(self) -> Manifest:
        """The data set that a new case joins, with those that joined before it.

        Where it has no folds, it gets those that trainings on it have had: with more patients they would be others.
        """
        manifest = self.source.manifest.model_copy(update={"cases": tuple(self.cases.values())})
        with suppress(ManifestError):  # as of a single patient, who makes no folds
            manifest = assign_folds(manifest)
        self.cases = {case.case_id: case for case in manifest.cases}
        return manifest

    def _labelled(self, case: Case, label: str, label_ml: dict[str, float], decision: Decision, outcome: str) -> Case:
        review = LabelReview(
            verdict="corrected" if outcome == "corrected" else "accepted",
            readers=decision.readers,
            decided=decision.review.decided,
            models=self.models,
            mask_sha256=decision.review.mask_sha256,
        )
        changes = {"label": label, "label_ml": label_ml, "slice_labels": None, "label_review": review}
        changes["annotated_labels"] = None  # a person has looked at every structure
        if unannotated(case, self.source.manifest):
            changes["raters"] = None  # who have not, so that their background says nothing of the others
        return case.model_copy(update=changes)

    def _has_other_label(self, case_id: str) -> bool:
        """Whether a case has a label that does not come from a review: a rejected mask says nothing about it."""
        case = self.cases.get(case_id)
        return case is not None and case.has_reference and case.label_review is None

    def _is_in_manifest(self, decision: Decision) -> bool:
        case = self.cases.get(decision.case_id)
        if case is None or case.label_review is None or not decision.decided or decision.is_disputed:
            return False
        review, held = decision.review, case.label_review
        if review.verdict != "accepted" or held.mask_sha256 != review.mask_sha256:
            return False
        if not review.edited_voxels:
            return held.verdict == "accepted"  # whoever accepts it, the mask is the label
        return (held.verdict, held.decided, held.readers) == ("corrected", review.decided, decision.readers)

    def _note(self, decision: Decision, outcome: str, label: str | None) -> None:
        self.log += log_entries(decision, outcome=outcome, label=label, models=self.models, before=self.log)

    def _warnings(self, labelled: set[str]) -> tuple[str, ...]:
        tests = sorted(case_id for case_id in labelled if self.cases[case_id].split == "test")
        cases = [self.cases[one] for one in self.by_outcome["queued"] if one in self.cases]
        doubtful = sorted(case.case_id for case in cases if case.has_reference)
        before = {case.case_id for case in self.source.manifest.cases if case.raters}
        partial = sorted(case_id for case_id in labelled & before if not self.cases[case_id].raters)
        found = ((tests, _MEASURED), (doubtful, _DOUBTFUL), (partial, _PARTIAL))
        return tuple(
            f"{len(ids)} {text}: {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}" for ids, text in found if ids
        )
