"""Facts about a case with a label, by which a model's later scans and masks are compared with its training."""

from __future__ import annotations

from pydantic import Field

from medseg.configuration import Config
from medseg.preprocess.scan_facts import ScanFacts
from medseg.preprocess.segmentation.structure_facts import StructureFacts


class CaseFacts(Config):
    """Scan and label of one case.

    Attributes:
        scan: Facts about the scan.
        structures: Facts about each structure that its label has a voxel of, by name.
        image_sha256: Digest of the scan's intensities; None in a store of an earlier version.
        label_sha256: Digest of the values of the label, and of those of raters; None in a store of an earlier version.
    """

    scan: ScanFacts
    structures: dict[str, StructureFacts]
    image_sha256: str | None = Field(None, exclude_if=lambda digest: digest is None)
    label_sha256: str | None = Field(None, exclude_if=lambda digest: digest is None)
