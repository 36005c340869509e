"""Work that workers of a cluster import."""

from __future__ import annotations

import logging
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from medseg.inference.classification import SlicePredictor
from medseg.inference.segmentation import Predictor


@dataclass(frozen=True)
class Deadly:
    """A case whose worker dies of it as often as it is said, counted in a folder that all workers see."""

    case_id: str
    folder: Path
    deaths: int = 0
    seconds: float = 0.0


def die(case: Deadly) -> int:
    """Die, or give the number of the attempt that lives."""
    marks = case.folder / case.case_id
    marks.mkdir(exist_ok=True)
    attempt = len(list(marks.iterdir())) + 1
    (marks / str(attempt)).touch()
    if attempt <= case.deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(case.seconds)
    return attempt


def meet(case: Deadly) -> tuple[int, str]:
    """Wait for another process to work at the same time, warn, and give the number and the folder of this one."""
    (case.folder / str(os.getpid())).touch()
    end = time.monotonic() + 120
    while len(list(case.folder.iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    logging.getLogger("medseg.scans").warning("case %s: its header is odd", case.case_id)
    return os.getpid(), str(Path.cwd())


def hungry(case: Deadly) -> int:
    """Lack memory as often as it is said."""
    marks = case.folder / case.case_id
    marks.mkdir(exist_ok=True)
    attempt = len(list(marks.iterdir())) + 1
    (marks / str(attempt)).touch()
    if attempt <= case.deaths:
        raise MemoryError
    return attempt


class CountedModel:
    """Loads the model of knowing steps, and leaves a mark of each time in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> tuple[Predictor, SlicePredictor | None]:
        from tests.cohort.test_every_loop import segmenter

        (self.folder / f"loaded_by_{os.getpid()}").touch()
        return segmenter(), None
