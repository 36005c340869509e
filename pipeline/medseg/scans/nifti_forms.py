"""The forms by which a NIfTI header places its voxels, read without refusing anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medseg.geometry import Affine, affine_distance_mm
from medseg.scans.nifti import NIFTI_SUFFIXES
from medseg.scans.nifti_header import UNIT_MM, read_header


@dataclass(frozen=True, slots=True, eq=False)
class NiftiForms:
    """Facts of a header about the grid.

    Attributes:
        shape: Voxels along `(i, j, k)`.
        affine: Matrix `(4, 4)` that readers use, in RAS+ millimetres; it may be sheared or broken.
        sform_code: Code of the sform; 0 if the header holds none.
        qform_code: Code of the qform; 0 if the header holds none.
        conflict_mm: Largest distance of a corner between sform and qform; infinite for a broken qform, 0 for one form.
        voxel_type: Name of the stored voxel type, such as `int16`.
        slope: Factor by which stored values are multiplied; 1 where the header scales nothing.
        intercept: Number that is added afterwards.
    """

    shape: tuple[int, int, int]
    affine: Affine
    sform_code: int
    qform_code: int
    conflict_mm: float
    voxel_type: str
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def is_scaled(self) -> bool:
        """Whether the header multiplies or shifts stored values."""
        return (self.slope, self.intercept) != (1.0, 0.0)

    @property
    def scaling_note(self) -> str:
        """A remark on slope and intercept for the end of an error's fact; "" where nothing is scaled."""
        if not self.is_scaled:
            return ""
        return f" (stored values times the header's slope {self.slope:.6g} plus its intercept {self.intercept:.6g})"


def read_nifti_forms(path: Path) -> NiftiForms | None:
    """The forms of a NIfTI file's header; None where the file is not NIfTI or its header cannot be read."""
    import nibabel  # noqa: F401 (whole before its parts: another thread may be importing it)
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    if not path.name.lower().endswith(NIFTI_SUFFIXES):
        return None
    try:
        with np.errstate(all="ignore"):
            return _forms(read_header(path)[0])
    except (HeaderDataError, WrapStructError, EOFError, OSError, ValueError, KeyError):
        return None


def _forms(header: Any) -> NiftiForms:
    i, j, k = ([max(int(size), 1) for size in header.get_data_shape()] + [1, 1, 1])[:3]
    unit_mm = UNIT_MM.get(str(header.get_xyzt_units()[0]), 1.0)
    slope, intercept = _scaling(float(header["scl_slope"]), float(header["scl_inter"]))
    codes = int(header["sform_code"]), int(header["qform_code"])
    return NiftiForms(
        (i, j, k),
        np.diag([unit_mm, unit_mm, unit_mm, 1.0]) @ header.get_best_affine(),
        *codes,
        conflict_mm=_conflict_mm(header, (i, j, k)) * unit_mm if min(codes) > 0 else 0.0,
        voxel_type=header.get_data_dtype().name,
        slope=slope,
        intercept=intercept,
    )


def _scaling(slope: float, intercept: float) -> tuple[float, float]:
    """Slope and intercept that count; a slope of 0 means that there is no scaling (NIfTI-1, scl_slope)."""
    return (slope, intercept) if np.isfinite([slope, intercept]).all() and slope != 0 else (1.0, 0.0)


def _conflict_mm(header: Any, shape: tuple[int, int, int]) -> float:
    import nibabel  # noqa: F401 (whole before its parts: another thread may be importing it)
    from nibabel.spatialimages import HeaderDataError

    try:
        distance_mm = affine_distance_mm(shape, header.get_sform(), header.get_qform())
    except (HeaderDataError, ValueError):
        return float("inf")
    return distance_mm if np.isfinite(distance_mm) else float("inf")
