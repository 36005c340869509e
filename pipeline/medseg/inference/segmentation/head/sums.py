"""The evidence of a head, collected window by window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.inference.segmentation.importance import gaussian_importance
from medseg.networks.segmentation.multitask import MultitaskUNet, pooled
from medseg.records import Array
from medseg.targets import HeadClasses

if TYPE_CHECKING:
    from medseg.inference.segmentation.windows import Visit, WindowLayout

_CPU = torch.device("cpu")


class HeadSums:
    """Logits of the planes of a grid, or of the whole of it, from the windows that slide over it.

    Planes: windows at the same place of the plane are averaged along the axis with the window's Gaussian weights, and
    the highest of all places counts, since a class is on a slice if it is anywhere on it. The whole: the highest of all
    windows. Flipped copies are averaged.

    Args:
        head: Classes of the head.
        axis: Axis of the grid that its slices follow.
    """

    def __init__(self, head: HeadClasses, axis: int) -> None:
        self.head, self.axis = head, axis
        self._layout: WindowLayout | None = None
        self._evidence: Tensor | None = None
        self._sums: dict[tuple[int, ...], Tensor] = {}
        self._weights: dict[tuple[int, ...], Tensor] = {}
        self._highest: dict[int, Tensor] = {}

    def begun(self, network: nn.Module, layout: WindowLayout) -> Callable[[Tensor], Tensor]:
        """The network as a function of windows that gives the logits of masks and keeps the evidence of the head."""
        if not isinstance(network, MultitaskUNet):
            raise TypeError("a head's sums need a network with a head")
        self._layout = layout

        def forward(windows: Tensor) -> Tensor:
            logits, evidence = network.with_evidence(windows)
            self._evidence = (evidence[..., None] if evidence.ndim == 4 else evidence).float()
            return logits[0]

        return forward

    def add(self, visit: Visit) -> None:
        """Add the windows that were just predicted."""
        layout, evidence = self._layout, self._evidence
        if layout is None or evidence is None:
            raise ValueError("windows must be predicted before they are added")
        flipped = [axis + 2 for axis in layout.copies[visit.copy]]
        evidence = evidence.flip(flipped) if flipped else evidence
        for start, one in zip(visit.starts, evidence, strict=True):  # one: (classes, i, j, k)
            if self.head.level == "study":
                self._add_highest(visit.copy, pooled(one, (1, 2, 3)).cpu())
            else:
                self._add_planes(visit.copy, start, plane_logits(one, self.axis, layout.patch_size[self.axis]).cpu())
        self._evidence = None

    def logits(self) -> Array:
        """Logits of every plane that the windows saw, `(planes, classes)`, or of the whole, `(1, classes)`."""
        if self.head.level == "study":
            return _array(torch.stack(list(self._highest.values())).mean(dim=0)[None])
        copies: dict[int, list[Tensor]] = defaultdict(list)
        for place, sums in self._sums.items():
            weights = self._weights[place]
            is_seen = weights > 0
            copies[place[0]].append(torch.where(is_seen, sums / weights.clamp(min=1e-12), -torch.inf))
        best = [torch.stack(parts).amax(dim=0) for parts in copies.values()]  # (classes, planes) each
        return _array(torch.stack(best).mean(dim=0).T)

    def _add_highest(self, copy: int, logits: Tensor) -> None:
        known = self._highest.get(copy)
        self._highest[copy] = logits if known is None else torch.maximum(known, logits)

    def _add_planes(self, copy: int, start: tuple[int, int, int], logits: Tensor) -> None:
        """Add the planes of a window `(classes, planes)` that lie on the grid."""
        layout = self._layout
        if layout is None:
            raise ValueError("sums must be begun")
        seen, size = layout.seen[self.axis], layout.patch_size[self.axis]
        place = (copy, *(first for axis, first in enumerate(start) if axis != self.axis))
        if place not in self._sums:
            self._sums[place] = torch.zeros(len(logits), len(seen), dtype=torch.float64)
            self._weights[place] = torch.zeros(len(seen), dtype=torch.float64)
        first = start[self.axis]
        inside = range(max(first, seen.start), min(first + size, seen.stop))
        of_window = slice(inside.start - first, inside.stop - first)
        on_grid = slice(inside.start - seen.start, inside.stop - seen.start)
        weights = gaussian_importance((size,), device=_CPU)[of_window]
        self._sums[place][:, on_grid] += logits[:, of_window] * weights
        self._weights[place][on_grid] += weights


def plane_logits(evidence: Tensor, axis: int, planes: int) -> Tensor:
    """Logits of every plane along an axis: evidence `(classes, i, j, k)` to `(classes, planes)`."""
    rows = pooled(evidence, [other + 1 for other in range(3) if other != axis])
    return functional.interpolate(rows[None], size=planes, mode="linear", align_corners=False)[0]


def _array(tensor: Tensor) -> Array:
    return np.asarray(tensor.double().cpu().numpy())
