"""The pages on which a folder of masks is reviewed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medseg.atomic import check_writable
from medseg.cohort import CASE_ERRORS
from medseg.delivery.review import MOST_LABELS, PageLimits, ReviewCase, Structure, make_case, write_pages
from medseg.errors import ConfigError, DeliveryError
from medseg.inference.case_record import CaseRecord
from medseg.inference.inputs.find_source import SourcePlaces, find_source
from medseg.inference.mask_folder import file_sha256
from medseg.inference.mask_page import draw_preview, picture_path, reading_order, take_preview
from medseg.inference.record import PredictionRecord, load_record
from medseg.manifest.case_scans import check_same_grid
from medseg.records import Failure, Labelmap, Scan
from medseg.runs.progress import Progress, Silence
from medseg.scans import read_label
from medseg.terms import structure_colours


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """Choices of a review page.

    Attributes:
        out: File of the page; further pages get a number at the end of their names.
        sources: Folders in which the scans are looked for, if they are not where the prediction read them.
        pseudonyms: Private table of the prediction, if its ids are pseudonyms.
        cases: Ids of the cases to review; all if not given.
        limits: Limits of a page.
    """

    out: Path
    sources: tuple[Path, ...] = ()
    pseudonyms: Path | None = None
    cases: tuple[str, ...] = ()
    limits: PageLimits = field(default_factory=PageLimits)


@dataclass(frozen=True, slots=True)
class BuiltReview:
    """Review pages.

    Attributes:
        files: Pages in their order.
        cases: Ids of the cases, in the order in which they are shown.
        failures: Cases that could not be shown, with the reasons.
        warnings: Sentences for the person who made the pages.
    """

    files: tuple[Path, ...]
    cases: tuple[str, ...]
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]


def build_review(masks: Path, settings: BuildSettings, *, progress: Progress | None = None) -> BuiltReview:
    """Write pages with the scans and masks of a folder, the masks that are most worth a reader's time first.

    Args:
        masks: Folder of a prediction.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        ConfigError: If there is no record of the folder, or it has too many labels or none of the cases asked for.
        DeliveryError: If the record is damaged, no case can be shown, or a page cannot be written.
    """
    check_writable(settings.out.parent, option="out")
    record = masks_record(masks)
    chosen = _chosen(record, settings.cases)
    work = _Build(record, masks, settings)
    with (progress or Silence()).over_cases(len(chosen), "review") as on_done:
        pages = write_pages(
            work.cases(chosen, on_done),
            settings.out,
            structures=work.structures,
            title=_title(record),
            limits=settings.limits,
        )
    if not pages.files:
        reasons = "; ".join(failure.reason for failure in work.failures[:3])
        raise DeliveryError(f"review page must show at least one case, got none: {reasons}")
    return BuiltReview(pages.files, pages.cases, tuple(work.failures), pages.warnings)


def masks_record(masks: Path) -> PredictionRecord:
    """The record of a folder of masks.

    Raises:
        ConfigError: If there is none.
        DeliveryError: If it is damaged.
    """
    record = load_record(masks)
    if record is None:
        raise ConfigError(
            f"folder {masks} must hold predictions.json of medseg predict, got none",
            remedy="give the folder that predict wrote",
        )
    return record


class _Build:
    """Encodes cases one after the other; one that fails is noted."""

    def __init__(self, record: PredictionRecord, masks: Path, settings: BuildSettings) -> None:
        self.structures = structures_of(record)
        self.failures: list[Failure] = []
        self._masks, self._settings = masks, settings
        self._places = SourcePlaces.of(settings.sources, pseudonyms=settings.pseudonyms)

    def cases(self, records: Sequence[CaseRecord], on_done: Callable[[str], None]) -> Iterator[ReviewCase]:
        for record in records:
            try:
                case = self._case(record)
            except CASE_ERRORS as error:
                self.failures.append(Failure.of(record.case_id, "show", error))
            else:
                yield case
            on_done(record.case_id)

    def _case(self, record: CaseRecord) -> ReviewCase:
        path = self._masks / record.mask
        digest = file_sha256(path)
        mask, grid = read_label(path, case_id=record.case_id)
        scan = find_source(record, self._places)
        check_same_grid(grid, scan.geometry, case_id=record.case_id, thing="mask", reference="scan")
        is_edited = record.is_edited or (record.mask_sha256 is not None and record.mask_sha256 != digest)
        return make_case(
            record.model_copy(update={"mask_sha256": digest, "is_edited": is_edited}),
            scan,
            mask,
            structures=self.structures,
            picture=self._picture(record.case_id, scan, mask, is_edited=is_edited),
            most_bytes=round(self._settings.limits.image_mb * 1e6),
        )

    def _picture(self, case_id: str, scan: Scan, mask: Labelmap, *, is_edited: bool) -> bytes:
        """The picture that predict drew; a new one where there is none, or the mask was changed."""
        path = picture_path(self._masks, case_id)
        if path.is_file() and not is_edited:
            return path.read_bytes()
        return draw_preview(take_preview(scan), mask, {one.value: one.colour for one in self.structures})


def structures_of(record: PredictionRecord) -> tuple[Structure, ...]:
    """The structures of a folder's labels, with their colours.

    Raises:
        ConfigError: If there are more than a page can tell apart.
    """
    names = [name for name, value in record.labels.items() if value != 0]
    if len(names) > MOST_LABELS:
        raise ConfigError(
            f"masks for a review must have at most {MOST_LABELS} labels, got {len(names)}",
            remedy="review them in a program such as 3D Slicer",
        )
    colours = structure_colours(names)
    return tuple(Structure(name, record.labels[name], colours[name]) for name in names)


def _chosen(record: PredictionRecord, wanted: Sequence[str]) -> list[CaseRecord]:
    known = {case.case_id for case in record.cases}
    unknown = [case_id for case_id in wanted if case_id not in known]
    if unknown or not known:
        fact = f"got {unknown[0]!r}" if unknown else "got a folder without masks"
        raise ConfigError(
            f"cases to review must be among the {len(known)} of predictions.json, {fact}",
            remedy="give ids that it lists",
        )
    return reading_order(case for case in record.cases if not wanted or case.case_id in wanted)


def _title(record: PredictionRecord) -> str:
    return "masks of " + ("; ".join(model.dataset for model in record.models) or "an unknown model")
