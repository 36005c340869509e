"""Values of channels, plane by plane: memory for a slab as deep as a window, not for the whole grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from medseg.inference.segmentation.config import InferenceConfig
from medseg.inference.segmentation.head.sums import HeadSums
from medseg.inference.segmentation.importance import gaussian_importance
from medseg.inference.segmentation.windows import Voxel, WindowLayout, lay_out_windows
from medseg.networks.precision import PrecisionKind, autocast, memory_format
from medseg.targets import ChannelTarget

CHUNK_BYTES = 16 * 2**20


def probability_planes(
    network: nn.Module,
    image: Tensor,
    layout: WindowLayout,
    *,
    target: ChannelTarget,
    device: torch.device,
    precision: PrecisionKind = "auto",
    importance: Tensor | None = None,
    sums: torch.dtype = torch.float32,
    chunk_bytes: int = CHUNK_BYTES,
    head: HeadSums | None = None,
) -> Iterator[Tensor]:
    """Slide a network over a volume and yield finished planes, in order along the layout's streaming axis.

    The logits of overlapping windows are averaged with Gaussian weights and activated as the target says, then the
    flipped copies are averaged: the numbers of MONAI's `sliding_window_inference` on each flipped copy of the whole
    volume, except for the order in which they are added. Sums are float32 and stay on the device; each flipped copy has
    sums of its own, because they are activated only when they are complete.

    Args:
        network: Network in evaluation mode, on `device`.
        image: Preprocessed image on the part of the grid that the windows see, `(C, *layout.seen)`.
        layout: Windows and flips; a window of depth 1 along k means a 2D network.
        target: Meaning of the channels.
        device: Device that holds the network.
        precision: Number format.
        importance: Weight of each voxel of a window, of shape `layout.patch_size`; MONAI's Gaussian if not given.
        sums: Number format of the sums of logits and weights.
        chunk_bytes: Memory that the planes of one chunk may take; a single plane may take more.
        head: Sums of what the network's head finds, complete after the last chunk; it is not asked if not given.

    Yields:
        Chunks `(channels, I, J, K)` of the layout's box, float32, on `device`; whole along all axes but the streaming
        axis, along which they follow each other without gaps.

    Raises:
        ValueError: If the image has another shape.
    """
    seen = tuple(len(extent) for extent in layout.seen)
    if tuple(image.shape[1:]) != seen:
        raise ValueError(f"image must have the {seen} voxels that the windows see, got {tuple(image.shape[1:])}")
    if importance is None:
        importance = gaussian_importance(layout.patch_size, device=device)
    rolling = _RollingSums(layout, target, importance.to(device), sums)
    return _chunks(network, image, rolling, device=device, precision=precision, chunk_bytes=chunk_bytes, head=head)


def whole_volume_probabilities(
    network: nn.Module,
    image: Tensor,
    config: InferenceConfig,
    *,
    target: ChannelTarget,
    device: torch.device,
    precision: PrecisionKind = "auto",
) -> Tensor:
    """Values of all planes at once, which takes memory for the whole grid.

    Args:
        network: Network in evaluation mode, on `device`.
        image: Preprocessed image, `(C, I, J, K)`.
        config: Windows and flips.
        target: Meaning of the channels.
        device: Device that holds the network.
        precision: Number format.

    Returns:
        Values `(channels, I, J, K)`, float32, on `device`.
    """
    i, j, k = image.shape[1:]
    layout = lay_out_windows((i, j, k), config)
    planes = probability_planes(network, image, layout, target=target, device=device, precision=precision)
    return torch.cat(list(planes), dim=layout.axis + 1)


@torch.inference_mode()
def _chunks(
    network: nn.Module,
    image: Tensor,
    sums: _RollingSums,
    *,
    device: torch.device,
    precision: PrecisionKind,
    chunk_bytes: int,
    head: HeadSums | None,
) -> Iterator[Tensor]:
    image, layout = image.float().to(device), sums.layout
    forward = network if head is None else head.begun(network, layout)
    for visit in layout.visits:
        axes = [axis + 2 for axis in layout.copies[visit.copy]]
        windows = torch.stack([_window(image, start, layout) for start in visit.starts])  # (B, C, I, J, K)
        logits = _logits(forward, windows.flip(axes) if axes else windows, device, precision)
        logits = logits.flip(axes) if axes else logits
        del windows
        if head is not None:
            head.add(visit)
        for number, (start, finished) in enumerate(zip(visit.starts, visit.finished, strict=True)):
            sums.add(visit.copy, logits[number], start)
            yield from sums.take(finished, chunk_bytes)
        del logits  # or it would stay in memory beside the next windows' features


def _logits(
    network: Callable[[Tensor], Tensor], windows: Tensor, device: torch.device, precision: PrecisionKind
) -> Tensor:
    """Logits of a batch of windows `(B, C, I, J, K)`; slice by slice for a 2D network."""
    is_2d = windows.shape[4] == 1
    windows = (windows[..., 0] if is_2d else windows).to(memory_format=memory_format(2 if is_2d else 3, device))
    with autocast(device, precision):
        logits = network(windows)
    if not isinstance(logits, Tensor):
        raise TypeError("a network must return one tensor of logits")
    return logits[..., None] if is_2d else logits


def _window(image: Tensor, start: Voxel, layout: WindowLayout) -> Tensor:
    """The image in one window, zero where the window reaches beyond the grid."""
    padding: list[int] = []
    for axis, (first, size, seen) in enumerate(zip(start, layout.patch_size, layout.seen, strict=True)):
        before, after = max(0, seen.start - first), max(0, first + size - seen.stop)
        image = image.narrow(axis + 1, first + before - seen.start, size - before - after)
        padding = [before, after, *padding]
    return nn.functional.pad(image, padding) if any(padding) else image


class _RollingSums:
    """Weighted sums of logits of the planes that some window still changes, in a ring of the layout's depth."""

    def __init__(self, layout: WindowLayout, target: ChannelTarget, importance: Tensor, dtype: torch.dtype) -> None:
        self.layout = layout
        self.target = target
        self.planes = layout.box[layout.axis]
        self.taken = self.planes.start
        self.importance = importance
        self.logits = torch.empty(0)  # until the network's first output shows their number
        self.dtype = dtype
        self.weights = torch.zeros(len(layout.copies), 1, *layout.buffer_shape, dtype=dtype, device=importance.device)

    def _allocate(self, channels: int) -> Tensor:
        """Zeros; channels come last in memory on a CPU, as in a network's output: a voxel's are read together."""
        copies, shape, device = len(self.layout.copies), self.layout.buffer_shape, self.weights.device
        if device.type == "cpu":
            return torch.zeros(copies, *shape, channels, dtype=self.dtype).permute(0, 4, 1, 2, 3)
        return torch.zeros(copies, channels, *shape, dtype=self.dtype, device=device)

    def add(self, copy: int, logits: Tensor, start: Voxel) -> None:
        """Add the part of one window, `(channels, I, J, K)`, that lies in the box."""
        if not self.logits.numel():
            self.logits = self._allocate(len(logits))
        axis = self.layout.axis
        i, j, k = (
            range(max(first, wanted.start), min(first + size, wanted.stop))
            for first, size, wanted in zip(start, self.layout.patch_size, self.layout.box, strict=True)
        )
        most = max(1, CHUNK_BYTES * logits.shape[axis + 1] // (4 * logits.numel()))
        for planes in self._pieces((i, j, k)[axis], most):
            part = tuple(planes if n == axis else extent for n, extent in enumerate((i, j, k)))
            window = tuple(slice(r.start - first, r.stop - first) for r, first in zip(part, start, strict=True))
            weight = self.importance[window]
            place = self.logits[copy][self._place(part)]
            added = logits[(slice(None), *window)].float()
            if self.dtype == torch.float32:
                place.addcmul_(added, weight)
            else:  # the product is rounded once, with the sum
                place += added * weight
            self.weights[copy][self._place(part)].add_(weight)

    def take(self, stop: int, chunk_bytes: int) -> Iterator[Tensor]:
        """Yield the values of the planes before `stop` that were not taken yet, and free their place."""
        plane_bytes = self.logits.element_size() * self.logits[0].numel() // self.layout.depth
        for planes in self._pieces(range(self.taken, stop), max(1, chunk_bytes // plane_bytes)):
            part = tuple(planes if n == self.layout.axis else extent for n, extent in enumerate(self.layout.box))
            place = (slice(None), *self._place(part))
            self.taken = planes.stop
            yield _mean_values(self.logits[place], self.weights[place], self.target)
            self.logits[place].zero_()
            self.weights[place].zero_()

    def _pieces(self, planes: range, most: int | None = None) -> Iterator[range]:
        """Cut a range of planes where the ring ends, and so that no piece has more than `most` planes."""
        start = planes.start
        while start < planes.stop:
            left = self.layout.depth - (start - self.planes.start) % self.layout.depth
            stop = min(planes.stop, start + left, start + (most or left))
            yield range(start, stop)
            start = stop

    def _place(self, part: tuple[range, ...]) -> tuple[slice, ...]:
        """Place in the sums of a part of the box that does not cross the end of the ring."""
        place = [slice(None)]
        for axis, (extent, wanted) in enumerate(zip(part, self.layout.box, strict=True)):
            first = extent.start - wanted.start
            first %= self.layout.depth if axis == self.layout.axis else len(wanted)
            place.append(slice(first, first + len(extent)))
        return tuple(place)


def _mean_values(logits: Tensor, weights: Tensor, target: ChannelTarget) -> Tensor:
    """Mean values of sums `(copies, channels, I, J, K)`, which are overwritten, and weights `(copies, 1, I, J, K)`."""
    first = logits[0].div_(weights[0]).float()
    total = target.activate(first)
    total = total.clone() if total is first else total  # the place of the sums is used again
    for logit, weight in zip(logits[1:], weights[1:], strict=True):
        total += target.activate(logit.div_(weight).float())
    return total.div_(len(logits)) if len(logits) > 1 else total
