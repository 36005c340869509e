"""One case of a review page: its scan, mask and everything that is said of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medseg.delivery.review.volumes import EmbeddedImage, embed_image, embed_mask
from medseg.inference.case_record import CaseRecord
from medseg.inference.mask_page import AxisOrder
from medseg.origin import PictureOrigin
from medseg.records import Labelmap, Scan


@dataclass(frozen=True, slots=True)
class Structure:
    """A structure of the labels.

    Attributes:
        name: Name of the structure.
        value: Label value.
        colour: Red, green and blue from 0 to 255.
    """

    name: str
    value: int
    colour: tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class ReviewCase:
    """A case for the page.

    Attributes:
        facts: What the page says of the case, as JSON takes it.
        image: gzip of the scan.
        mask: gzip of the mask.
    """

    facts: dict[str, Any]
    image: bytes
    mask: bytes

    @property
    def size_bytes(self) -> int:
        """Size inside a page."""
        return (len(self.image) + len(self.mask)) * 4 // 3


def make_case(
    record: CaseRecord,
    scan: Scan,
    mask: Labelmap,
    *,
    structures: Sequence[Structure],
    picture: bytes | None,
    most_bytes: int,
) -> ReviewCase:
    """Encode a case.

    Args:
        record: Record of the mask; its checksum is that of the file that is shown.
        scan: Scan that the mask was drawn on.
        mask: Label values of shape `(I, J, K)` on the scan's grid.
        structures: Structures of the labels, at most 254.
        picture: PNG of the case, for browsers that show no volumes; none if not given.
        most_bytes: About the largest size of the image, compressed.

    Raises:
        DeliveryError: If the mask holds a value that no structure has.
    """
    is_picture = isinstance(scan.origin, PictureOrigin)
    order = AxisOrder.of_picture() if is_picture else AxisOrder.of(scan.geometry)
    has_colours = is_picture and len(scan.array) == 3
    image = embed_image(scan, order, has_colours=has_colours, most_bytes=most_bytes)
    numbers = {0: 0, **{structure.value: number for number, structure in enumerate(structures, start=1)}}
    facts = {
        **_facts(record, structures),
        "isPicture": is_picture,
        "shape": [mask.shape[axis] for axis in order.axes],
        "spacing": [scan.geometry.spacing_mm[axis] for axis in order.axes],
        **_numbering(order, mask.shape),
        "image": _image_facts(image),
        "picture": "data:image/png;base64," + base64.b64encode(picture).decode() if picture else "",
    }
    return ReviewCase(facts, image.data, embed_mask(mask, order, numbers=numbers, case_id=record.case_id))


def _facts(record: CaseRecord, structures: Sequence[Structure]) -> dict[str, Any]:
    flags = [flag.reason for flag in record.flags]
    if record.quality and record.quality.is_flagged:
        flags.append(record.quality.reason or "the slice classifier contradicts it")
    return {
        "id": record.case_id,
        "sha256": record.mask_sha256,
        "flags": flags,
        "inTraining": record.in_training,
        "isEdited": record.is_edited,
        "volumes": _in_order(record.volume_ml, structures),
        "confidence": _in_order(record.confidence or {}, structures),
        "disagreement": _in_order(record.disagreement or {}, structures),
    }


def _in_order(values: Mapping[str, float | None], structures: Sequence[Structure]) -> list[float | None]:
    return [values.get(structure.name) for structure in structures]


def _numbering(order: AxisOrder, shape: tuple[int, ...]) -> dict[str, Any]:
    """How a voxel of the page is numbered in the mask's own array: `base` plus its indices times `strides`."""
    own = (1, shape[0], shape[0] * shape[1])
    pairs = list(zip(order.axes, order.flips, strict=True))
    return {
        "strides": [-own[axis] if is_flipped else own[axis] for axis, is_flipped in pairs],
        "base": sum((shape[axis] - 1) * own[axis] for axis, is_flipped in pairs if is_flipped),
    }


def _image_facts(image: EmbeddedImage) -> dict[str, Any]:
    shades = image.shades
    return {
        "shape": list(image.shape),
        "steps": list(image.steps),
        "levels": [float(level) for level in shades.levels] if shades else None,
        "window": list(shades.window) if shades else None,
        "isHu": bool(shades and shades.is_hu),
    }
