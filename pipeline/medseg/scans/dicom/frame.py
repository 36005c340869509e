"""One image plane: where it lies, and what tells it from another plane at the same place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from medseg.geometry import Triple

Orientation = tuple[float, float, float, float, float, float]


class Marks(NamedTuple):
    """What tells time points, echoes and acquisitions of one series apart, in the order in which it is tried.

    Texts, "" where a file does not say; two frames differ in a mark if the texts do. `file` is the file's UID where it
    holds several frames: a mosaic or an enhanced image is one time point, or several.
    """

    file: str = ""
    image_type: str = ""
    temporal_position: str = ""
    echo: str = ""
    b_value: str = ""
    gradient: str = ""
    inversion_time: str = ""
    flip_angle: str = ""
    stack: str = ""
    trigger_time: str = ""
    frame_reference_time: str = ""
    acquisition: str = ""
    acquisition_time: str = ""
    content_time: str = ""


NO_MARKS = Marks()


@dataclass(frozen=True, slots=True)
class Frame:
    """One plane of pixels.

    Attributes:
        path: The file.
        index: Number of the frame in the file, from 0.
        position_mm: (0020,0032), LPS+ millimetres of the centre of the first pixel; None where not given.
        orientation: (0020,0037), direction of a row and of a column; None where not given.
        spacing_mm: Between rows and between columns; None where not given.
        rows: Height in pixels.
        columns: Width in pixels.
        slope: (0028,1053).
        intercept: (0028,1052).
        marks: What tells it from other frames at the same place.
        instance_number: (0020,0013), only to tell where slices are missing; never for the order.
        tiles_per_side: Frames of a Siemens mosaic lie in a square of so many tiles per side; 1 for all others.
    """

    path: Path
    index: int
    position_mm: Triple | None
    orientation: Orientation | None
    spacing_mm: tuple[float, float] | None
    rows: int
    columns: int
    slope: float = 1.0
    intercept: float = 0.0
    marks: Marks = NO_MARKS
    instance_number: int = 0
    tiles_per_side: int = 1
