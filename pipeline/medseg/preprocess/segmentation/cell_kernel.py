"""Compiled loops of the exact decision between the voxels of a grid.

A cell lies between eight neighbouring voxels of the network's grid, its corners. Between them values are interpolated
linearly, so within a cell every channel stays between the least and the largest of its corners:

* where one channel is the largest at all corners, it is the largest everywhere in the cell, and nothing is computed;
* elsewhere only channels whose largest corner reaches the best least corner can win, which are few.

Values that are compared in half precision can become equal by rounding, and then the first of them wins. So where one
channel is the largest at all corners, it must be so by more than rounding before nothing is computed.

Values must be numbers. Where some are NaN the choice means nothing, but it is one of the channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.compiled import compiled

_ONE, _HALF = np.float32(1), np.float32(0.5)
_STEP, _LEAST_STEP = np.float32(2.0**-10), np.float32(2.0**-24)  # of half precision, at 1 and at 0
_ONE_AND_A_BIT = np.float32(1.01)
_NORMAL, _SUBNORMALS = np.float32(2.0**-14), np.float32(2.0**24)


@compiled
def largest_channels(values: Any, found: Any, leads: Any) -> None:
    """Index of the largest channel, the first of equals.

    Args:
        values: float32 of shape `(N, C)`.
        found: int32 of shape `(N,)`, which is filled.
        leads: float32 of shape `(N,)`, which is filled with how much larger it is than the channels before it; empty
            where nobody asks.
    """
    for place in range(values.shape[0]):
        best, index, lead = values[place, 0], 0, np.float32(np.inf)
        for channel in range(1, values.shape[1]):
            if values[place, channel] > best:
                lead = values[place, channel] - best
                best, index = values[place, channel], channel
        found[place] = index
        if len(leads):
            leads[place] = lead


@compiled
def decide_cells(
    low: Any,
    high: Any,
    largest_low: Any,
    largest_high: Any,
    leads: Any,
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
        leads: What `largest_channels` gave of both planes, float32 `(J, K)` each, where values are rounded to half
            precision before they are compared; else empty.
        weights: Distance of each native slice from the lower plane, float32, in planes.
        rows: `(first cell, last cell + 1, starts, weights, step)` along J: index of the first native voxel of every
            cell, and one after the last; distance of each native voxel from its cell's lower corner; 1, or 0 if native
            voxels lie on the grid's own.
        columns: The same along K.
        table: Value of each channel.
        out: Native values `(slices, rows, columns)`, which are filled.
    """
    lead_low, lead_high = leads
    is_rounded = lead_low.size > 0
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
                and (not is_rounded or _leads(low, high, lead_low, lead_high, (row, j, column, k), index))
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
            bound = _rounded(bound) if is_rounded else bound
            count = 0
            for c in range(channels):
                if (_rounded(most[c]) if is_rounded else most[c]) >= bound:
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
                        best = _rounded(best) if is_rounded else best
                        for c in range(1, count):
                            value = _between(ends[c, 0], ends[c, 1], weight)
                            value = _rounded(value) if is_rounded else value
                            if value > best:
                                best, winner = value, c
                        out[x, y, z] = table[chosen[winner]]


@compiled
def _between(low: Any, high: Any, weight: Any) -> Any:
    """Linear interpolation that is exact at both ends, as torch's `lerp`."""
    if weight < _HALF:
        return low + weight * (high - low)
    return high - (high - low) * (_ONE - weight)


@compiled
def _leads(low: Any, high: Any, lead_low: Any, lead_high: Any, cell: Any, index: int) -> Any:
    """Whether a channel is larger than those before it everywhere in a cell, by more than rounding takes away."""
    row, j, column, k = cell
    lead = min(min(lead_low[row, column], lead_low[row, k]), min(lead_low[j, column], lead_low[j, k]))
    lead = min(lead, min(min(lead_high[row, column], lead_high[row, k]), min(lead_high[j, column], lead_high[j, k])))
    size = max(abs(low[row, column, index]), abs(low[row, k, index]))
    size = max(size, max(abs(low[j, column, index]), abs(low[j, k, index])))
    size = max(size, max(abs(high[row, column, index]), abs(high[row, k, index])))
    size = max(size, max(abs(high[j, column, index]), abs(high[j, k, index])))
    return lead > _ONE_AND_A_BIT * (_STEP * size + _LEAST_STEP)


@compiled
def _rounded(value: Any) -> Any:
    """A float32 rounded to half precision, to even where two are as near; values beyond its range stay."""
    if abs(value) < _NORMAL:
        return np.float32(np.rint(value * _SUBNORMALS) / _SUBNORMALS)
    bits = np.float32(value).view(np.uint32)
    bits = (bits + np.uint32(0xFFF) + ((bits >> np.uint32(13)) & np.uint32(1))) & np.uint32(0xFFFFE000)
    return np.uint32(bits).view(np.float32)
