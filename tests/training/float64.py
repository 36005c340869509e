"""Trainings in float64, in which a difference beyond 1e-9 is an error and not rounding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from medseg.training import augment
from medseg.training.classification import ClassificationTask
from medseg.training.segmentation import SegmentationTask
from torch import Tensor, nn

_AUGMENTING = ("medseg.training.segmentation.step", "medseg.training.classification.task")


@contextmanager
def in_float64() -> Iterator[None]:
    """Within the block, batches are augmented in float64, and networks are built so."""

    def augmented(image: Tensor, label: Tensor, *settings: Any, **more: Any) -> tuple[Tensor, Tensor]:
        return augment.augment_batch(image.double(), label, *settings, **more)

    with ExitStack() as patches:
        for place in _AUGMENTING:
            patches.enter_context(patch(f"{place}.augment_batch", augmented))
        for task in (SegmentationTask, ClassificationTask):
            patches.enter_context(patch.object(task, "build", _building(task.build)))
        yield


def _building(build: Any) -> Any:
    return lambda task: _doubled(build(task))


def _doubled(network: nn.Module) -> nn.Module:
    """The network in float64, which takes images of any type."""
    for module in network.modules():
        module.register_forward_pre_hook(_widen)
    return network.double()


def _widen(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(one.double() if isinstance(one, Tensor) and one.dtype == torch.float32 else one for one in inputs)
