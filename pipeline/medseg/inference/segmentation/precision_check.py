"""Whether a model decides in bfloat16 as it does in float32."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.cohort import CASE_ERRORS
from medseg.inference.precision_record import PrecisionCheck
from medseg.inference.segmentation.predictor import Predictor
from medseg.networks.precision import PrecisionKind, autocast, memory_format
from medseg.records import Labelmap, Scan
from medseg.targets import LabelMap, on_logits

_WINDOWS = 2
_OCTAVES = 5  # scales of the noise, each twice as coarse as the one before
_FEWEST = 100  # voxels of a label whose Dice says something
_SEED = 0


class PreciseModel(Protocol):
    """A model whose number format can be chosen."""

    precision: PrecisionKind

    @property
    def labels(self) -> dict[str, int]:
        """Value of each label by name, the background included."""

    def mask(self, scan: Scan) -> Labelmap:
        """Label values on the scan's own grid."""


def check_on_noise(model: Predictor) -> PrecisionCheck | None:
    """Compare both on windows of noise with fine and coarse structure; None where that shows no label."""
    card = model.card
    size = card.inference.patch_size[: card.network.spatial_dims]
    windows = noise_windows(card.network.in_channels, size)
    pairs = (decided_in_both(model.network, x, target=card.target, device=model.device) for x in windows)
    return compare_masks(pairs, labels=card.labels, subject="noise")


def check_on_scans(
    model: PreciseModel,
    scans: Iterable[Scan],
    *,
    subject: str,
    on_error: Callable[[Exception], None] | None = None,
) -> PrecisionCheck | None:
    """Compare both on the masks of whole scans, whose voxels are counted together; None where they show no label.

    Args:
        model: Loaded model; its number format is the same afterwards.
        scans: Scans as they were read.
        subject: Name of the scans.
        on_error: Called with the error of a scan that cannot be drawn, before the next is taken; raised if not given.
    """
    before = model.precision

    def drawn(scan: Scan) -> Iterator[Labelmap]:
        kinds: tuple[PrecisionKind, ...] = ("fp32", "bf16")
        for model.precision in kinds:
            yield model.mask(scan)

    def pairs() -> Iterator[tuple[Labelmap, ...]]:
        for scan in scans:
            try:
                pair = tuple(drawn(scan))
            except CASE_ERRORS as error:
                if on_error is None:
                    raise
                on_error(error)
                continue
            yield pair

    try:
        return compare_masks(pairs(), labels=model.labels, subject=subject)
    finally:
        model.precision = before


@torch.inference_mode()
def decided_in_both(
    network: nn.Module, window: Tensor, *, target: LabelMap, device: torch.device
) -> tuple[Labelmap, Labelmap]:
    """Decisions about a window `(1, C, I, J[, K])` in float32 and in bfloat16."""
    x = window.to(device).to(memory_format=memory_format(window.ndim - 2, device))
    decided = []
    for kind in ("fp32", "bf16"):
        with autocast(device, "bf16" if kind == "bf16" else "fp32"):
            logits: Tensor = network(x)
        decided.append(on_logits(target).decide(logits.float()[0]))
    return decided[0], decided[1]


def noise_windows(channels: int, size: Sequence[int]) -> Iterator[Tensor]:
    """Windows `(1, C, I, J[, K])` of noise with fine and coarse structure, standard deviation 1."""
    generator = torch.Generator().manual_seed(_SEED)
    mode = "bilinear" if len(size) == 2 else "trilinear"
    for _ in range(_WINDOWS):
        total = torch.zeros(1, channels, *size)
        for octave in range(_OCTAVES):
            coarse = [max(1, extent >> octave) for extent in size]
            part = torch.randn(1, channels, *coarse, generator=generator)
            total += functional.interpolate(part, tuple(size), mode=mode, align_corners=False) * 2**octave
        yield total / total.std()


def compare_masks(
    pairs: Iterable[tuple[Labelmap, ...]], *, labels: dict[str, int], subject: str
) -> PrecisionCheck | None:
    """Dice of the labels that are large enough to tell, over all pairs of exact and rounded masks."""
    size: Counter[int] = Counter()
    both: Counter[int] = Counter()
    in_exact: Counter[int] = Counter()
    for exact, rounded in pairs:
        for value in labels.values():
            one, other = exact == value, rounded == value
            in_exact[value] += int(one.sum())
            size[value] += int(one.sum()) + int(other.sum())
            both[value] += int(np.logical_and(one, other).sum())
    told = {name: value for name, value in labels.items() if value and in_exact[value] >= _FEWEST}
    scores = {name: 2 * both[value] / size[value] for name, value in told.items()}
    return PrecisionCheck(agreement=min(scores.values()), subject=subject, by_label=scores) if scores else None
