"""Volume, place and specks of each label of a case."""

from __future__ import annotations

import numpy as np

from medseg.audit.facts import LabelFacts
from medseg.geometry import Geometry
from medseg.records import Array, Labelmap, Mask

SPECK_VOXELS = 10
SPECK_ML = 0.3
SPECK_SHARE = 0.02
TINY_SHARE = 0.001


def measure_labels(
    label: Labelmap, geometry: Geometry, names: dict[str, int], *, is_instances: bool, is_picture: bool
) -> dict[str, LabelFacts]:
    """Facts of each label that has a voxel, by its name.

    A speck is a component (voxels that touch at a face, edge or corner) of at most `SPECK_VOXELS` voxels that is too
    small to be meant beside the largest component of its label, or of its instance: at most `SPECK_ML` millilitres and
    `SPECK_SHARE` of it, or at most `TINY_SHARE` of it, so that a coarse voxel may be a lesion but not a bit of a liver.
    On the hippocampus labels, drawn with care, that finds one, of 4 voxels, in 200 cases.

    Args:
        label: Label values, shape `(I, J, K)`.
        geometry: Grid of the label.
        names: Value of each foreground label, by name.
        is_instances: Whether every positive value is one object of the only foreground label.
        is_picture: Whether pixels have no known size.
    """
    parts: dict[str, list[_Part]] = {}
    name_of = {value: name for name, value in names.items()}
    only = next(iter(names), "")
    for value, box in _boxes(label).items():
        name = only if is_instances else name_of.get(value)
        if name is not None:
            parts.setdefault(name, []).append(_Part(label[box] == value, box, voxel_ml=geometry.voxel_ml))
    return {name: _sum(found, geometry, is_picture=is_picture) for name, found in parts.items()}


def label_values(label: Labelmap) -> list[int]:
    """The values above 0 that a label holds."""
    return list(_boxes(label))


class _Part:
    """The voxels of one value in their bounding box."""

    def __init__(self, mask: Mask, box: tuple[slice, ...], *, voxel_ml: float) -> None:
        self.voxels = int(np.count_nonzero(mask))
        along = [mask.sum(axis=others) for others in ((1, 2), (0, 2), (0, 1))]
        self.centre = [
            side.start + float(counts @ np.arange(len(counts))) / self.voxels
            for side, counts in zip(box, along, strict=True)
        ]
        self.specks = _specks(_in_memory_order(mask), voxel_ml=voxel_ml)


def _boxes(label: Labelmap) -> dict[int, tuple[slice, ...]]:
    """Bounding box of the voxels of each value above 0."""
    from scipy.ndimage import find_objects

    ordered = _in_memory_order(label)
    step = 1 if ordered is label else -1
    return {value: tuple(box[::step]) for value, box in enumerate(find_objects(ordered), start=1) if box is not None}


def _in_memory_order(volume: Array) -> Array:
    """The volume, or its transpose if that is contiguous in memory: SciPy reads it eight times faster."""
    return volume if volume.flags.c_contiguous else volume.T


def _specks(mask: Mask, *, voxel_ml: float) -> list[int]:
    """Voxels of each speck of a mask."""
    from scipy.ndimage import label as connect

    components, count = connect(mask, structure=np.ones((3, 3, 3)))
    if count < 2:
        return []
    sizes = np.bincount(components[mask])[1:]
    by_size = min(SPECK_ML / voxel_ml, SPECK_SHARE * sizes.max())
    limit = min(SPECK_VOXELS, max(by_size, TINY_SHARE * sizes.max()))
    return [int(size) for size in sizes if size <= limit]


def _sum(parts: list[_Part], geometry: Geometry, *, is_picture: bool) -> LabelFacts:
    voxels = sum(part.voxels for part in parts)
    centre = np.sum([np.array(part.centre) * part.voxels for part in parts], axis=0) / voxels
    x, y, z = geometry.world_mm(centre[np.newaxis])[0]
    specks = [size for part in parts for size in part.specks]
    voxel_ml = 0.0 if is_picture else geometry.voxel_ml
    return LabelFacts(
        voxels=voxels,
        ml=voxels * voxel_ml,
        centroid_mm=(float(x), float(y), float(z)),
        specks=len(specks),
        speck_voxels=sum(specks),
        speck_ml=sum(specks) * voxel_ml,
    )
