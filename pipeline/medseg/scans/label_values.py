"""Label values: the scaled values of a file, as every other program shows them, rounded to whole numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medseg.errors import ScanError
from medseg.records import Array, Labelmap, Mask
from medseg.scans.nifti_forms import read_nifti_forms

_NOISE = 5e-5  # share of a value: single-precision arithmetic of other programs, such as 1.0000153
_COARSEST = 0.02  # largest deviation that is still no fraction
_SHOWN = 5


def whole_label(values: Array, *, path: Path, case_id: str) -> Labelmap:
    """Label values that are whole within rounding, as unsigned integers.

    A value may be off by the noise of single precision, or, in a file of integers under a small slope, by half of that
    slope: labels 0, 1 and 2 that a program spread over 0 to 255 are stored as 0, 128 and 255.

    Args:
        values: Scaled values of shape `(I, J, K)`, of any real type.
        path: File that they come from; its header is read again where a value is refused or scaled.
        case_id: Id of the case, for errors.

    Returns:
        The values in the smallest unsigned type that holds them.

    Raises:
        ScanError: If a value is a fraction, not finite or negative; the error names the values and the slope.
    """
    if values.dtype.kind in "uib":
        whole = values
    else:
        whole, fractions = _rounded(values, step=integer_step(path))
        _refuse(fractions, f"label {path.name} must hold whole numbers, got fractions or NaN:", path, case_id=case_id)
    _refuse(np.unique(whole[whole < 0]), f"label {path.name} must not be negative, got", path, case_id=case_id)
    largest = int(whole.max()) if whole.size else 0
    return whole.astype(np.min_scalar_type(largest), copy=False)


def _refuse(values: Array, rule: str, path: Path, *, case_id: str) -> None:
    """Stop if there are values that break a rule."""
    if not values.size:
        return
    shown = ", ".join(f"{float(value):.6g}" for value in values[:_SHOWN])
    more = f" and {values.size - _SHOWN} more" if values.size > _SHOWN else ""
    raise ScanError(
        f"{rule} {shown}{more}{scaling_note(path)}",
        remedy="export it again as a label map, not as a probability or a resampled image",
        case_id=case_id,
    )


def scaling_note(path: Path) -> str:
    """A remark on the slope and intercept of a file, for the end of an error's fact; "" where it has none."""
    forms = read_nifti_forms(path)
    return forms.scaling_note if forms is not None else ""


def integer_step(path: Path) -> float:
    """Distance of neighbouring values in a file that stores integers; 0 where it stores fractions."""
    forms = read_nifti_forms(path)
    is_fine = forms is None or not forms.is_scaled or forms.voxel_type.startswith("float")
    return 0.0 if forms is None or is_fine else abs(forms.slope)


def _rounded(values: Array, *, step: float) -> tuple[Labelmap, Array]:
    """Whole numbers, plane by plane since a plane's copies are small, and the values that are none."""
    whole = np.zeros(values.shape, np.int64)
    refused = []
    for k in range(values.shape[2]):
        plane = values[:, :, k].astype(np.float64)
        is_whole = are_whole(plane, step=step)
        whole[:, :, k] = np.rint(np.where(is_whole, plane, 0))
        refused.append(np.unique(plane[~is_whole]))
    return whole, np.unique(np.concatenate(refused)) if refused else np.zeros(0)


def are_whole(values: Array, *, step: float = 0.0) -> Mask:
    """Values that are whole numbers within rounding, as a mask of their shape.

    Args:
        values: Scaled values of any shape.
        step: Distance of neighbouring values in a file that stores integers; 0 where it stores fractions.
    """
    values = values.astype(np.float64, copy=False)
    with np.errstate(invalid="ignore"):
        nearest = np.rint(values)
        tolerance = np.clip(_NOISE * np.maximum(1, np.abs(values)), min(0.51 * step, _COARSEST), _COARSEST)
        return np.asarray((np.abs(values - nearest) <= tolerance) & (np.abs(nearest) < 2**53))
