"""The three stages of a case's prediction: a scan is read and prepared, its mask drawn, and the mask written."""

from __future__ import annotations

import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medseg.atomic import atomic_path
from medseg.cohort import CASE_ERRORS
from medseg.errors import ScanError
from medseg.inference.device_name import device_name
from medseg.inference.head_record import HeadRecord
from medseg.inference.inputs import CaseInput, check_channels, input_digest, read_input, warn_of_constant
from medseg.inference.mask_folder import MAPS, MaskFolder, file_sha256
from medseg.inference.mask_page import Preview, draw_preview, picture_path, take_preview
from medseg.inference.record import RECORD_NAME, SOFTWARE
from medseg.inference.reviewer import Review, Reviewer
from medseg.inference.segmentation.head.scores import head_scores, record_of
from medseg.inference.segmentation.mask_model import Drawing, MaskModel, PreparedMask
from medseg.inference.segmentation.out_of_fold import OutOfFold
from medseg.inference.segmentation.quality import CaseCheck, Quality, QualityChecker
from medseg.inference.sidecar import Sidecar
from medseg.inference.source_record import SourceRecord
from medseg.records import Labelmap, Prediction, Scan
from medseg.scans import mask_suffix, write_mask
from medseg.scans.segment import Colour
from medseg.targets import VoxelTarget, regions_of
from medseg.terms import structure_colours

if TYPE_CHECKING:
    from medseg.inference.segmentation.probability_maps import ProbabilityMaps

_LONGEST_NAME = 255  # bytes, on the file systems of Linux, macOS and Windows alike
_DIGITS = 5  # significant ones of a volume
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ReadCase:
    """A scan that was read and prepared; its voxels are gone.

    Attributes:
        model: Model that draws the case.
        grid: The scan without its voxels.
        prepared: What the model needs of the scan; None once the mask is drawn.
        review: Review by a slice classifier; None without one.
        check: Check of scan and mask by what the model knows of its training.
        source: What the scan was read from, with its checksum.
        clock: Time of the work on the case.
        preview: Scan at the size of a small picture; None where no picture is wanted or it cannot be made.
    """

    model: MaskModel
    grid: Scan
    prepared: PreparedMask | None
    review: Review | None
    check: CaseCheck
    source: SourceRecord
    clock: _Clock
    preview: Preview | None = None


@dataclass(frozen=True, slots=True)
class DrawnCase:
    """A mask that was drawn and is not written yet.

    Attributes:
        read: The scan that it was drawn for.
        drawing: The mask.
        maps: Probabilities that it was decided from; None where they are not wanted.
    """

    read: ReadCase
    drawing: Drawing
    maps: ProbabilityMaps | None = None


class CaseStages:
    """Reads, draws and writes the masks of cases, each stage in a thread of its own.

    Args:
        model: Loaded model.
        folder: Folder of the masks.
        reviewer: Slice classifier that chooses the slices to segment and checks the masks; none if not given.
        on_written: Called after each mask, in the thread that writes.
        has_pictures: Whether a small picture of each case is drawn, too.
    """

    def __init__(
        self,
        model: MaskModel,
        folder: MaskFolder,
        *,
        reviewer: Reviewer | None = None,
        on_written: Callable[[], None] = lambda: None,
        has_pictures: bool = False,
    ) -> None:
        self.model, self.folder, self.reviewer = model, folder, reviewer
        self._checkers: dict[int, QualityChecker] = {}
        self._on_written, self._has_pictures = on_written, has_pictures
        self._has_maps = bool(folder.settings.choices.get(MAPS))
        self._device = device_name(model.device)

    def read(self, case: CaseInput) -> ReadCase:
        """Read a scan, check it and prepare it for the model.

        Raises:
            PipelineError: If the scan cannot be used.
        """
        clock, channels = _Clock(), self.model.channels
        with clock.running():
            if f"{case.case_id}.json".casefold() == RECORD_NAME:  # one name on some file systems
                raise ScanError(
                    f"the name must not be that of {RECORD_NAME}",
                    remedy="rename the scan or the case",
                    case_id=case.case_id,
                )
            model = self._model_of(case.case_id)
            source = source_of(case)  # before the scan is read: if it changes in between, it is drawn again next time
            if source.sha256 is not None:
                self.folder.discard(case.case_id)  # its mask is of another input, while one that is gone keeps its mask
            scan = read_input(case, channels=channels)
            check_channels(scan, channels, case_id=case.case_id)
            _check_length(f"{case.case_id}{mask_suffix(scan)}", case_id=case.case_id)
            warn_of_constant(scan, channels, case_id=case.case_id)
            review = self.reviewer.screen(scan, case_id=case.case_id) if self.reviewer else None
            prepared = model.prepare(scan, slab=review.slab if review else None)
            preview = _preview_of(scan, case.case_id) if self._has_pictures else None
            check = self._checker_of(model).begin(scan)
            return ReadCase(model, _without_voxels(scan), prepared, review, check, source, clock, preview)

    def _model_of(self, case_id: str) -> MaskModel:
        return self.model.for_case(case_id) if isinstance(self.model, OutOfFold) else self.model

    def _checker_of(self, model: MaskModel) -> QualityChecker:
        if id(model) not in self._checkers:
            self._checkers[id(model)] = QualityChecker.of(model)
        return self._checkers[id(model)]

    def draw(self, case: CaseInput, read: ReadCase) -> DrawnCase:
        """Draw a mask."""
        with read.clock.running():
            prepared, read.prepared = read.prepared, None
            if prepared is None:
                raise ValueError("a case must be drawn once")
            if not self._has_maps:
                return DrawnCase(read, prepared.draw(observe=read.check.observe))
            return self._draw_with_maps(read, prepared)

    def _draw_with_maps(self, read: ReadCase, prepared: PreparedMask) -> DrawnCase:
        from medseg.inference.segmentation.probability_maps import ProbabilityMaps, draw_with_maps

        maps = ProbabilityMaps(self.folder.path, self.model.target, read.grid.geometry.shape)
        drawing = draw_with_maps(prepared, self.model.target, maps, observe=read.check.observe)
        return DrawnCase(read, drawing, maps)

    def write(self, case: CaseInput, drawn: DrawnCase) -> Prediction:
        """Check and write a mask, and its sidecar once it is whole."""
        read, mask = drawn.read, drawn.drawing.mask
        _warn_of_emptied(case.case_id, drawn.drawing)
        with read.clock.running():
            review = read.review
            if self.reviewer and review:
                review = self.reviewer.check(mask, review)
            quality = read.check.finish(drawn.drawing)
            with self.folder.replacing(case.case_id):
                path = write_mask(mask, read.grid, self.folder.path, case_id=case.case_id)
            if drawn.maps is not None:
                _write_maps(drawn.maps, read.grid, case.case_id, path)
            if read.preview is not None:
                _save_picture(read.preview, mask, self.model, picture_path(self.folder.path, case.case_id))
            volumes = _volumes_ml(mask, read.grid, self.model.target)
        prediction = Prediction(
            case_id=case.case_id,
            mask_path=path,
            seconds=read.clock.seconds,
            peak_memory_bytes=_peak_memory_bytes(),
            volume_ml=volumes,
            in_training=case.case_id in read.model.seen_cases,
            review=review,
        )
        try:
            self.folder.finish(self._sidecar(prediction, drawn, quality))
        except CASE_ERRORS:
            path.unlink()
            raise
        self._on_written()
        return prediction

    def _sidecar(self, prediction: Prediction, drawn: DrawnCase, quality: Quality) -> Sidecar:
        review, model = prediction.review, drawn.read.model
        return Sidecar(
            case_id=prediction.case_id,
            mask=prediction.mask_path.name,
            volume_ml=prediction.volume_ml,
            flags=quality.flags,
            confidence=dict(quality.confidence) if quality.confidence is not None else None,
            disagreement=dict(drawn.drawing.disagreement) if drawn.drawing.disagreement is not None else None,
            quality=review.quality if review else None,
            gate=review.gate if review else None,
            in_training=prediction.in_training,
            seconds=round(prediction.seconds, 3),
            peak_memory_bytes=prediction.peak_memory_bytes,
            source=drawn.read.source,
            mask_sha256=file_sha256(prediction.mask_path),
            labels=model.labels,
            regions=regions_of(model.target),
            software=SOFTWARE,
            date=utc_now(),
            device=self._device,
            models=tuple(identity.origin for identity in model.identities),
            settings_digest=self.folder.settings.digest,
            postprocessed=drawn.drawing.changes if model.postprocessing is not None else None,
            head=self._head_record(prediction.case_id, drawn),
            drawn_by=self.model.places_for(prediction.case_id) if isinstance(self.model, OutOfFold) else None,
        )

    def _head_record(self, case_id: str, drawn: DrawnCase) -> HeadRecord | None:
        """Probabilities of the classes that the model's head found."""
        head = drawn.read.model.head
        if head is None or drawn.drawing.head is None:
            return None
        native = drawn.read.grid.geometry
        return record_of(head_scores(drawn.drawing.head, head, native, case_id=case_id, patient_id=case_id), head)


def _warn_of_emptied(case_id: str, drawing: Drawing) -> None:
    """Say where postprocessing has left nothing of a structure."""
    for change in drawing.changes:
        if change.is_emptied:
            _log.warning(
                "case %s: all of %s is removed, %g ml in %d part(s), each below the smallest volume of the model",
                case_id,
                change.structure,
                change.volume_ml,
                change.parts,
            )


def _write_maps(maps: ProbabilityMaps, grid: Scan, case_id: str, mask: Path) -> None:
    """Write the maps; if that fails, so does the case, whose mask is removed."""
    try:
        maps.write(grid, case_id)
    except CASE_ERRORS:
        mask.unlink()
        raise
    finally:
        maps.close()


def _preview_of(scan: Scan, case_id: str) -> Preview | None:
    """What a picture needs of a scan; a picture that cannot be drawn costs no mask."""
    try:
        return take_preview(scan)
    except CASE_ERRORS as error:
        _log.warning("case %s: no picture of it is drawn: %s", case_id, error)
        return None


def _save_picture(preview: Preview, mask: Labelmap, model: MaskModel, path: Path) -> None:
    """Draw and write a picture; if that fails, the mask is there without one."""
    try:
        picture = draw_preview(preview, mask, _value_colours(model))
        with atomic_path(path) as temporary:
            temporary.write_bytes(picture)
    except CASE_ERRORS as error:
        _log.warning("case %s: no picture of it is drawn: %s", path.stem, error)


def _value_colours(model: MaskModel) -> dict[int, Colour]:
    """Colour of each value of a mask: of the smallest structure that it belongs to."""
    target, colours = model.target, structure_colours(model.target.structures)
    regions = regions_of(target) or {name: (model.labels[name],) for name in target.structures}
    largest_first = sorted(regions, key=lambda name: -len(regions[name]))
    return {value: colours[name] for name in largest_first for value in regions[name]}


def source_of(case: CaseInput) -> SourceRecord:
    """What a case is read from, with the checksum of its bytes where they can be read."""
    source = case.source or SourceRecord(kind="dicom" if case.series else "files")
    try:
        return source.model_copy(update={"sha256": input_digest(case)})
    except OSError:
        return source  # whose reader knows the reason


def utc_now() -> str:
    """The time in UTC to the second, as ISO 8601 writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class _Clock:
    """Sum of the times in which a case was worked on; it waits in between."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start


def _check_length(name: str, *, case_id: str) -> None:
    """Refuse a name that no file can have, before the network is run for it."""
    size = len(os.fsencode(name))
    if size > _LONGEST_NAME:
        raise ScanError(
            f"the name of its mask must be at most {_LONGEST_NAME} bytes long, got {size}",
            remedy="shorten the name of the scan or the case",
            case_id=case_id,
        )


def _without_voxels(scan: Scan) -> Scan:
    return replace(scan, array=np.empty((len(scan.array), 0, 0, 0), scan.array.dtype))


def _volumes_ml(mask: Labelmap, scan: Scan, target: VoxelTarget) -> dict[str, float]:
    volumes = {name: float(count * scan.geometry.voxel_ml) for name, count in target.voxels(mask).items()}
    return {name: float(f"{volume:.{_DIGITS}g}") for name, volume in volumes.items()}


def _peak_memory_bytes() -> int:
    """Largest resident memory of this process so far; kilobytes on Linux, bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
