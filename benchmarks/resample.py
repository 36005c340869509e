"""Resampling a CT-sized volume: this project's axis-by-axis rule against MONAI's Spacing.

    python benchmarks/resample.py

Each runs in a process of its own; prints seconds and peak memory above that of the idle process, and their ratios.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

SHAPE = (256, 256, 200)
SPACING_MM = (0.8, 0.8, 1.25)
TARGET_MM = (1.5, 1.5, 1.5)


def measure(kind: str) -> None:
    """Resample once and print seconds and extra megabytes."""
    import numpy as np
    import torch
    from medseg.geometry import Geometry
    from medseg.preprocess.resample import resample_linear
    from monai.data.meta_tensor import MetaTensor
    from monai.transforms.spatial.array import Spacing

    affine = np.diag([*SPACING_MM, 1.0])
    volume = torch.rand(1, *SHAPE)
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if kind == "medseg":
        source = Geometry(SHAPE, affine)
        result = resample_linear(volume, source, source.resampled(TARGET_MM))
    else:
        image = MetaTensor(volume, affine=torch.from_numpy(affine))
        result = Spacing(TARGET_MM, padding_mode="border", dtype=torch.float32)(image)
    seconds = time.perf_counter() - start
    extra_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle) / 1024
    print(f"{seconds:.4f} {extra_mb:.1f} {tuple(result.shape)}")


def main() -> None:
    """Run both in turn, five times each, and print medians."""
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    runs: dict[str, list[tuple[float, float]]] = {"medseg": [], "monai": []}
    for _ in range(5):
        for kind, results in runs.items():
            text = subprocess.run([sys.executable, __file__, kind], capture_output=True, text=True, check=True).stdout
            seconds, extra_mb = text.split()[:2]
            results.append((float(seconds), float(extra_mb)))
    medians = {kind: [sorted(column)[2] for column in zip(*results, strict=True)] for kind, results in runs.items()}
    for kind, (seconds, extra_mb) in medians.items():
        print(f"{kind:>8}: {seconds:.3f} s, {extra_mb:.0f} MB above idle")
    ratios = [medians["medseg"][n] / max(medians["monai"][n], 1e-9) for n in range(2)]
    print(f"medseg / monai: time {ratios[0]:.2f}, memory {ratios[1]:.2f}")


if __name__ == "__main__":
    main()
