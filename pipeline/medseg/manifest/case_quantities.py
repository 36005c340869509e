"""Reading of the quantities of a case, with checks against the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.manifest.case_scans import check_same_grid, check_sums, read_case_image
from medseg.records import Array, Case, Manifest, Scan
from medseg.scans import read_quantity


class CaseQuantities(NamedTuple):
    """A case in memory: the image, and the values of its quantities on the same grid.

    Attributes:
        image: Channels of the case.
        values: float32 `(Q, I, J, K)` in units and in the order of the manifest; NaN where one is not known.
    """

    image: Scan
    values: Array


def read_case_with_quantities(case: Case, manifest: Manifest, root: Path) -> CaseQuantities:
    """Read the image and the quantities of a case for training.

    Raises:
        ScanError: If a file cannot be used, or a quantity has no file, infinite values, or no known voxel.
        GeometryError: If image and quantities lie on different grids.
    """
    image = read_case_image(case, manifest, root)
    return CaseQuantities(image, read_case_quantities(case, manifest, root, grid=image.geometry))


def read_case_quantities(case: Case, manifest: Manifest, root: Path, *, grid: Geometry) -> Array:
    """Read the values of a case's quantities.

    Args:
        case: Case to read.
        manifest: Dataset, which names the quantities.
        root: Folder that paths are relative to.
        grid: Grid of the case's image.

    Returns:
        float32 `(Q, I, J, K)` in units, in the order of the manifest; NaN where a value is not known.

    Raises:
        ScanError: If a quantity has no file, its file cannot be read, or it holds infinite values or nothing known.
        GeometryError: If a quantity lies on another grid than the image.
    """
    wanted = list(manifest.quantities or {})
    files = case.quantities or {}
    missing = [name for name in wanted if name not in files]
    if missing:
        raise ScanError(
            f"quantities must name a file for each of {wanted}, got none for {missing}",
            remedy="add them, or move the case to test",
            case_id=case.case_id,
        )
    check_sums(case, [files[name] for name in wanted], root)
    values = np.empty((len(wanted), *grid.shape), np.float32)
    for place, name in enumerate(wanted):
        read, geometry = read_quantity(root / files[name], case_id=case.case_id)
        thing = f"quantity {name}"
        check_same_grid(geometry, grid, case_id=case.case_id, thing=thing, reference="image", by="linear interpolation")
        check_known(read, thing=thing, case_id=case.case_id)
        values[place] = read
    return values


def check_known(values: Array, *, thing: str, case_id: str) -> None:
    """Stop if a quantity has infinite values, or no known one.

    Raises:
        ScanError: If it has.
    """
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise ScanError(
            f"{thing} must hold finite values, or NaN where one is not known, got {infinite} infinite voxels",
            remedy="write NaN where the value is not known",
            case_id=case_id,
        )
    if np.isnan(values).all():
        raise ScanError(
            f"{thing} must be known in at least one voxel, got NaN in all",
            remedy="export it again, or drop the case",
            case_id=case_id,
        )
