"""The errors of a predicted quantity in one case or one structure."""

from __future__ import annotations

from math import inf, log10, nan

from medseg.evaluation.regression.same_grid import check_same_shape
from medseg.evaluation.regression.ssim import ssim
from medseg.evaluation.regression.voxel_errors import known_range, voxel_errors
from medseg.geometry import Triple
from medseg.records import Array, Mask


def quantity_metrics(
    reference: Array,
    predicted: Array,
    *,
    spacing_mm: Triple,
    where: Mask | None = None,
    value_range: tuple[float, float] | None = None,
    prescription: float | None = None,
) -> dict[str, float]:
    """Compare a predicted volume with its reference where the reference is known.

    | metric | meaning |
    | --- | --- |
    | `mae` | mean of abs(predicted - reference) |
    | `rmse` | root of the mean squared difference |
    | `bias` | mean of predicted - reference |
    | `psnr_db` | 10 log10(range² / mean squared difference), in decibels; infinite for equal volumes |
    | `ssim` | structural similarity, as `ssim` has it |
    | `mae_percent` | `mae` in percent of the prescription; only with one |

    Args:
        reference: Values of shape `(I, J, K)`; NaN where they are not known.
        predicted: Values on the same grid and in the same unit; NaN makes the numbers NaN.
        spacing_mm: Voxel size along `(i, j, k)`. The windows of `ssim` are those of the literature, in voxels.
        where: Voxels that count, bool, such as a structure; all if not given.
        value_range: Smallest and largest value that the quantity takes; those of the whole reference if not given.
        prescription: Value that was asked for, in the same unit.

    Returns:
        Value by name; all are NaN if no voxel counts, `psnr_db` and `ssim` also if the range is 0.

    Raises:
        GeometryError: If the shapes differ.
    """
    check_same_shape(reference, predicted, where)
    low, high = known_range(reference) if value_range is None else value_range
    width = high - low
    errors = voxel_errors(reference, predicted, where)
    values = {
        "mae": errors.mean_absolute,
        "rmse": errors.root_mean_square,
        "bias": errors.mean,
        "psnr_db": _psnr_db(errors.mean_square, width),
        "ssim": ssim(reference, predicted, value_range=width, where=where) if errors.voxels else nan,
    }
    if prescription is not None:
        values["mae_percent"] = 100 * errors.mean_absolute / prescription
    return values


def _psnr_db(mean_square: float, width: float) -> float:
    if not width > 0 or mean_square != mean_square:
        return nan
    return 10 * log10(width**2 / mean_square) if mean_square else inf
