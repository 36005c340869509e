"""Seconds per training step of one small UNet with different norms, in the channels-last layout on the CPU.

    python benchmarks/norm.py

The variants take turns, so that a busy machine slows all alike; prints medians and ratios to batch norm.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from medseg.networks import NetworkConfig
from medseg.networks.norm import InstanceNorm
from medseg.networks.precision import autocast, to_device
from medseg.networks.segmentation import UNet
from torch import nn

CPU = torch.device("cpu")
ROUNDS = 7


def config(norm: str) -> NetworkConfig:
    """The plan's network for the hippocampus."""
    return NetworkConfig(
        spatial_dims=3,
        in_channels=1,
        out_channels=3,
        channels=(16, 32, 64, 128),
        strides=((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
        kernels=((3, 3, 3),) * 4,
        blocks=(1, 2, 2, 2),
        decoder_blocks=(1, 1, 1),
        activation="relu",
        norm=norm,
    )


def with_torch_norm(network: nn.Module) -> nn.Module:
    """Replace this project's instance norm by PyTorch's."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, InstanceNorm):
                setattr(parent, name, nn.InstanceNorm3d(len(child.weight), affine=True))
    return network


def stepper(network: nn.Module) -> Callable[[], None]:
    """One optimisation step on a fixed batch."""
    to_device(network, CPU, spatial_dims=3)
    image = torch.randn(4, 1, 40, 56, 40).contiguous(memory_format=torch.channels_last_3d)
    label = torch.randint(0, 3, (4, 40, 56, 40))
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)

    def step() -> None:
        with autocast(CPU):
            logits = network(image)
        loss = nn.functional.cross_entropy(logits.float(), label)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()

    return step


def main() -> None:
    """Measure in turns."""
    steps = {
        "batch": stepper(UNet(config("batch"))),
        "instance, PyTorch's": stepper(with_torch_norm(UNet(config("instance")))),
        "instance, this project's": stepper(UNet(config("instance"))),
        "none": stepper(UNet(config("none"))),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for round_number in range(ROUNDS + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if round_number:  # the first is a warm-up
                times[name].append(time.perf_counter() - start)
    medians = {name: sorted(values)[ROUNDS // 2] for name, values in times.items()}
    for name, seconds in medians.items():
        print(f"{name:>26}: {seconds:.3f} s per step, {seconds / medians['batch']:.2f} of batch norm's")


if __name__ == "__main__":
    main()
