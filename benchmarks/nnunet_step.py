#!/usr/bin/env python3
"""Patches per second of nnU-Net's network, in steps as its trainer does them on a CPU and in those of medseg.

    python benchmarks/nnunet_step.py

Needs `dynamic_network_architectures` (a folder with its unpacked wheel on PYTHONPATH will do). Both sides take turns in
one process, with the same network, weights, patch and batch; data loading and augmentation are left out of both.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from medseg.networks import NetworkConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from medseg.training.averaging import averaged_copy
from torch import Tensor

from benchmarks.gpu_parts import nnunet
from benchmarks.gpu_parts.bare_step import StepSettings, bare_step

_SETTINGS = {
    "nnU-Net's: fp32, channels first, SGD": StepSettings("fp32"),
    "medseg's: bf16, channels last, AdamW, average of the weights": StepSettings("bf16", is_channels_last=True),
}


class Work(NamedTuple):
    """A configuration that nnU-Net plans.

    Attributes:
        name: Name of the dataset.
        patch: Voxels of a patch.
        batch: Patches per step.
        stages: Count of resolutions.
    """

    name: str
    patch: tuple[int, int, int]
    batch: int
    stages: int


WORKS = (Work("MSD Task04 Hippocampus", (40, 56, 40), 9, 4), Work("a patch of 96×96×64", (96, 96, 64), 2, 5))


def main() -> None:
    """Print a table line per configuration and side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (default 5)")
    rounds = parser.parse_args().rounds
    if rounds < 1:
        parser.error(f"--rounds must be at least 1, got {rounds}")
    if not nnunet.is_installed():
        sys.exit("nnunet_step.py: dynamic_network_architectures cannot be imported; put it on PYTHONPATH")
    print("| configuration | step | seconds | patches/s | ratio |\n| --- | --- | --- | --- | --- |")
    for work in WORKS:
        steps = {name: _step(work, name) for name in _SETTINGS}
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for turn in range(rounds + 1):  # the first warms up
            for name, step in steps.items():
                start = time.perf_counter()
                step()
                if turn:
                    seconds[name].append(time.perf_counter() - start)
        first = median(seconds[next(iter(steps))])
        for name, taken in seconds.items():
            middle = median(taken)
            print(
                f"| {work.name}, {'×'.join(map(str, work.patch))} × {work.batch} | {name} | {middle:.2f} | "
                f"{work.batch / middle:.2f} | {first / middle:.2f} |",
                flush=True,
            )


def _step(work: Work, name: str) -> Callable[[], object]:
    """A step of one side on a fixed batch."""
    settings = _SETTINGS[name]
    torch.manual_seed(0)
    network = nnunet.build_network("PlainConvUNet", _network(work)).train()
    image = torch.randn(work.batch, 1, *work.patch)
    label = torch.randint(0, 3, (work.batch, 1, *work.patch))

    def scales(image: Tensor) -> list[Tensor]:
        found: list[Tensor] = network(image)[:-1]
        return found

    is_ours = settings.number_format != "fp32"
    optimiser = torch.optim.AdamW(network.parameters(), fused=True) if is_ours else nnunet.build_optimiser(network)
    bare = bare_step(network, scales, optimiser, image, label, settings)
    if not is_ours:
        return bare
    average = averaged_copy(network, decay=0.999)

    def step() -> None:
        bare()
        average.update_parameters(network)

    return step


def _network(work: Work) -> NetworkConfig:
    widths = [min(32 * 2**stage, 320) for stage in range(work.stages)]
    return NetworkConfig(
        spatial_dims=3,
        in_channels=1,
        out_channels=3,
        channels=tuple(widths),
        strides=((1, 1, 1), *((2, 2, 2),) * (work.stages - 1)),
        kernels=((3, 3, 3),) * work.stages,
        blocks=(1, *(2,) * (work.stages - 1)),
        decoder_blocks=(1,) * (work.stages - 1),
    )


if __name__ == "__main__":
    main()
