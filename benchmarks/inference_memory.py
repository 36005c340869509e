"""Memory and time of a mask: streamed plane by plane against MONAI's sliding window over the whole volume.

    python benchmarks/inference_memory.py [--rounds 3]

Each runs in a process of its own, in turns, on one thread; prints medians of processor seconds and of peak memory above
that of the idle process (the network and what is imported), and their ratios. The network is small, so that what lies
round it shows.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from medseg.geometry import Geometry
    from medseg.inference.segmentation import InferenceConfig
    from medseg.targets import ExclusiveLabels
    from torch import Tensor, nn

VOLUMES = {  # native shape, millimetres, window, classes
    "hippocampus, 3 classes": ((64, 64, 64), (1.0, 1.0, 1.0), (40, 56, 40), 3),
    "192³, 3 classes": ((192, 192, 192), (1.0, 1.0, 1.0), (96, 96, 96), 3),
    "256×256×200, 20 classes": ((256, 256, 200), (0.8, 0.8, 1.25), (64, 64, 64), 20),
}
TARGET_MM = (1.0, 1.0, 1.0)


def whole(
    network: nn.Module,
    image: Tensor,
    grid: Geometry,
    native: Geometry,
    config: InferenceConfig,
    target: ExclusiveLabels,
) -> np.ndarray:
    """All classes of all voxels at once, as it was done before."""
    import torch
    from medseg.networks.precision import memory_format
    from medseg.preprocess.segmentation import restore_mask
    from monai.inferers.utils import sliding_window_inference

    def window_logits(windows: Tensor) -> Tensor:
        logits: Tensor = network(windows.to(memory_format=memory_format(3, windows.device)))
        return logits.float()

    with torch.inference_mode():
        logits = sliding_window_inference(
            image[None], config.patch_size, config.batch_size, window_logits, overlap=config.overlap, mode="gaussian"
        )
        probabilities = target.activate(logits, dim=1).flip([])
        probabilities = (probabilities / 1)[0]
    return restore_mask(probabilities, grid, native, target=target)


def streamed(
    network: nn.Module,
    image: Tensor,
    grid: Geometry,
    native: Geometry,
    config: InferenceConfig,
    target: ExclusiveLabels,
) -> np.ndarray:
    """As `Predictor.mask` does it."""
    import torch
    from medseg.inference.segmentation.sliding import probability_planes
    from medseg.inference.segmentation.windows import lay_out_windows
    from medseg.preprocess.segmentation.restore import restore_planes

    layout = lay_out_windows(grid.shape, config)
    planes = probability_planes(network, image, layout, target=target, device=torch.device("cpu"), precision="fp32")
    return restore_planes(planes, grid, native, target=target, axis=layout.axis)


def measure(kind: str, volume: str) -> None:
    """Draw one mask and print seconds, extra megabytes and a checksum."""
    import numpy as np
    import torch
    from medseg.geometry import Geometry
    from medseg.inference.segmentation import InferenceConfig
    from medseg.networks import NetworkConfig
    from medseg.networks.segmentation import UNet
    from medseg.targets import ExclusiveLabels

    shape, spacing_mm, patch_size, classes = VOLUMES[volume]
    torch.manual_seed(0)
    torch.set_num_threads(1)  # so that processor seconds are work, not waiting
    config = NetworkConfig(
        spatial_dims=3, in_channels=1, out_channels=classes, channels=(4, 8), strides=((1, 1, 1), (2, 2, 2)),
        kernels=((3, 3, 3),) * 2, blocks=(1, 1), decoder_blocks=(1,),
    )  # fmt: skip
    network = UNet(config).eval()
    native = Geometry(shape, np.diag([*spacing_mm, 1.0]))
    grid = native.resampled(TARGET_MM)
    image = torch.randn(1, *grid.shape)
    network(torch.zeros(1, 1, 8, 8, 8))
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    target = ExclusiveLabels(labels={f"label {value}": value for value in range(classes)})
    start = time.process_time()
    draw = whole if kind == "whole" else streamed
    mask = draw(network, image, grid, native, InferenceConfig(patch_size=patch_size, batch_size=2), target)
    seconds = time.process_time() - start
    extra_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle) / 1024
    print(f"{seconds:.4f} {extra_mb:.1f} {int(mask.sum())}")


def compare(volume: str, rounds: int) -> None:
    """Run both in turns and print the medians of one volume."""
    runs: dict[str, list[tuple[float, float]]] = {"whole": [], "streamed": []}
    for _ in range(rounds):
        for kind, results in runs.items():
            command = [sys.executable, __file__, "--kind", kind, "--volume", volume]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            seconds, extra_mb = text.split()[:2]
            results.append((float(seconds), float(extra_mb)))
    medians = {
        kind: [sorted(column)[rounds // 2] for column in zip(*results, strict=True)] for kind, results in runs.items()
    }
    (old_s, old_mb), (new_s, new_mb) = medians["whole"], medians["streamed"]
    print(
        f"| {volume} | {old_s:.2f} | {new_s:.2f} | {new_s / old_s:.2f} "
        f"| {old_mb:.0f} | {new_mb:.0f} | {new_mb / max(old_mb, 1):.2f} |",
        flush=True,
    )


def main() -> None:
    """Print one row per volume."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kind", choices=["whole", "streamed"])
    parser.add_argument("--volume", choices=list(VOLUMES))
    arguments = parser.parse_args()
    if arguments.kind:
        measure(arguments.kind, arguments.volume)
        return
    print("| volume | whole, CPU s | streamed, CPU s | ratio | whole, MB | streamed, MB | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for volume in VOLUMES:
        compare(volume, arguments.rounds)


if __name__ == "__main__":
    main()
