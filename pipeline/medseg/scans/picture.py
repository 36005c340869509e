"""PNG, TIFF, JPEG, BMP and GIF pictures through Pillow; colours are channels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from medseg.atomic import atomic_path
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.origin import PictureOrigin
from medseg.records import Array, Labelmap, Scan
from medseg.scans.damage import reason_without_folders

if TYPE_CHECKING:
    from PIL import Image

PICTURE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".gif")
LOSSY_SUFFIXES = (".jpg", ".jpeg")
_EXIF_ORIENTATION = 0x0112
_BITS_PER_SAMPLE = 258  # of TIFF
_ANY_PALETTE = ("GIF", "BMP")  # their palettes are in any order, so that an index has no meaning of its own
# Errors of Pillow's readers on damaged files.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, struct.error, zlib.error)
_NUMBERS = ("L", "I", "F", "I;16", "I;16B", "I;16L", "1")


def is_picture_file(path: PurePath) -> bool:
    """Whether a file is read as a picture, by its ending."""
    return path.name.lower().endswith(PICTURE_SUFFIXES)


def read_picture(path: Path, *, case_id: str, is_label: bool, upright: bool = False) -> Scan:
    """Read one picture.

    A picture has no place in the patient: i runs along its columns, j along its rows, and a pixel counts as 1 mm.

    Args:
        path: File to read.
        case_id: Id of the case, for errors.
        is_label: Labels keep their stored values; a palette's index is the value, but in a GIF or BMP its grey is.
        upright: Whether a picture that is stored rotated is turned by its EXIF orientation instead of being refused.

    Returns:
        `array` of shape `(C, I, J, 1)`; one channel for grey pictures, three for colours (opacity is dropped).

    Raises:
        ScanError: If the file is damaged, has several pages or is stored rotated.
    """
    from PIL import ImageOps

    with _opened(path, case_id=case_id) as opened:
        _check_layout(opened, path=path, case_id=case_id, upright=upright)
        picture = ImageOps.exif_transpose(_without_palette(opened)) if upright else _without_palette(opened)
        array = _pixels(picture, is_label=is_label)
    shape = (array.shape[1], array.shape[2], array.shape[3])
    return Scan(array, Geometry(shape, np.eye(4)), PictureOrigin(path))


def read_picture_size(path: Path, *, case_id: str) -> tuple[int, int, int]:
    """Width, height and channels of an upright picture, without reading the pixels.

    Raises:
        ScanError: If the file is not a picture, has several pages or deeper colours than are read.
    """
    with _opened(path, case_id=case_id) as picture:
        _check_layout(picture, path=path, case_id=case_id, upright=True)
        width, height = picture.size
        turned = picture.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
        channels = 1 if picture.mode in (*_NUMBERS, "LA") or _is_grey_palette(picture) else 3
    return (height, width, channels) if turned else (width, height, channels)


def write_picture(array: Array, path: Path) -> None:
    """Write 8-bit pixels of shape `(1 or 3, I, J, 1)`, or 16-bit grey ones, as a PNG that holds nothing but pixels."""
    from PIL import Image

    pixels = np.ascontiguousarray(array[..., 0].transpose(2, 1, 0))
    with atomic_path(path, suffix=".png") as temporary:
        Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(temporary, format="PNG")


def write_picture_mask(mask: Labelmap, path: Path) -> None:
    """Write labels of shape `(I, J, 1)` as a grey PNG of 8 or 16 bits with the label values as pixels."""
    from PIL import Image

    with atomic_path(path, suffix=".png") as temporary:
        Image.fromarray(np.ascontiguousarray(mask[:, :, 0].T)).save(temporary, format="PNG")


@contextmanager
def _opened(path: Path, *, case_id: str) -> Iterator[Image.Image]:
    """The picture of a file; what Pillow raises on a damaged one becomes a `ScanError`."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            yield picture
    except (UnidentifiedImageError, Image.DecompressionBombError, *_DAMAGE) as error:
        raise ScanError(
            f"file {path.name} must be a whole picture, got: {reason_without_folders(error, path)}",
            remedy="copy or export it again",
            case_id=case_id,
        ) from error


def _check_layout(picture: Image.Image, *, path: Path, case_id: str, upright: bool) -> None:
    if getattr(picture, "n_frames", 1) != 1:
        raise ScanError(
            f"file {path.name} must have one page, got several", remedy="split it or use NIfTI", case_id=case_id
        )
    if picture.mode in ("RGB", "RGBA") and _bits_per_colour(picture) > 8:
        raise ScanError(
            f"file {path.name} must have 8 bits per colour, got 16", remedy="save it with 8 bits", case_id=case_id
        )
    orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)
    if orientation != 1 and not upright:
        raise ScanError(
            f"file {path.name} must be stored upright, got EXIF orientation {orientation}",
            remedy="rotate the pixels and save it again",
            case_id=case_id,
        )


def _bits_per_colour(picture: Image.Image) -> int:
    """Bits that a file stores of each colour; Pillow keeps 8 of them, whatever the file holds."""
    tags = getattr(picture, "tag_v2", None)
    if tags is not None:
        return max(int(bits) for bits in np.atleast_1d(tags.get(_BITS_PER_SAMPLE, 8)))
    forms = [tile.args if isinstance(tile.args, str) else "" for tile in getattr(picture, "tile", ())]
    return 16 if any(";16" in form for form in forms) else 8  # PNG gives the form alone, such as "RGB;16B"


def _is_grey_palette(picture: Image.Image) -> bool:
    """Whether the colours of a GIF or BMP are all grey."""
    if picture.format not in _ANY_PALETTE or picture.mode != "P":
        return False
    palette = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
    used = palette[[index for index in np.unique(np.asarray(picture)) if index < len(palette)]]
    return bool((used == used[:, :1]).all())


def _without_palette(picture: Image.Image) -> Image.Image:
    """A GIF or BMP with its colours or greys as pixels; any other picture as it is."""
    if picture.format not in _ANY_PALETTE or picture.mode != "P":
        return picture
    return picture.convert("L" if _is_grey_palette(picture) else "RGB")


def _pixels(picture: Image.Image, *, is_label: bool) -> Array:
    """Pixels as `(C, I, J, 1)`."""
    if picture.mode not in _NUMBERS and not (is_label and picture.mode == "P"):
        if picture.mode == "P":
            picture = picture.convert("RGBA")
        picture = picture.convert("L" if picture.mode == "LA" else "RGB")
    pixels = np.asarray(picture)
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    array = pixels.transpose(2, 1, 0)[..., np.newaxis]
    return array if is_label else array.astype(np.float32)
