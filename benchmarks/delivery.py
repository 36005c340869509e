#!/usr/bin/env python3
"""Seconds and memory of DICOM SEGs and measurements of a chest CT of 512×512×275 voxels.

    python benchmarks/delivery.py [--rounds 3] [--labels 25 118]

Masks are balls at random places, as many as labels. Each SEG is written by a process of its own that has read the scan;
seconds are those of the SEG alone, and the peak is that of the whole process. Reading back is by highdicom and dcmqi,
each segment compared voxel for voxel. Needs MEDSEG_DATA (chest_ct_dicom).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from medseg.records import Scan
    from medseg.scans.read_back import ReadBack
    from medseg.scans.segment import Segment

KINDS = ("labelmap", "binary")


def main() -> None:
    """Print a table line per number of labels and kind of SEG."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--labels", type=int, nargs="+", default=[25, 118])
    parser.add_argument("--one", nargs=2, metavar=("LABELS", "KIND"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    data = os.environ.get("MEDSEG_DATA")
    if not data:
        sys.exit("delivery.py: MEDSEG_DATA must be the folder that holds chest_ct_dicom")
    if arguments.one:
        measure(Path(data) / "chest_ct_dicom", int(arguments.one[0]), arguments.one[1])
        return
    print("| labels | SEG | seconds | peak memory, GB | size, MB | measurements, s | highdicom, s | dcmqi, s | same |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for labels in arguments.labels:
        for kind in KINDS:
            compare(labels, kind, arguments.rounds)


def compare(labels: int, kind: str, rounds: int) -> None:
    """Run some processes and print their medians."""
    command = [sys.executable, __file__, "--one", str(labels), kind]
    runs = []
    for _ in range(rounds):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        runs.append([float(value) for value in done.stdout.split()])
    seconds, peak, size, sizes_s, highdicom_s, dcmqi_s, same = (median(column) for column in zip(*runs, strict=True))
    print(
        f"| {labels} | {kind} | {seconds:.1f} | {peak / 1e9:.2f} | {size / 1e6:.1f} | {sizes_s:.1f} "
        f"| {highdicom_s:.1f} | {dcmqi_s:.1f} | {'yes' if same else 'NO'} |",
        flush=True,
    )


def measure(folder: Path, labels: int, kind: str) -> None:
    """Write one SEG and print seconds, peak bytes, size, and seconds and outcome of the checks."""
    from medseg.delivery.measurements import measure_structures
    from medseg.scans.dicom import quiet_dicom, read_seg_with_dcmqi, read_seg_with_highdicom, write_seg
    from medseg.scans.segment import Algorithm
    from medseg.terms import segments_of

    with quiet_dicom(), tempfile.TemporaryDirectory() as place:
        scan = read_scan(folder)
        mask = draw_balls(scan.geometry.shape, labels)
        segments = segments_of({f"ball {value}": value for value in range(1, labels + 1)})
        algorithm = Algorithm(name="balls", version="0", digest="0", notice="made up")
        path = Path(place) / "seg.dcm"
        start = time.perf_counter()
        write_seg(mask, segments, scan, path, kind="binary" if kind == "binary" else "labelmap", algorithm=algorithm)
        found = [time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0]
        found.append(float(path.stat().st_size))
        start = time.perf_counter()
        measure_structures(mask, segments, scan)
        found.append(time.perf_counter() - start)
        same = True
        for read in (read_seg_with_highdicom, read_seg_with_dcmqi):
            start = time.perf_counter()
            read_back = read(path)
            found.append(time.perf_counter() - start)
            same &= is_same(read_back, mask, segments, scan)
        print(*found, int(same))


def read_scan(folder: Path) -> Scan:
    """The only volume of a folder."""
    from medseg.scans.dicom import SeriesRules, find_series, read_instance, read_series

    instances = [one for path in sorted(folder.rglob("*")) if path.is_file() and (one := read_instance(path))]
    (found,) = find_series(instances, SeriesRules())
    return read_series(found).scan


def draw_balls(shape: tuple[int, int, int], count: int) -> np.ndarray:
    """Values 1 to `count` in balls that may lie over one another."""
    import numpy as np

    rng = np.random.default_rng(0)
    mask = np.zeros(shape, np.uint8)
    for value in range(1, count + 1):
        radius = rng.uniform(15, 60)
        centre = [rng.uniform(0.2, 0.8) * size for size in shape]
        ends = [(max(0, int(c - radius)), min(n, int(c + radius) + 1)) for c, n in zip(centre, shape, strict=True)]
        box = tuple(slice(*end) for end in ends)
        steps = np.ogrid[box]
        mask[box][sum((step - c) ** 2 for step, c in zip(steps, centre, strict=True)) < radius**2] = value
    return mask


def is_same(found: ReadBack, mask: np.ndarray, segments: tuple[Segment, ...], scan: Scan) -> bool:
    """Whether every segment has the voxels that were written."""
    import numpy as np

    values = np.zeros(scan.geometry.shape, np.uint8)
    for number in found.numbers:
        points = found.geometry.world_mm(np.argwhere(found.mask(number)).astype(float))
        values[tuple(np.rint(scan.geometry.voxels(points)).astype(int).T)] = segments[number - 1].values[0]
    return bool((values == mask).all())


if __name__ == "__main__":
    main()
