"""Masks drawn in other processes, as on a cluster: a case goes there by its files, and a record comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from medseg.cohort import Executor
from medseg.inference.case_record import CaseRecord
from medseg.inference.device_name import device_name
from medseg.inference.inputs import CaseInput, input_digest
from medseg.inference.mask_folder import MaskFolder, file_sha256
from medseg.inference.mask_settings import MaskSettings
from medseg.inference.reviewer import Reviewer
from medseg.inference.segmentation.case_stages import CaseStages
from medseg.inference.segmentation.mask_model import MaskModel
from medseg.inference.sidecar import load_sidecar, sidecar_path
from medseg.records import Prediction

LoadModel = Callable[[], tuple[MaskModel, Reviewer | None]]
"""Function that loads a model and its reviewer in the process that calls it; it must be picklable."""


@dataclass(frozen=True, slots=True)
class SentCase:
    """A case on its way to another process.

    Attributes:
        case: The case.
        earlier: Record of its mask from another input or an earlier prediction; None if there is none.
    """

    case: CaseInput
    earlier: CaseRecord | None = None

    @property
    def case_id(self) -> str:
        """Id of the case."""
        return self.case.case_id


@dataclass(frozen=True, slots=True)
class DrawnElsewhere:
    """A mask that another process has written.

    Attributes:
        prediction: The mask.
        record: Its record.
        device: Device that drew it, in words.
    """

    prediction: Prediction
    record: CaseRecord
    device: str


class MaskWork:
    """Draws the masks of cases, in threads of which one reads, one draws and one writes at a time.

    It can be pickled; the model is loaded with the first case and kept. A mask that another process finished before it
    died is taken over.

    Args:
        load: Loads model and reviewer.
        folder: Folder of the masks, which exists and which no other prediction writes to.
        settings: What decides the masks beside the scans.
        has_pictures: Whether a small picture of each case is drawn, too.
    """

    def __init__(self, load: LoadModel, folder: Path, settings: MaskSettings, *, has_pictures: bool) -> None:
        self._load, self._folder, self._settings, self._has_pictures = load, folder, settings, has_pictures
        self._begin()

    def __call__(self, sent: SentCase) -> DrawnElsewhere:
        """Draw a mask and write it.

        Raises:
            PipelineError: If the scan or the model cannot be used.
        """
        finished = self._finished(sent)
        if finished is not None:
            return finished
        stages, case = self._loaded(), sent.case
        if sent.earlier is not None:
            stages.folder.finished[case.case_id] = sent.earlier
        with self._reading:
            read = stages.read(case)
        with self._drawing:
            drawn = stages.draw(case, read)
        with self._writing:
            prediction = stages.write(case, drawn)
        return DrawnElsewhere(prediction, stages.folder.finished[case.case_id], device_name(stages.model.device))

    def _begin(self) -> None:
        self._stages: CaseStages | None = None
        self._loading, self._reading, self._drawing, self._writing = (threading.Lock() for _ in range(4))

    def _loaded(self) -> CaseStages:
        with self._loading:
            if self._stages is None:
                model, reviewer = self._load()
                folder = MaskFolder(self._folder, self._settings, finished={})
                self._stages = CaseStages(model, folder, reviewer=reviewer, has_pictures=self._has_pictures)
            return self._stages

    def _finished(self, sent: SentCase) -> DrawnElsewhere | None:
        """The mask, if it was finished since the case was sent."""
        sidecar = load_sidecar(sidecar_path(self._folder, sent.case_id))
        if sidecar is None or sidecar.settings_digest != self._settings.digest or sidecar.case == sent.earlier:
            return None
        path = self._folder / sidecar.mask
        is_same = sidecar.source is not None and sidecar.source.sha256 == input_digest(sent.case)
        if not is_same or file_sha256(path) != sidecar.mask_sha256:
            return None
        prediction = Prediction(
            sent.case_id,
            path,
            sidecar.seconds,
            sidecar.peak_memory_bytes,
            volume_ml=sidecar.volume_ml,
            in_training=sidecar.in_training,
        )
        return DrawnElsewhere(prediction, sidecar.case, sidecar.device)

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process, which loads the model itself."""
        names = ("_load", "_folder", "_settings", "_has_pictures")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin in another process."""
        self.__dict__.update(state)
        self._begin()


class Elsewhere(NamedTuple):
    """Where masks are drawn, if not in this process.

    Attributes:
        load: Loads model and reviewer there.
        executor: Sends the cases there; it must keep the work in each process from one case to the next.
    """

    load: LoadModel
    executor: Executor
