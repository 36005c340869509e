"""The mask of one received scan, drawn while other scans are read and other masks written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock

from medseg.inference.inputs import CaseInput
from medseg.inference.mask_folder import MaskFolder
from medseg.inference.mask_settings import MaskSettings
from medseg.inference.requests import RequestLimits, only_case
from medseg.inference.segmentation.case_stages import CaseStages
from medseg.inference.segmentation.mask_model import MaskModel
from medseg.inference.segmentation.serving.network_size import check_network_size
from medseg.inference.segmentation.serving.stoppable import StoppablePrepared, check_stop
from medseg.inference.sidecar import Sidecar, load_sidecar, sidecar_path
from medseg.inference.source_record import SourceRecord


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """A mask that was drawn for a request.

    Attributes:
        path: File of the mask, under the name of the request.
        sidecar: Its record under the scan's own name, without any path of this machine.
    """

    path: Path
    sidecar: Sidecar


class MaskDrawer:
    """Draws the masks of received scans, as `predict_cases` draws them.

    Calls may come from several threads; the networks that share a lock draw one scan at a time.

    Args:
        model: Loaded model.
        turn: Lock of the device, which other models there share.
        limits: Limits of each request; the usual ones if not given.
    """

    def __init__(self, model: MaskModel, *, turn: Lock, limits: RequestLimits | None = None) -> None:
        self.model, self.limits = model, limits or RequestLimits()
        self._turn = turn
        self._faster: MaskModel | None = None

    def draw(self, place: Path, out: Path, *, name: str, stop: Event, fast: bool = False) -> DrawnMask:
        """Draw the mask of the one case of a folder.

        Args:
            place: Folder of the scan, as `place_received` leaves it.
            out: Folder of the mask, new or empty.
            name: Made-up name of the request, by which logs and the mask's file know the case.
            stop: Set once nobody waits for the mask.
            fast: Whether speed counts more than the last bit of accuracy.

        Raises:
            PipelineError: If there is no case, more than one, one that is too large, or one that cannot be drawn.
            StoppedError: If nobody waits any more.
        """
        model = self._model(fast=fast)
        found = only_case(place, channels=model.channels, limits=self.limits)
        check_network_size(model, found, self.limits)
        case = replace(found, case_id=name, source=_without_paths(found, place))
        settings = MaskSettings.of(model.identities, model.labels, {"fast": True} if fast else {})
        with MaskFolder.opened(out, settings) as folder:
            stages = CaseStages(model, folder)
            check_stop(stop)
            read = stages.read(case)
            if read.prepared is not None:
                read.prepared = StoppablePrepared(read.prepared, stop)
            with self._turn:
                drawn = stages.draw(case, read)
            written = stages.write(case, drawn)
        return DrawnMask(written.mask_path, self._sidecar(out, name, found.case_id))

    def _model(self, *, fast: bool) -> MaskModel:
        if not fast:
            return self.model
        self._faster = self._faster or self.model.faster()
        return self._faster

    def _sidecar(self, out: Path, name: str, case_id: str) -> Sidecar:
        """The record that was written, under the name of the scan."""
        sidecar = load_sidecar(sidecar_path(out, name))
        if sidecar is None:
            raise RuntimeError("a mask that was written has no sidecar")
        mask = sidecar.mask.replace(name, case_id, 1)
        known = {"case_id": case_id, "mask": mask, "in_training": case_id in self.model.seen_cases}
        return sidecar.model_copy(update=known)


def _without_paths(case: CaseInput, place: Path) -> SourceRecord | None:
    """What the case is read from, as the client names it."""
    if case.source is None:
        return None
    return case.source.model_copy(
        update={
            "files": tuple(_below(name, place) for name in case.source.files),
            "series": tuple(
                one.model_copy(update={"folders": tuple(_below(name, place) for name in one.folders)})
                for one in case.source.series
            ),
        }
    )


def _below(name: str, place: Path) -> str:
    path = Path(name)
    return path.relative_to(place).as_posix() if path.is_relative_to(place) else path.name
