"""Text in a picture: letters of one height and one brightness in a row, whatever they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medseg.records import Array, Mask

_LARGEST_SIDE = 2400
_WIDEST_STROKE = 9
_LEAST_CONTRAST = 0.25
_HEIGHTS = (6, 90)
_MOST_PIECES = 4000
_LETTERS = 4  # in a row
_SHAPES = 3  # different ones among them
_THICKEST = 0.42  # stroke of a letter as a part of its height
_STANDS_OUT = 0.2
_LEVEL = 0.15  # how far the feet of letters lie apart, as a part of their height
_ALIKE = 0.75  # overlap of two letters from which they are the same
_GLYPH = (10, 8)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A connected piece of ink that may be a letter."""

    top: int
    bottom: int
    left: int
    right: int
    shape: Array
    brightness: float

    @property
    def height(self) -> int:
        return self.bottom - self.top


def shows_text(picture: Array) -> bool:
    """Whether a picture shows something like text.

    Vessels, edges, needles and the marks of a ruler are none: they are no row of different thin shapes on one line.

    Args:
        picture: Shape `(C, I, J, 1)` or `(I, J)`, with I along the columns and J along the rows.
    """
    flat = picture.astype(np.float32)
    grey = flat if flat.ndim == 2 else flat[..., 0].mean(axis=0)
    grey = grey.T[:: _step(grey), :: _step(grey)]
    low, high = np.percentile(grey, [0.1, 99.9])
    if not high > low:
        low, high = float(grey.min()), float(grey.max())
    if not high > low:
        return False
    scaled = np.clip((grey - low) / (high - low), 0, 1)
    return any(_has_row(list(_pieces(image)), image) for image in (scaled, 1 - scaled))


def _step(grey: Array) -> int:
    return max(1, -(-int(max(grey.shape)) // _LARGEST_SIDE))


def _pieces(image: Array) -> Iterator[_Piece]:
    """Bright pieces of the size of letters, with thin strokes of an even brightness."""
    from scipy.ndimage import distance_transform_edt, find_objects, label, white_tophat

    ink: Mask = white_tophat(image, size=(_WIDEST_STROKE, _WIDEST_STROKE)) > _LEAST_CONTRAST
    pieces, count = label(ink, np.ones((3, 3)))
    if count > 20 * _MOST_PIECES:
        return  # noise
    for number, where in enumerate(find_objects(pieces), start=1):
        rows, columns = where
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if not (_HEIGHTS[0] <= height <= _HEIGHTS[1] and width <= 2.5 * height):
            continue
        shape = pieces[where] == number
        stroke = 2 * float(distance_transform_edt(np.pad(shape, 1)).max()) - 1
        if stroke > max(_THICKEST * height, 2):
            continue
        core = float(np.percentile(image[where][shape], 90))
        yield _Piece(rows.start, rows.stop, columns.start, columns.stop, shape, core)


def _has_row(pieces: Sequence[_Piece], image: Array) -> bool:
    """Whether enough pieces stand side by side on a line, and out from what lies behind them."""
    if len(pieces) > _MOST_PIECES:
        return False
    ordered = sorted(pieces, key=lambda piece: piece.left)
    return any(_is_text(row) and _stands_out(row, image) for row in _rows(ordered))


def _stands_out(row: Sequence[_Piece], image: Array) -> bool:
    """Whether letters are brighter than nearly everything round them, unlike the grain of noise."""
    from scipy.ndimage import binary_dilation

    top, left = max(0, min(piece.top for piece in row) - 3), max(0, row[0].left - 3)
    near = image[top : max(piece.bottom for piece in row) + 3, left : row[-1].right + 3]
    ink = np.zeros(near.shape, bool)
    for piece in row:
        ink[piece.top - top : piece.bottom - top, piece.left - left : piece.right - left] |= piece.shape
    behind = ~binary_dilation(ink, np.ones((3, 3), bool))
    if not behind.any():
        return False
    return float(np.median([piece.brightness for piece in row])) - float(np.percentile(near[behind], 97)) >= _STANDS_OUT


def _rows(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Rows of neighbours of like height and brightness, each begun by its leftmost piece."""
    begun: set[int] = set()
    for start, first in enumerate(pieces):
        if start in begun:
            continue
        row = [first]
        for at in range(start + 1, len(pieces)):
            piece = pieces[at]
            if piece.left - row[-1].right > 1.5 * first.height:
                break
            if _follows(row[-1], piece, first):
                row.append(piece)
                begun.add(at)
        yield row


def _follows(last: _Piece, piece: _Piece, first: _Piece) -> bool:
    is_beside = piece.left >= last.right - 2
    is_level = abs(piece.bottom - first.bottom) <= max(1.0, 2 * _LEVEL * first.height)
    is_like = 0.55 <= piece.height / first.height <= 1.8 and abs(piece.brightness - first.brightness) <= 0.1
    return is_beside and is_level and is_like


def _is_text(row: Sequence[_Piece]) -> bool:
    """Whether a row stands on one line and shows enough different letters."""
    if len(row) < _LETTERS:
        return False
    height = float(np.median([piece.height for piece in row]))
    feet = np.array([piece.bottom for piece in row])
    on_line = np.abs(feet - np.median(feet)) <= max(1.0, _LEVEL * height)
    if on_line.sum() < max(_LETTERS, 0.6 * len(row)):
        return False
    letters = [_glyph(piece.shape) for piece, is_on in zip(row, on_line, strict=True) if is_on]
    return _count_shapes(letters) >= _SHAPES and sum(_is_letter(piece) for piece in row) >= _SHAPES


def _is_letter(piece: _Piece) -> bool:
    """Whether a piece has the gaps of a letter, unlike a bar or a blob."""
    filled = float(piece.shape.mean())
    return 0.15 <= filled <= 0.8 and piece.shape.shape[1] >= 0.25 * piece.height


def _glyph(shape: Array) -> Mask:
    """A letter at one size."""
    rows = (np.arange(_GLYPH[0]) + 0.5) * shape.shape[0] / _GLYPH[0]
    columns = (np.arange(_GLYPH[1]) + 0.5) * shape.shape[1] / _GLYPH[1]
    return np.asarray(shape[np.ix_(rows.astype(int), columns.astype(int))], dtype=bool)


def _count_shapes(letters: Sequence[Mask]) -> int:
    kinds: list[Mask] = []
    for letter in letters:
        if all((letter & kind).sum() < _ALIKE * max((letter | kind).sum(), 1) for kind in kinds):
            kinds.append(letter)
    return len(kinds)
