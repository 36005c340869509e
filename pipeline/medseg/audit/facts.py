"""Facts of a case that an audit keeps once its volumes are gone: some kilobytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from medseg.geometry import Geometry, Triple
from medseg.records import Array, Case, Labelmap, Scan
from medseg.scans import NiftiForms


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of a case.

    Attributes:
        name: Path relative to the data root.
        is_label: Whether the file is the label.
        sha256: SHA-256 of its bytes by name, two for a `.hdr`/`.img` pair; empty if the file is missing.
        forms: Forms of the grid in a NIfTI header; None for other formats.
    """

    name: str
    is_label: bool
    sha256: dict[str, str]
    forms: NiftiForms | None


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """Intensities of one channel: extremes over all voxels, percentiles over an even sample of them."""

    low: float
    p1: float
    p25: float
    p50: float
    p75: float
    p99: float
    p999: float
    high: float


@dataclass(frozen=True, slots=True)
class QuantityFacts:
    """One quantity of a case.

    Attributes:
        values: Extremes and percentiles of the known values.
        unknown_share: Share of the voxels in which it is not known.
    """

    values: ChannelFacts
    unknown_share: float


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """One label of a case.

    Attributes:
        voxels: Number of voxels.
        ml: Volume in millilitres; 0 for pictures, whose pixels have no known size.
        centroid_mm: Centre in RAS+ millimetres.
        specks: Number of components that are too small to be meant.
        speck_voxels: Number of voxels in specks.
        speck_ml: Volume of the specks in millilitres.
    """

    voxels: int
    ml: float
    centroid_mm: Triple
    specks: int
    speck_voxels: int
    speck_ml: float


@dataclass(frozen=True, slots=True)
class Plane:
    """A thumbnail: JPEG bytes, and the letters at its left, right, top and bottom edge if they are known."""

    name: str
    jpeg: bytes
    size: tuple[int, int]
    letters: str


class DrawPlanes(Protocol):
    """Function that draws the thumbnails of a case while its volumes are in memory, as `delivery.audit` has one."""

    def __call__(self, image: Scan, label: Labelmap | None, foreground: Mapping[str, int]) -> tuple[Plane, ...]:
        """Thumbnails of an image and the label on its grid, whose values have names."""


@dataclass(frozen=True, slots=True, eq=False)
class CaseFacts:
    """Facts of one case.

    Attributes:
        case: Case of the manifest.
        files: Facts of the image files, then of the label, and last of those of raters.
        geometry: Grid of the image; None if it could not be read.
        is_picture: Whether the image is a picture, with axes unrelated to the patient.
        channels: Intensities of each image channel.
        labels: Facts of each label with at least one voxel, by name.
        quantities: Facts of each quantity that was read and has a known value, by name.
        quantity_files: Facts of the quantities' files.
        image_digest: SHA-256 of the voxels in RAS+ order, equal for equal images under any header; None if not read.
        label_digest: SHA-256 of the label's voxels in RAS+ order; None if not read or empty.
        annotated_share: Share of the voxels that is annotated; None where nothing may be ignored, or without a label.
        small: Image shrunk for comparisons, uint8; None if it could not be read or is constant.
        planes: Thumbnails; empty if none were drawn.
    """

    case: Case
    files: tuple[FileFacts, ...]
    geometry: Geometry | None = None
    is_picture: bool = False
    channels: tuple[ChannelFacts, ...] = ()
    labels: dict[str, LabelFacts] = field(default_factory=dict)
    quantities: dict[str, QuantityFacts] = field(default_factory=dict)
    quantity_files: tuple[FileFacts, ...] = ()
    image_digest: str | None = None
    label_digest: str | None = None
    annotated_share: float | None = None
    small: Array | None = None
    planes: tuple[Plane, ...] = ()

    @property
    def is_placed(self) -> bool:
        """Whether the patient's left and right are known in the image."""
        forms = self.files[0].forms if self.files else None
        has_form = forms is None or max(forms.sform_code, forms.qform_code) > 0
        return self.geometry is not None and not self.is_picture and has_form

    @property
    def case_id(self) -> str:
        """Id of the case."""
        return self.case.case_id
