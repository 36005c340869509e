"""A dose as the planes and elements of an RT Dose: 32-bit numbers and the factor that leads back to Gy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np

from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.records import Array

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Bits = Literal[16, 32]


def add_dose(dataset: Dataset, dose_gy: Array, geometry: Geometry, *, bits: Bits = 32) -> None:
    """Put a dose and its grid into a data set.

    Planes stand in the order of the normal, with offsets from the first, the form that the standard recommends. With
    32 bits the rounding is at most 1.2e-10 of the largest dose.

    Args:
        dataset: Target.
        dose_gy: Doses of 0 Gy or more, shape `(I, J, K)`.
        geometry: Grid of the dose.
        bits: Bits of each stored number.

    Raises:
        DeliveryError: If a value is negative or not finite, or the shape is not that of the grid.

    Source: PS3.3 C.8.8.3, C.7.6.2 and C.7.6.6.
    """
    from pydicom.tag import Tag

    _check(dose_gy, geometry)
    affine, spacing = geometry.to_lps(), geometry.spacing_mm
    is_flipped = float(np.cross(affine[:3, 0], affine[:3, 1]) @ affine[:3, 2]) < 0
    first = affine[:3, 3] + (affine[:3, 2] * (geometry.shape[2] - 1) if is_flipped else 0)
    dataset.ImagePositionPatient = _decimals(first)
    dataset.ImageOrientationPatient = _decimals([*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1])])
    dataset.PixelSpacing = _decimals([spacing[1], spacing[0]])
    dataset.SliceThickness = _decimals([spacing[2]])[0]
    dataset.NumberOfFrames = geometry.shape[2]
    dataset.FrameIncrementPointer = Tag("GridFrameOffsetVector")
    dataset.GridFrameOffsetVector = _decimals(np.arange(geometry.shape[2]) * spacing[2])
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Columns, dataset.Rows = geometry.shape[:2]
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    dataset.DoseUnits = "GY"
    dataset.DoseGridScaling = scaling = _scaling(float(dose_gy.max()), bits)
    planes = dose_gy[:, :, ::-1] if is_flipped else dose_gy
    stored = np.rint(planes.transpose(2, 1, 0).astype(np.float64) / float(scaling))
    dataset.PixelData = stored.astype(f"<u{bits // 8}").tobytes() + b"\0" * (stored.size * bits // 8 % 2)


def _check(dose_gy: Array, geometry: Geometry) -> None:
    if dose_gy.shape != geometry.shape:
        raise DeliveryError(f"RT Dose: the dose must have the grid's shape {geometry.shape}, got {dose_gy.shape}")
    if not np.isfinite(dose_gy).all() or dose_gy.min() < 0:
        raise DeliveryError("RT Dose: every dose must be known and 0 Gy or more, got others")


def _scaling(highest: float, bits: Bits) -> str:
    """Gy of one stored unit, as a decimal string of 16 characters that is rounded up, so that the highest dose fits."""
    if highest == 0:
        return "1"
    return f"{highest / (2**bits - 1) * (1 + 1e-10):.10e}"


def _decimals(values: Iterable[float]) -> list[str]:
    """Decimal strings of at most 16 characters (PS3.5 6.2, DS)."""
    from pydicom.valuerep import format_number_as_ds

    return [format_number_as_ds(float(value)) for value in values]
