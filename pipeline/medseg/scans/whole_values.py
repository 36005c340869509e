"""Whether a file holds few whole values, as masks do, read only as far as it takes to know."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from medseg.errors import GeometryError, ScanError
from medseg.records import Array
from medseg.scans.itk import ITK_SUFFIXES
from medseg.scans.label_values import are_whole, integer_step
from medseg.scans.nifti import NIFTI_SUFFIXES
from medseg.scans.picture import LOSSY_SUFFIXES, is_picture_file, read_picture
from medseg.scans.read import read_layers
from medseg.scans.unpacked import open_unpacked

_CHUNK = 1 << 20  # voxels
_FIRST = 1 << 14  # voxels that usually tell an image
_NEARLY = 12  # of 255: how far JPEG moves the values of a mask
_MOST = 0.97  # of the pixels of a mask as JPEG; the others lie at edges


def few_whole_values(path: Path, *, most: int) -> frozenset[int] | None:
    """The values of a NIfTI, NRRD, MetaImage or picture file with one channel.

    Args:
        path: File to read.
        most: Largest number of different values.

    Returns:
        The values, or the colours of a picture as numbers; None if there are more, or some are negative or fractions,
        or the file cannot be read.
    """
    found: set[int] = set()
    try:
        with ExitStack() as stack:
            for values in _chunks(path, stack):
                whole = _whole(values, path)
                if whole is None or len(found := found | whole) > most:
                    return None
    except (ScanError, GeometryError, OSError, EOFError, ValueError, zlib.error, MemoryError):
        return None
    return frozenset(found) or None


def _whole(values: Array, path: Path) -> set[int] | None:
    """Different values; None if some are no whole numbers from 0, by the rule of the reader of labels."""
    different = np.unique(values)
    rounded = np.rint(different)
    is_exact = np.isfinite(different).all() and (different == rounded).all()
    if not is_exact and not are_whole(different, step=integer_step(path)).all():
        return None
    return None if (rounded < 0).any() else {int(value) for value in rounded}


def _chunks(path: Path, stack: ExitStack) -> Iterator[Array]:
    name = path.name.lower()
    if is_picture_file(path):
        pixels = read_picture(path, case_id="file", is_label=True, upright=True).array
        yield _two_values(pixels) if name.endswith(LOSSY_SUFFIXES) else _colours(pixels)
    elif name.endswith(NIFTI_SUFFIXES):
        yield from _nifti_chunks(path, stack)
    elif name.endswith(ITK_SUFFIXES):
        layers, _ = read_layers(path, case_id="file")
        yield layers[0] if len(layers) == 1 else np.full(1, np.nan)


def _colours(pixels: Array) -> Array:
    """Pixels of shape `(C, I, J, 1)` as one number each."""
    if pixels.shape[0] == 1 or (pixels == pixels[:1]).all():
        return pixels[:1]
    return np.asarray(np.tensordot(256 ** np.arange(pixels.shape[0]), pixels.astype(np.int64), axes=1))


def _two_values(pixels: Array) -> Array:
    """Black and white where nearly all pixels of a lossy picture are one or the other; else the pixels."""
    is_black, is_white = pixels <= _NEARLY, pixels >= 255 - _NEARLY
    is_mask = is_black.any() and is_white.any() and (is_black | is_white).mean() >= _MOST
    two: Array = np.where(is_white, 255, 0)
    return two if is_mask else _colours(pixels)


def _nifti_chunks(path: Path, stack: ExitStack) -> Iterator[Array]:
    """The scaled values of a NIfTI file with up to three axes, in stored order."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    try:
        proxy: Any = nibabel.load(path).dataobj
    except (ImageFileError, HeaderDataError, WrapStructError) as error:
        raise ValueError(str(error)) from error
    shape, dtype = proxy.shape, np.dtype(proxy.dtype)
    if dtype.kind not in "uif" or any(size != 1 for size in shape[3:]):
        yield np.full(1, np.nan)
        return
    voxels = Path(proxy.file_like.filename if hasattr(proxy.file_like, "filename") else proxy.file_like)
    stream = stack.enter_context(open_unpacked(voxels))
    stream.seek(proxy.offset)
    left, count = int(np.prod(shape)), _FIRST
    while left > 0:
        content = stream.read(min(count, left) * dtype.itemsize)
        if not content:
            raise EOFError
        stored = np.frombuffer(content[: len(content) // dtype.itemsize * dtype.itemsize], dtype)
        left, count = left - len(stored), _CHUNK
        yield np.unique(stored).astype(np.float64) * proxy.slope + proxy.inter
