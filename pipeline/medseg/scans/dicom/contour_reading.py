"""RTSTRUCT read back: by the reader of this package, and by a parser and a rasteriser of others."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.records import Mask, Scan
from medseg.scans.dicom.contours import draw_contours
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.elements import text
from medseg.scans.read_back import ReadBack
from medseg.version import __version__

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Points = npt.NDArray[np.float64]
_TOLERANCE = 0.1  # voxels that a contour may lie off its slice
_MOST_OFF = 0.06  # of a voxel: by which contours of whole voxels may miss their edges and the plane of their slice
_STEPS = 255  # of coverage


def read_rtstruct_with_medseg(path: Path, scan: Scan) -> ReadBack:
    """Read a structure set by the reader that ingest uses, which tests the centres of voxels.

    Args:
        path: RTSTRUCT.
        scan: Scan that it belongs to.

    Raises:
        ScanError: If the file is damaged.
    """
    dataset = _dataset(path)

    def mask(number: int) -> Mask:
        one = _only(dataset, number)
        with reading_dicom("label"):
            drawn = next(draw_contours(one, scan.geometry, _TOLERANCE), None)
        return np.zeros(scan.geometry.shape, bool) if drawn is None else drawn[1]

    return ReadBack(
        library=f"medseg {__version__}",
        geometry=scan.geometry,
        names=_names(dataset),
        numbers=_with_contours(dataset),
        mask=mask,
    )


def read_rtstruct_independently(path: Path, scan: Scan) -> ReadBack:
    """Read a structure set by pydicom and matplotlib's Anti-Grain Geometry alone.

    Contours of a slice are combined by an exclusive or, as most readers do. Masks of voxels are exact only in contours
    that cover all of a voxel or nothing: one that runs through voxels was shifted or scaled, although a reader that
    tests centres would find every voxel.

    Args:
        path: RTSTRUCT.
        scan: Scan that it belongs to, of which the grid alone is used.

    Raises:
        ScanError: If the file is damaged, or a contour lies on no slice of the scan. The masks raise it too, where a
            contour runs through voxels or beside its slice.
    """
    import matplotlib
    import pydicom

    dataset = _dataset(path)
    return ReadBack(
        library=f"pydicom {pydicom.__version__} and matplotlib {matplotlib.__version__}",
        geometry=scan.geometry,
        names=_names(dataset),
        numbers=_with_contours(dataset),
        mask=partial(_covered, dataset, scan.geometry),
    )


def _dataset(path: Path) -> Dataset:
    from pydicom.filereader import dcmread

    with reading_dicom("label"):
        return dcmread(path)


def _names(dataset: Dataset) -> dict[int, str]:
    with reading_dicom("label"):
        return {int(roi.ROINumber): text(roi, "ROIName") for roi in dataset.StructureSetROISequence}


def _with_contours(dataset: Dataset) -> tuple[int, ...]:
    with reading_dicom("label"):
        return tuple(int(roi.ReferencedROINumber) for roi in dataset.ROIContourSequence if roi.get("ContourSequence"))


def _only(dataset: Dataset, number: int) -> Dataset:
    """The structure set with one structure alone."""
    from pydicom.dataset import Dataset

    one = Dataset()
    with reading_dicom("label"):
        one.StructureSetROISequence = [roi for roi in dataset.StructureSetROISequence if roi.ROINumber == number]
        one.ROIContourSequence = [roi for roi in dataset.ROIContourSequence if roi.ReferencedROINumber == number]
    return one


def _covered(dataset: Dataset, grid: Geometry, number: int) -> Mask:
    """Voxels that the contours of a structure cover."""
    from matplotlib.backends.backend_agg import RendererAgg

    mask = np.zeros(grid.shape[::-1], bool).T  # slices lie together in memory
    renderer = RendererAgg(grid.shape[0], grid.shape[1], 72)
    for k, polygons in _by_slice(dataset, grid, number).items():
        if not 0 <= k < grid.shape[2]:
            raise ScanError(f"contours must lie on the {grid.shape[2]} slices of the scan, got one on slice {k + 1}")
        for polygon in polygons:
            mask[:, :, k] ^= _filled(renderer, polygon)
    return mask


def _by_slice(dataset: Dataset, grid: Geometry, number: int) -> dict[int, list[Points]]:
    """Contours in voxels along the first two axes, `(N, 2)`, by the nearest slice."""
    to_voxels = np.linalg.inv(grid.to_lps())
    found: dict[int, list[Points]] = defaultdict(list)
    with reading_dicom("label"):
        for roi in dataset.ROIContourSequence:
            for contour in roi.get("ContourSequence") or () if roi.ReferencedROINumber == number else ():
                # As one text: pydicom would make an object of every number.
                written = contour.get_item("ContourData").value
                data = written.decode("ascii").split("\\") if isinstance(written, bytes) else contour.ContourData
                points = np.array(data, np.float64).reshape(-1, 3) @ to_voxels[:3, :3].T + to_voxels[:3, 3]
                k = round(float(points[:, 2].mean()))
                off = float(np.abs(points[:, 2] - k).max())
                if off > _MOST_OFF:
                    raise ScanError(f"contours must lie on slices of the scan, got one {off:.2g} slices beside them")
                found[k].append(points[:, :2])
    return found


def _filled(renderer: Any, polygon: Points) -> Mask:
    """Pixels that a polygon covers, shape `(I, J)`.

    Raises:
        ScanError: If it covers a part of a pixel.
    """
    from matplotlib.path import Path as Outline
    from matplotlib.transforms import Affine2D

    renderer.clear()
    context = renderer.new_gc()
    context.set_linewidth(0)
    context.set_snap(False)
    # Pictures grow downwards from an edge, half a pixel before the first centre.
    onto = Affine2D().translate(0.5, 0.5).scale(1, -1).translate(0, renderer.height)
    renderer.draw_path(context, Outline(polygon, closed=False), onto, (0.0, 0.0, 0.0, 1.0))
    coverage = np.asarray(renderer.buffer_rgba())[:, :, 3].T
    partly = np.count_nonzero((coverage > _MOST_OFF * _STEPS) & (coverage < (1 - _MOST_OFF) * _STEPS))
    if partly:
        raise ScanError(f"contours must run along the edges of voxels, got one that covers {partly} voxel(s) in part")
    return np.asarray(coverage > _STEPS // 2)
