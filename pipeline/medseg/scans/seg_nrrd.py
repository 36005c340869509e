"""Labels as a `.seg.nrrd` of 3D Slicer: names, colours, terms, and layers where structures overlap."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medseg.atomic import atomic_path
from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.origin import PictureOrigin
from medseg.records import Array, Labelmap, Scan
from medseg.scans.segment import CodedTerm, Segment
from medseg.text import printable

_TERMS = "Segmentation category and type - DICOM master list"  # the name of a terminology that 3D Slicer holds
_REGIONS = "Anatomic codes - DICOM master list"
_LARGEST = 65535
_NO_VOXELS = "0 -1 0 -1 0 -1"


def write_seg_nrrd(labels: Labelmap, segments: Sequence[Segment], scan: Scan, path: Path) -> None:
    """Write the structures of a labelmap so that 3D Slicer opens them with their names and colours.

    The voxels of a structure hold its number. Structures that share a value of the labelmap stand on layers of their
    own. The file is compressed, and its grid is that of the scan in LPS+ millimetres.

    Args:
        labels: Label values on the scan's own grid, shape `(I, J, K)`.
        segments: Structures; they may overlap.
        scan: Scan that they belong to.
        path: Target, ending in `.seg.nrrd`, written whole or not at all.

    Raises:
        DeliveryError: If the labels lie on another grid, the scan is a picture, a structure has no name or too large a
            number, or the file cannot be written.

    Source: https://slicer.readthedocs.io, user guide, Segmentations, file format; https://teem.sourceforge.net/nrrd.
    """
    from isal import igzip_threaded

    _check(labels, segments, scan)
    layers = layers_of(segments)
    kind = np.dtype(np.uint8 if max(one.number for one in segments) < 256 else np.uint16).newbyteorder("<")
    header = "\n".join([*_grid_fields(scan.geometry, len(layers), kind), *_segment_fields(labels, segments, layers)])
    with atomic_path(path, suffix=".seg.nrrd") as temporary, temporary.open("wb") as stream:
        stream.write(f"{header}\n\n".encode())
        stream.flush()
        threads = min(4, os.cpu_count() or 1)
        with igzip_threaded.open(stream, "wb", compresslevel=2, threads=threads) as packed:  # type: ignore[no-untyped-call]
            for planes in _planes(labels, layers, kind):
                packed.write(planes.tobytes())


def layers_of(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Structures by layers: each on the first one where no other shares a value with it."""
    layers: list[list[Segment]] = []
    for segment in segments:
        for layer in layers:
            if not any(set(segment.values) & set(other.values) for other in layer):
                layer.append(segment)
                break
        else:
            layers.append([segment])
    return layers


def _check(labels: Labelmap, segments: Sequence[Segment], scan: Scan) -> None:
    if labels.shape != scan.geometry.shape:
        raise DeliveryError(
            f".seg.nrrd: labels must have the scan's shape {scan.geometry.shape}, got {labels.shape}",
            remedy="give the mask that was drawn on this scan",
        )
    if isinstance(scan.origin, PictureOrigin):
        raise DeliveryError(
            ".seg.nrrd: scan must have a place in the patient, got a picture", remedy="deliver the mask as a picture"
        )
    if not segments:
        raise DeliveryError(".seg.nrrd: must have a structure, got none", remedy="leave the file out")
    for segment in segments:
        if not segment.name.strip():
            raise DeliveryError(
                f".seg.nrrd: structure {segment.number} must have a name, got none", remedy="name the label"
            )
        if not 0 < segment.number <= _LARGEST:
            raise DeliveryError(
                f".seg.nrrd: numbers of structures must be 1 to {_LARGEST}, got {segment.number}",
                remedy="renumber the labels",
            )


def _grid_fields(geometry: Geometry, layers: int, kind: np.dtype[np.generic]) -> list[str]:
    """Fields of the header that say how the voxels are stored and where they lie."""
    affine = geometry.to_lps()
    is_layered = layers > 1
    vectors = " ".join(_vector(affine[:3, axis]) for axis in range(3))
    sizes = " ".join(str(size) for size in geometry.shape)
    return [
        "NRRD0004",
        f"type: {'unsigned char' if kind.itemsize == 1 else 'unsigned short'}",
        f"dimension: {4 if is_layered else 3}",
        "space: left-posterior-superior",
        f"sizes: {f'{layers} ' if is_layered else ''}{sizes}",
        f"space directions: {'none ' if is_layered else ''}{vectors}",
        f"kinds: {'list ' if is_layered else ''}domain domain domain",
        "endian: little",
        "encoding: gzip",
        f"space origin: {_vector(affine[:3, 3])}",
    ]


def _vector(values: npt.NDArray[np.float64]) -> str:
    return f"({','.join(repr(float(value)) for value in values)})"


def _segment_fields(labels: Labelmap, segments: Sequence[Segment], layers: Sequence[Sequence[Segment]]) -> list[str]:
    """Keys and values of the header that name the structures."""
    fields = {
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ConversionParameters": "",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_SourceRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    for place, segment in enumerate(segments):
        of_segment = {
            "Color": " ".join(f"{part / 255:.6g}" for part in segment.colour),
            "ColorAutoGenerated": "0",
            "Extent": _extent(segment, labels),
            "ID": f"Segment_{segment.number}",
            "LabelValue": str(segment.number),
            "Layer": str(next(n for n, layer in enumerate(layers) if segment in layer)),
            "Name": segment.name,
            "NameAutoGenerated": "0",
            "Tags": _tags(segment),
        }
        fields |= {f"Segment{place}_{key}": value for key, value in of_segment.items()}
    return [f"{key}:={_escaped(value)}" for key, value in fields.items()]


def _extent(segment: Segment, labels: Labelmap) -> str:
    """First and last voxel of a structure along each axis."""
    mask = segment.mask(labels)
    filled = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    return " ".join(f"{places[0]} {places[-1]}" for places in filled) if len(filled[0]) else _NO_VOXELS


def _tags(segment: Segment) -> str:
    """The structure's terms as 3D Slicer keeps them; "" where its code is not known."""
    if segment.kind is None:
        return ""
    terms = "~".join(_term(term) for term in (segment.category, segment.kind, segment.laterality))
    return f"TerminologyEntry:{_TERMS}~{terms}~{_REGIONS}~^^~^^|"


def _term(term: CodedTerm | None) -> str:
    parts = (term.scheme, term.value, term.meaning) if term is not None else ("", "", "")
    return "^".join("".join(" " if sign in "^~|" else sign for sign in part) for part in parts)


def _escaped(value: str) -> str:
    """A value as the header holds it, in one line."""
    return printable(value).replace("\\", "\\\\").replace("\n", "\\n").replace("\r", " ")


def _planes(labels: Labelmap, layers: Sequence[Sequence[Segment]], kind: np.dtype[np.generic]) -> Iterator[Array]:
    """Planes along k in the order of the file: the layers of a voxel first, then i, then j."""
    highest = max(int(labels.max(initial=0)), *(value for layer in layers for one in layer for value in one.values))
    numbers = np.zeros((highest + 1, len(layers)), kind)
    for place, layer in enumerate(layers):
        for segment in layer:
            numbers[list(segment.values), place] = segment.number
    for k in range(labels.shape[2]):
        yield numbers[labels[:, :, k].T]  # (J, I, layers)
