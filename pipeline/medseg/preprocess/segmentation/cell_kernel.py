"""Compiled loops of the exact decision between the voxels of a grid.

A cell lies between eight neighbouring voxels of the network's grid, its corners. Between them values are interpolated
linearly, so within a cell every channel stays between the least and the largest of its corners:

* where one channel is the largest at all corners, it is the largest everywhere in the cell, and nothing is computed;
* elsewhere only channels whose largest corner reaches the best least corner can win, which are few.

Values must be numbers. Where some are NaN the choice means nothing, but it is one of the channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

_Function = TypeVar("_Function", bound=Callable[..., Any])
_ONE, _HALF = np.float32(1), np.float32(0.5)


def _compiled(function: _Function) -> _Function:
    """Compile a function on first use, and keep the machine code on disk where that is allowed."""
    try:
        return numba.njit(function, nogil=True, cache=True)  # type: ignore[no-any-return]
    except RuntimeError:  # no place to keep it: neither beside this file nor in the user's folder
        return numba.njit(function, nogil=True)  # type: ignore[no-any-return]


@_compiled
def largest_channels(values: Any, found: Any) -> None:
    """Index of the largest channel, the first of equals.

    Args:
        values: float32 of shape `(N, C)`.
        found: int32 of shape `(N,)`, which is filled.
    """
    for place in range(values.shape[0]):
        best, index = values[place, 0], 0
        for channel in range(1, values.shape[1]):
            if values[place, channel] > best:
                best, index = values[place, channel], channel
        found[place] = index


@_compiled
def decide_cells(
    low: Any,
    high: Any,
    largest_low: Any,
    largest_high: Any,
    weights: Any,
    rows: Any,
    columns: Any,
    table: Any,
    out: Any,
) -> None:
    """Decide all native voxels between two planes of the grid, for some of its rows of cells.

    Args:
        low: Values of the lower plane, float32 `(J, K, C)`.
        high: Values of the upper plane.
        largest_low: Index of the largest channel of each voxel of the lower plane, int32 `(J, K)`.
        largest_high: The same of the upper plane.
        weights: Distance of each native slice from the lower plane, float32, in planes.
        rows: `(first cell, last cell + 1, starts, weights, step)` along J: index of the first native voxel of every
            cell, and one after the last; distance of each native voxel from its cell's lower corner; 1, or 0 if native
            voxels lie on the grid's own.
        columns: The same along K.
        table: Value of each channel.
        out: Native values `(slices, rows, columns)`, which are filled.
    """
    first, stop, row_starts, row_weights, row_step = rows
    first_column, stop_column, column_starts, column_weights, column_step = columns
    channels = low.shape[2]
    least, most = np.empty(channels, np.float32), np.empty(channels, np.float32)
    chosen = np.empty(channels, np.int32)
    corners = np.empty((channels, 8), np.float32)
    edges, ends = np.empty((channels, 4), np.float32), np.empty((channels, 2), np.float32)
    for row in range(first, stop):
        if row_starts[row] == row_starts[row + 1]:
            continue
        for column in range(first_column, stop_column):
            if column_starts[column] == column_starts[column + 1]:
                continue
            j, k = row + row_step, column + column_step
            index = largest_low[row, column]
            if (
                largest_low[row, k] == index
                and largest_low[j, column] == index
                and largest_low[j, k] == index
                and largest_high[row, column] == index
                and largest_high[row, k] == index
                and largest_high[j, column] == index
                and largest_high[j, k] == index
            ):
                for x in range(len(weights)):
                    for y in range(row_starts[row], row_starts[row + 1]):
                        for z in range(column_starts[column], column_starts[column + 1]):
                            out[x, y, z] = table[index]
                continue
            for c in range(channels):
                a = min(min(low[row, column, c], low[row, k, c]), min(low[j, column, c], low[j, k, c]))
                b = min(min(high[row, column, c], high[row, k, c]), min(high[j, column, c], high[j, k, c]))
                least[c] = min(a, b)
                a = max(max(low[row, column, c], low[row, k, c]), max(low[j, column, c], low[j, k, c]))
                b = max(max(high[row, column, c], high[row, k, c]), max(high[j, column, c], high[j, k, c]))
                most[c] = max(a, b)
            bound = least[0]
            for c in range(1, channels):
                if least[c] > bound:
                    bound = least[c]
            count = 0
            for c in range(channels):
                if most[c] >= bound:
                    chosen[count] = c
                    corners[count, 0], corners[count, 1] = low[row, column, c], high[row, column, c]
                    corners[count, 2], corners[count, 3] = low[row, k, c], high[row, k, c]
                    corners[count, 4], corners[count, 5] = low[j, column, c], high[j, column, c]
                    corners[count, 6], corners[count, 7] = low[j, k, c], high[j, k, c]
                    count += 1
            if count == 0:  # no number is least where the corners hold NaN
                count = 1
                chosen[0] = index
                corners[0, :] = low[row, column, index]
            for x in range(len(weights)):
                for c in range(count):
                    for edge in range(4):
                        edges[c, edge] = _between(corners[c, 2 * edge], corners[c, 2 * edge + 1], weights[x])
                for y in range(row_starts[row], row_starts[row + 1]):
                    for c in range(count):
                        ends[c, 0] = _between(edges[c, 0], edges[c, 2], row_weights[y])
                        ends[c, 1] = _between(edges[c, 1], edges[c, 3], row_weights[y])
                    for z in range(column_starts[column], column_starts[column + 1]):
                        weight = column_weights[z]
                        best, winner = _between(ends[0, 0], ends[0, 1], weight), 0
                        for c in range(1, count):
                            value = _between(ends[c, 0], ends[c, 1], weight)
                            if value > best:
                                best, winner = value, c
                        out[x, y, z] = table[chosen[winner]]


@_compiled
def _between(low: Any, high: Any, weight: Any) -> Any:
    """Linear interpolation that is exact at both ends, as torch's `lerp`."""
    if weight < _HALF:
        return low + weight * (high - low)
    return high - (high - low) * (_ONE - weight)
