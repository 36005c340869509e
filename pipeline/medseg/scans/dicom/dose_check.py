"""A written RT Dose read back by two libraries and compared with the dose that it should hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.records import Array
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.dose_reading import read_dose

_RELATIVE = 1e-6  # of a dose
_OF_HIGHEST = 1e-9  # of the highest dose, which 32-bit numbers keep to 1.2e-10


def check_rtdose(path: Path, dose_gy: Array, geometry: Geometry) -> tuple[str, ...]:
    """Compare an RT Dose with what it should hold, voxel by voxel and in millimetres.

    Args:
        path: The file.
        dose_gy: Expected dose, shape `(I, J, K)`.
        geometry: Expected grid.

    Returns:
        Libraries that found the dose, with their versions.

    Raises:
        DeliveryError: If one of them finds another dose, or another place.
        ScanError: If the file cannot be read.
    """
    import pydicom
    import SimpleITK as sitk

    found = {f"pydicom {pydicom.__version__}": _by_pydicom(path), f"SimpleITK {sitk.__version__}": _by_simpleitk(path)}
    for library, (values, grid) in found.items():
        values, grid = _in_order(values, grid, geometry)
        if not grid.is_close(geometry):
            raise DeliveryError(
                f"RT Dose: {library} must find the grid that was written, got {grid.difference(geometry)}",
                remedy="report this as a fault of medseg",
            )
        highest = float(dose_gy.max(initial=0))
        if not np.allclose(values, dose_gy, rtol=_RELATIVE, atol=_OF_HIGHEST * highest):
            worst = float(np.abs(values - dose_gy).max())
            raise DeliveryError(
                f"RT Dose: {library} must find the doses that were written, got differences up to {worst:.3g} Gy",
                remedy="report this as a fault of medseg",
            )
    return tuple(found)


def _by_pydicom(path: Path) -> tuple[Array, Geometry]:
    scan = read_dose(path).scan
    return scan.array[0], scan.geometry


def _by_simpleitk(path: Path) -> tuple[Array, Geometry]:
    """Doses and grid as ITK reads them, which leaves the factor that leads to Gy to its user."""
    import SimpleITK as sitk

    with reading_dicom("dose"):
        image = sitk.ReadImage(str(path))
        scaling = float(image.GetMetaData("3004|000e"))
    steps = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    grid = Geometry.from_lps_axes(
        image.GetSize(), origin_mm=np.array(image.GetOrigin()), steps_mm=(steps[:, 0], steps[:, 1], steps[:, 2])
    )
    return sitk.GetArrayViewFromImage(image).transpose(2, 1, 0) * scaling, grid


def _in_order(values: Array, grid: Geometry, wanted: Geometry) -> tuple[Array, Geometry]:
    """Doses with their planes in the order of another grid, which may count them from the other end."""
    if float(grid.affine[:3, 2] @ wanted.affine[:3, 2]) < 0:
        return values[:, :, ::-1], grid.permuted((0, 1, 2), flips=(False, False, True))
    return values, grid
