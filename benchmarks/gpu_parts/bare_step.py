"""A training step without data loading and augmentation, for any network, layout and number format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from medseg.training.segmentation.loss import SegmentationLoss
from torch import Tensor, nn
from torch.optim import Optimizer

FormatKind = Literal["bf16", "fp16", "fp32"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
GRADIENT_CLIP = 12.0


@dataclass(frozen=True, slots=True)
class StepSettings:
    """How a step computes.

    Attributes:
        number_format: Format of convolutions; fp16 comes with loss scaling.
        is_channels_last: Layout of weights and images.
        compile_backend: Backend of `torch.compile`; None for eager.
        is_tuned: Whether cuDNN measures its algorithms first (`cudnn.benchmark`), as nnU-Net has it.
    """

    number_format: FormatKind = "bf16"
    is_channels_last: bool = False
    compile_backend: str | None = None
    is_tuned: bool = False

    def text(self) -> str:
        """The settings as rows name them."""
        mode = "eager" if self.compile_backend is None else f"torch.compile ({self.compile_backend})"
        kind = "fp32 (TF32 on CUDA)" if self.number_format == "fp32" else self.number_format
        return f"{kind}, {mode}, channels {'last' if self.is_channels_last else 'first'}" + (
            ", cudnn.benchmark" if self.is_tuned else ""
        )


def bare_step(
    network: nn.Module,
    scales: Callable[[Tensor], list[Tensor]],
    optimiser: Optimizer,
    image: Tensor,
    label: Tensor,
    settings: StepSettings,
) -> Callable[[], Tensor]:
    """A function that does one step on a fixed batch: forward, backward, clip, update.

    Args:
        network: On the device, in training mode.
        scales: Its logits, finest first.
        optimiser: Optimiser of its parameters.
        image: Batch `(B, C, I, J, K)` on the device.
        label: Class indices `(B, 1, I, J, K)` on the device.
        settings: How to compute.
    """
    loss = SegmentationLoss()
    layout = torch.channels_last_3d if settings.is_channels_last else torch.contiguous_format
    image = image.contiguous(memory_format=layout)
    for parameter in network.parameters():
        if parameter.ndim == 5:
            parameter.data = parameter.data.contiguous(memory_format=layout)
    dtype = _DTYPES.get(settings.number_format)
    forward = scales if settings.compile_backend is None else torch.compile(scales, backend=settings.compile_backend)
    scaler = torch.amp.GradScaler(image.device.type, enabled=settings.number_format == "fp16")

    def step() -> Tensor:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(image.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            logits = forward(image)
        value: Tensor = loss(logits, label)
        scaler.scale(value).backward()
        scaler.unscale_(optimiser)
        nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_CLIP)
        scaler.step(optimiser)
        scaler.update()
        return value.detach()

    return step
