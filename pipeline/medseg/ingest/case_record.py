"""Records of the files that were written for a case, kept from one run of an ingest to the next."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from medseg.disclosure import RiskKind


class ImageRecord(BaseModel):
    """The image files of a case.

    Attributes:
        images: Paths relative to the dataset, one per channel file.
        sha256: Checksum of each file, by its path.
        source_sha256: Keyed checksum of each channel's source, over its files' sorted SHA-256 lines.
        voxels_sha256: Checksum of each channel's voxels in RAS order, equal for all exports of one series.
        channels: Number of channels.
        notes: Repairs that were made, and warnings for a person.
        risks: Kinds of risk that the pixels of each channel show.
    """

    model_config = ConfigDict(frozen=True)

    images: tuple[str, ...]
    sha256: dict[str, str]
    source_sha256: tuple[str, ...]
    voxels_sha256: tuple[str, ...]
    channels: int
    notes: tuple[str, ...]
    risks: tuple[tuple[RiskKind, ...], ...] = ()


class LabelRecord(BaseModel):
    """The label volume of a case.

    Attributes:
        label: Path relative to the dataset; None if there was no structure to label.
        sha256: Checksum of the label file; "" without a label.
        label_ml: Volume of each label in millilitres.
        structures: Label of each structure by its (scrubbed) name.
        matched_by: Sentence for each label object on how its image was found.
        notes: Overlaps, and structures that were left out or moved.
        combinations: Values of the volume, where labels are kept as they overlap.
        unused: Reason why nothing of a label is in the volume, by the position of the label among those of its case.
        channels: Paths of the channels that are masks of its structures.
        channel_sha256: Checksum of each of these, by its path.
    """

    model_config = ConfigDict(frozen=True)

    label: str | None
    sha256: str
    label_ml: dict[str, float]
    structures: dict[str, str]
    matched_by: tuple[str, ...]
    notes: tuple[str, ...]
    combinations: tuple[int, ...] = ()
    unused: dict[int, Literal["replaced", "ignored"]] = {}
    channels: tuple[str, ...] = ()
    channel_sha256: dict[str, str] = {}


class QuantityRecord(BaseModel):
    """The quantities of a case.

    Attributes:
        files: Path of each quantity relative to the dataset, by its name.
        sha256: Checksum of each file, by its path.
        source_sha256: Keyed checksum of each quantity's source, by its name.
        notes: How each was brought onto the grid of the case, and what of it is not known.
        risks: Kinds of risk that the values of each quantity from an image series show, by its name.
    """

    model_config = ConfigDict(frozen=True)

    files: dict[str, str]
    sha256: dict[str, str]
    source_sha256: dict[str, str]
    notes: tuple[str, ...]
    risks: dict[str, tuple[RiskKind, ...]] = {}


class CaseRecord(BaseModel):
    """The files that were written for a case, and the seals of their sources and settings.

    Attributes:
        image_seal: Keyed checksum of the image files and the settings of reading them.
        image: Image files of the case.
        label: Label of the case; None without one, or if it is not drawn yet.
        label_seal: Keyed checksum of the label files, the mapping and the image; None if the label is not drawn yet.
        is_copy: Whether the files were removed, since another image of the source holds the same voxels.
        quantities: Quantities of the case; None without any, or if they are not written yet.
        quantity_seal: Keyed checksum of their files, the mapping and the image; None if they are not written yet.
    """

    model_config = ConfigDict(frozen=True)

    image_seal: str
    image: ImageRecord
    label: LabelRecord | None = None
    label_seal: str | None = None
    is_copy: bool = False
    quantities: QuantityRecord | None = None
    quantity_seal: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of all files that were written, relative to the dataset."""
        label, held = self.label, self.quantities
        of_label = (*((label.label,) if label.label else ()), *label.channels) if label else ()
        return (*self.image.images, *of_label, *(held.files.values() if held else ()))

    @property
    def label_path(self) -> str | None:
        """Path of the label relative to the dataset; None without one."""
        return self.label.label if self.label else None

    @property
    def structures(self) -> dict[str, str]:
        """Label of each structure by its (scrubbed) name."""
        return self.label.structures if self.label else {}
