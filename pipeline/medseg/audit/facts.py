"""What an audit keeps of a case after its volumes are gone: some kilobytes."""

from __future__ import annotations

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
        is_label: Whether it is the label.
        sha256: Of its bytes, of both files of a `.hdr`/`.img` pair by their names; empty where it is missing.
        forms: What a NIfTI header says of the grid; None for other formats.
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
class LabelFacts:
    """One label of a case.

    Attributes:
        voxels: How many.
        ml: Their volume; 0 for pictures, whose pixels have no known size.
        centroid_mm: Their centre in RAS+ millimetres.
        specks: Components that are too small to be meant.
        speck_voxels: Voxels in them.
        speck_ml: Their volume.
    """

    voxels: int
    ml: float
    centroid_mm: Triple
    specks: int
    speck_voxels: int
    speck_ml: float


@dataclass(frozen=True, slots=True)
class Plane:
    """A thumbnail: JPEG bytes, and the letters at its left, right, top and bottom edge where they are known."""

    name: str
    jpeg: bytes
    size: tuple[int, int]
    letters: str


class DrawPlanes(Protocol):
    """What draws the thumbnails of a case while its volumes are in memory; `delivery.audit` has one."""

    def __call__(self, image: Scan, label: Labelmap | None) -> tuple[Plane, ...]:
        """Thumbnails of an image and the label on its grid."""


@dataclass(frozen=True, slots=True, eq=False)
class CaseFacts:
    """One case.

    Attributes:
        case: From the manifest.
        files: Its images, then its label.
        geometry: Grid of the image; None where it could not be read.
        is_picture: Whether the image is a picture, whose axes are not the patient's.
        channels: One entry per image channel.
        labels: By name, those with at least one voxel.
        image_digest: Of the voxels in RAS+ order; equal for equal images under any header, None if not read.
        label_digest: Of the label's voxels in RAS+ order; None if not read or empty.
        small: The image shrunk for comparing, uint8; None where it could not be read or is constant.
        planes: Thumbnails; none if nobody drew them.
    """

    case: Case
    files: tuple[FileFacts, ...]
    geometry: Geometry | None = None
    is_picture: bool = False
    channels: tuple[ChannelFacts, ...] = ()
    labels: dict[str, LabelFacts] = field(default_factory=dict)
    image_digest: str | None = None
    label_digest: str | None = None
    small: Array | None = None
    planes: tuple[Plane, ...] = ()

    @property
    def is_placed(self) -> bool:
        """Whether the image says where the patient's right and left are."""
        forms = self.files[0].forms if self.files else None
        has_form = forms is None or max(forms.sform_code, forms.qform_code) > 0
        return self.geometry is not None and not self.is_picture and has_form

    @property
    def case_id(self) -> str:
        """The case's id."""
        return self.case.case_id
