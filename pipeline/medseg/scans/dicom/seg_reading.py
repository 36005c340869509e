"""DICOM SEGs read back by the libraries of others, to check what was written."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.records import Array, Labelmap, Mask, Scan
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.label_numbers import values_in
from medseg.scans.dicom.seg_segments import segment_label
from medseg.scans.itk import read_itk
from medseg.scans.read_back import ReadBack

if TYPE_CHECKING:
    from highdicom import VolumeGeometry
    from highdicom.seg import Segmentation

_AGAIN = "write the file again"


def read_seg_with_highdicom(path: Path) -> ReadBack:
    """Read a DICOM SEG with highdicom.

    Args:
        path: File of either kind, labelmap or binary.

    Returns:
        The segments; frames that the file leaves out are empty.

    Raises:
        ScanError: If highdicom cannot read the file.
        DeliveryError: If its frames make no volume.
    """
    import highdicom

    with reading_dicom("SEG"):
        dataset = highdicom.seg.segread(path)
        grid = dataset.get_volume_geometry()
        if grid is None:
            raise DeliveryError("frames of a DICOM SEG must make a volume, got others", remedy=_AGAIN)
        numbers = tuple(int(number) for number in dataset.segment_numbers)
        shown, mask_of = _masks_of(dataset, numbers)
        items = [dataset.get_segment_description(number) for number in numbers]
    return ReadBack(
        library=f"highdicom {highdicom.__version__}",
        geometry=_geometry(grid),
        names={int(item.SegmentNumber): _name(item.SegmentLabel, item.get("SegmentDescription")) for item in items},
        numbers=shown,
        mask=mask_of,
    )


def read_seg_with_dcmqi(path: Path) -> ReadBack:
    """Read a DICOM SEG with the converter of dcmqi, which is built on DCMTK and ITK.

    Args:
        path: File of either kind, labelmap or binary.

    Returns:
        The segments. The grid has the frames that the file holds, and those between them.

    Raises:
        DeliveryError: If dcmqi cannot read the file.

    Source: Herz et al. 2017, https://doi.org/10.1158/0008-5472.CAN-17-0336.
    """
    import dcmqi

    with tempfile.TemporaryDirectory() as folder:
        groups, scans = _converted(path, Path(folder))
    places = {item["labelID"]: scan.array[0] for group, scan in zip(groups, scans, strict=True) for item in group}
    names = {
        item["labelID"]: _name(item["SegmentLabel"], item.get("SegmentDescription"))
        for group in groups
        for item in group
    }
    return ReadBack(
        library=f"dcmqi {dcmqi.__version__}",
        geometry=scans[0].geometry,
        names=dict(sorted(names.items())),
        numbers=_present(places),
        mask=partial(_mask_in, places),
    )


def _name(label: object, description: object) -> str:
    """Name of a segment: its label, or the description of which the label is the short form."""
    return str(description) if description and segment_label(str(description)) == str(label) else str(label)


def _geometry(grid: VolumeGeometry) -> Geometry:
    """Grid `(i, j, k)` of a volume of highdicom, whose axes are frames, rows and columns."""
    frames, rows, columns = grid.spatial_shape
    steps = np.asarray(grid.affine)
    return Geometry.from_lps_axes(
        (columns, rows, frames), origin_mm=steps[:3, 3], steps_mm=(steps[:3, 2], steps[:3, 1], steps[:3, 0])
    )


def _masks_of(dataset: Segmentation, numbers: tuple[int, ...]) -> tuple[tuple[int, ...], Callable[[int], Mask]]:
    """Numbers with voxels, and masks by number; out of one map where the segments do not overlap."""
    if str(dataset.get("SegmentsOverlap")) == "NO":
        labels = dataset.get_volume(combine_segments=True).array.transpose(2, 1, 0)
        places = dict.fromkeys(numbers, labels)
        return _present(places), partial(_mask_in, places)
    alone = partial(_mask_alone, dataset)
    return tuple(number for number in numbers if alone(number).any()), alone


def _mask_alone(dataset: Segmentation, number: int) -> Mask:
    volume: Array = dataset.get_volume(segment_numbers=[number]).array
    return np.asarray(volume[..., 0].transpose(2, 1, 0) > 0)


def _mask_in(places: dict[int, Labelmap], number: int) -> Mask:
    return np.asarray(places[number] == number)


def _present(places: dict[int, Labelmap]) -> tuple[int, ...]:
    """Numbers that have voxels in the map that holds them."""
    maps: Iterable[Labelmap] = {id(labels): labels for labels in places.values()}.values()
    found = {value for labels in maps for value in values_in(labels)}
    return tuple(sorted(found & places.keys()))


def _converted(path: Path, folder: Path) -> tuple[list[list[dict[str, Any]]], list[Scan]]:
    """Attributes of the segments and their map, one of each for every group that does not overlap."""
    command = [
        str(_converter()), "--inputDICOM", str(path.resolve()), "--outputDirectory", str(folder), "--prefix", "seg",
        "--outputType", "nrrd", "--mergeSegments",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # a program of a dependency
    meta = folder / "seg-meta.json"
    if done.returncode != 0 or not meta.is_file():
        raise DeliveryError(f"a DICOM SEG must be readable by dcmqi, got exit status {done.returncode}", remedy=_AGAIN)
    groups = json.loads(meta.read_text(encoding="utf-8"))["segmentAttributes"]
    files = [folder / f"seg-{number}.nrrd" for number in range(1, len(groups) + 1)]
    return groups, [read_itk(file, case_id=path.name, is_label=True) for file in files]


def _converter() -> Path:
    """The program of dcmqi, which its package carries for each system."""
    import dcmqi

    return next((Path(dcmqi.__file__).parent / "bin").glob("segimage2itkimage*"))
