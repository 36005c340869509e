"""Intake against dcm2niix and SimpleITK: the same voxels at the same millimetres, and how long it takes.

    python benchmarks/intake.py --data "$MEDSEG_DATA"

Needs dcm2niix (`pip install -c constraints.txt '.[bench]'`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from medseg.geometry import Geometry
from medseg.records import Array
from medseg.scans.dicom import FoundSeries, SeriesRules, find_series, quiet_dicom, read_instance, read_series

DCM2NIIX = Path(sys.executable).with_name("dcm2niix")
CHEST = "chest_ct_dicom"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    compare_geometry(arguments.data)
    compare_time(arguments.data / CHEST, arguments.runs)


def compare_geometry(data: Path) -> None:
    """Every series that reads, against both."""
    folders = sorted({path.parent for path in data.rglob("*") if path.is_file()})
    print("| series | against dcm2niix | against SimpleITK |\n| --- | --- | --- |")
    with quiet_dicom():
        for folder in folders:
            instances = [one for path in sorted(folder.iterdir()) if path.is_file() and (one := read_instance(path))]
            for found in find_series(instances, SeriesRules()):
                if not found.problems and not found.is_picture:
                    scan = read_series(found).scan
                    ours = scan.array[0], scan.geometry
                    name = folder.relative_to(data)
                    print(
                        f"| {name} | {_difference(ours, _dcm2niix(folder))} | {_difference(ours, _simpleitk(found))} |"
                    )


def _dcm2niix(folder: Path) -> tuple[Array, Geometry] | None:
    """What dcm2niix makes of a folder."""
    with tempfile.TemporaryDirectory() as out:
        command = [DCM2NIIX, "-z", "n", "-f", "volume", "-o", out, "-b", "n", folder]
        subprocess.run(command, check=False, capture_output=True)
        files = sorted(Path(out).glob("*.nii"))
        if len(files) != 1:
            return None
        image = nibabel.load(files[0])
        array = np.asarray(image.dataobj)
        return array, Geometry(array.shape[:3], image.affine)


def _simpleitk(found: FoundSeries) -> tuple[Array, Geometry] | None:
    """What SimpleITK's series reader makes of the files, in our order, which it is told."""
    if any(frame.index for frame in found.frames):
        return None
    image = sitk.ReadImage([str(frame.path) for frame in found.frames])
    steps = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    grid = Geometry.from_lps_axes(
        image.GetSize(), origin_mm=np.array(image.GetOrigin()), steps_mm=(steps[:, 0], steps[:, 1], steps[:, 2])
    )
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0), grid


def _difference(ours: tuple[Array, Geometry], theirs: tuple[Array, Geometry] | None) -> str:
    """Largest distance of corners, and how many voxels differ, both turned to RAS."""
    if theirs is None:
        return "not read as one volume"
    (array, grid), (other, other_grid) = (_to_ras(*one) for one in (ours, theirs))
    if array.shape != other.shape:
        return f"shape {array.shape} against {other.shape}"
    apart = grid.distance_mm(other_grid)
    scale = max(float(np.abs(array).max()), 1e-12)
    differing = int(np.count_nonzero(np.abs(array.astype(np.float64) - other) > 1e-6 * scale))
    return f"{apart:.1e} mm, {differing} voxels"


def _to_ras(array: Array, grid: Geometry) -> tuple[Array, Geometry]:
    turned = grid.reoriented("RAS")
    maps = turned.axis_maps(grid)
    flips = tuple(slice(None, None, -1 if found.scale < 0 else 1) for found in maps)
    return array.transpose([found.source_axis for found in maps])[flips], turned


def compare_time(folder: Path, runs: int) -> None:
    """Whole processes in turn, so that both meet the same machine."""
    medseg = Path(sys.executable).with_name("medseg")
    seconds: dict[str, list[float]] = {"dcm2niix -z y": [], "medseg ingest": []}
    sizes: dict[str, int] = {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as out:
            commands = {
                "dcm2niix -z y": [DCM2NIIX, "-z", "y", "-f", "volume", "-o", out, folder],
                "medseg ingest": [medseg, "ingest", folder, "--out", Path(out) / "dataset"],
            }
            for name, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                seconds[name].append(time.perf_counter() - start)
            sizes["dcm2niix -z y"] = (Path(out) / "volume.nii.gz").stat().st_size
            sizes["medseg ingest"] = next((Path(out) / "dataset" / "images").iterdir()).stat().st_size
    base = float(np.median(seconds["dcm2niix -z y"]))
    print("\n| whole process | median s | ratio | MB | ratio |\n| --- | --- | --- | --- | --- |")
    for name, times in seconds.items():
        ratio, share = np.median(times) / base, sizes[name] / sizes["dcm2niix -z y"]
        print(f"| {name} | {np.median(times):.2f} | {ratio:.2f} | {sizes[name] / 1e6:.1f} | {share:.3f} |")


if __name__ == "__main__":
    main()
