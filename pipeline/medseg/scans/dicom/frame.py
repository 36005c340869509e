"""One image plane: its position, and its marks among other planes at the same position."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from medseg.geometry import Triple

Orientation = tuple[float, float, float, float, float, float]


class Marks(NamedTuple):
    """Marks that separate time points, echoes and acquisitions of one series, in the order in which they are tried.

    Each is a text, "" where the file does not give it; two frames differ in a mark if the texts differ. `file` is the
    UID of a file that holds several frames: a mosaic or an enhanced image is one time point, or several. `coding` is
    how the file stores its values, which says nothing of what they mean and so comes last.
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
    coding: str = ""


NO_MARKS = Marks()


@dataclass(frozen=True, slots=True)
class Frame:
    """One plane of pixels.

    Attributes:
        path: File that holds the plane.
        index: Number of the frame in the file, from 0.
        position_mm: (0020,0032), LPS+ millimetres of the centre of the first pixel; None if not given.
        orientation: (0020,0037), direction of a row and of a column; None if not given.
        spacing_mm: Distance between rows and between columns; None if not given.
        rows: Height in pixels.
        columns: Width in pixels.
        slope: (0028,1053).
        intercept: (0028,1052).
        marks: Marks that separate it from other frames at the same position.
        tiles_per_side: Tiles along a side of the Siemens mosaic that holds the frame; 1 for all other files.
        thickness_mm: (0018,0050); None if not given.
        number: Instance number of the file; None if not given.
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
    tiles_per_side: int = 1
    thickness_mm: float | None = None
    number: int | None = None
