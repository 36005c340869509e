"""Reading training crops: the chunked store against a memory-mapped array of the same numbers.

    python benchmarks/store.py

Prints size on disk and milliseconds per random 64³ crop of a smooth CT-like volume, warm cache, and their ratios.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from medseg.geometry import Geometry
from medseg.preprocess.segmentation.stored_case import open_case, save_case
from scipy.ndimage import gaussian_filter

SHAPE = (256, 256, 192)
CROP = 64
READS = 60


def main() -> None:
    """Write both forms, read the same crops from both."""
    rng = np.random.default_rng(0)
    volume = gaussian_filter(rng.normal(size=SHAPE), 2).astype(np.float16)
    label = (volume > np.quantile(volume, 0.97)).astype(np.uint8)
    grid = Geometry(SHAPE, np.eye(4))
    starts = [tuple(int(rng.integers(0, size - CROP)) for size in SHAPE) for _ in range(READS)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_case(
            folder / "case",
            image=volume[None],
            label=label,
            native_label=label,
            foreground=np.zeros((0, 4)),
            grid=grid,
            native=grid,
        )
        np.save(folder / "image.npy", volume[None])
        np.save(folder / "label.npy", label)
        case = open_case(folder / "case", case_id="case")

        def from_store(box: tuple[slice, ...]) -> int:
            return int(case.image()[(slice(None), *box)].size + case.label()[box].size)

        def from_memory_map(box: tuple[slice, ...]) -> int:
            image, mask = (np.load(folder / f"{part}.npy", mmap_mode="r") for part in ("image", "label"))
            return int(np.array(image[(slice(None), *box)]).size + np.array(mask[box]).size)

        sizes = {
            "store": sum(file.stat().st_size for file in (folder / "case").iterdir()),
            "memory map": sum((folder / f"{part}.npy").stat().st_size for part in ("image", "label")),
        }
        readers = {"store": from_store, "memory map": from_memory_map}
        times = {kind: [] for kind in readers}
        for start in starts:
            box = tuple(slice(first, first + CROP) for first in start)
            for kind, read in readers.items():
                begin = time.perf_counter()
                read(box)
                times[kind].append(time.perf_counter() - begin)
    for kind in readers:
        print(f"{kind:>10}: {sizes[kind] / 2**20:.1f} MiB, {1000 * float(np.median(times[kind])):.2f} ms per crop")
    ratio = float(np.median(times["store"]) / np.median(times["memory map"]))
    print(f"store / memory map: size {sizes['store'] / sizes['memory map']:.2f}, time {ratio:.2f}")


if __name__ == "__main__":
    main()
