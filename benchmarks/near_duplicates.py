"""How well near-duplicates are told from look-alikes: the thresholds of medseg.audit.near_duplicates.

Copies of real scans, changed as exports and anonymisers change them, against all pairs of different patients. Needs
the real scans: MEDSEG_DATA must point to them.

    MEDSEG_DATA=/data python benchmarks/near_duplicates.py
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from medseg.audit.canonical import canonical
from medseg.audit.image_hash import HASH_BITS, VOLUME_SIZE, image_hash, shrink
from medseg.audit.likeness import likeness
from medseg.audit.near_duplicates import CANDIDATE_BITS, LIKELY, SURE, find_near_duplicates
from medseg.manifest import load_manifest
from medseg.records import Array
from medseg.scans import read_scan
from scipy import ndimage

DATA = Path(os.environ["MEDSEG_DATA"])
HERE = Path(__file__).parents[1]
COPIES = 50


def main() -> None:
    """Print a table per dataset, then the time for many images."""
    for name, files in cohorts().items():
        volumes = [read(paths) for paths in files]
        small = [shrink(volume) for volume in volumes]
        report_others(name, [image for image in small if image is not None])
        chosen = list(range(0, len(volumes), max(1, len(volumes) // COPIES)))
        rng = np.random.default_rng(0)
        rows: dict[str, list[tuple[int, float]]] = {}
        for index in chosen:
            for change, copy in changed(volumes[index], rng):
                rows.setdefault(change, []).append(compare(small[index], shrink(copy)))
        for change, pairs in rows.items():
            report_copies(change, pairs)
    for count in (2_000, 10_000):
        report_time(count)


def cohorts() -> dict[str, list[list[Path]]]:
    """Image files of each cohort, a patient each."""
    hippocampus, root = load_manifest(DATA / "msd_hippocampus")
    nuclei, nuclei_root = load_manifest(HERE / "data_manifests/nuclei_2d.json", data_root=DATA / "nuclei_2d")
    found = {
        "hippocampus": [[root / name for name in case.images] for case in hippocampus.cases],
        "nuclei": [[nuclei_root / name for name in case.images] for case in nuclei.cases],
    }
    for modality in ("CT", "MR_T1", "PET"):
        found[f"sarcoma {modality}"] = [
            [path] for path in sorted((DATA / "sts_sarcoma/nifti").glob(f"*/{modality}_image.nii.gz"))
        ]
    found["atria"] = [[path] for path in sorted((DATA / "left_atrium/imagesTr").glob("*.nii.gz"))]
    return found


def read(paths: list[Path]) -> Array:
    """A canonical volume."""
    scan = read_scan(paths, case_id=paths[0].name)
    return np.array(canonical(scan.array.mean(axis=0), scan.geometry)[0])


def changed(volume: Array, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """Copies as they turn up."""
    low, high = np.percentile(volume, [1, 99])
    span = high - low
    is_flat = volume.shape[2] == 1

    def cropped(most: int) -> Array:
        cuts = [(0, 0) if n < 8 else rng.integers(0, most + 1, 2) for n in volume.shape]
        return volume[tuple(slice(a, n - b) for (a, b), n in zip(cuts, volume.shape, strict=True))]

    yield "noise of 2 %", volume + rng.normal(0, 0.02 * span, volume.shape)
    yield "noise of 5 %", volume + rng.normal(0, 0.05 * span, volume.shape)
    yield "another linear scale", 3.7 * volume + 100
    yield "gamma 0.7", np.clip((volume - low) / span, 0, 1) ** 0.7
    yield "gamma 1.5", np.clip((volume - low) / span, 0, 2) ** 1.5
    yield "8 bits", np.round(255 * (volume - volume.min()) / np.ptp(volume))
    yield "80 % of the voxels", ndimage.zoom(volume, (0.8, 0.8, 1 if is_flat else 0.8), order=1)
    aniso = (0.5, 0.5, 1) if is_flat else (1.25, 1.25, 0.6)
    yield f"{' × '.join(f'{100 * part:.0f}' for part in aniso)} % of the voxels", ndimage.zoom(volume, aniso, order=1)
    yield "cropped by up to 1 a side", cropped(1)
    yield "cropped by up to 2 a side", cropped(2)
    yield "cropped by up to 3 a side", cropped(3)
    yield "shifted by half a voxel", ndimage.shift(volume, (0.5, 0.5, 0 if is_flat else 0.5), order=1, mode="nearest")
    yield "blurred by 0.8 voxels", ndimage.gaussian_filter(volume, (0.8, 0.8, 0 if is_flat else 0.8))
    yield "turned by 3°", ndimage.rotate(volume, 3, axes=(0, 1), reshape=False, order=1, mode="nearest")
    several = ndimage.zoom(cropped(1), (0.8, 0.8, 1 if is_flat else 0.8), order=1) * 2
    yield "cropped, resampled, noisy", several + rng.normal(0, 0.08 * span, several.shape)
    yield "mirrored left and right, noisy", volume[::-1] + rng.normal(0, 0.02 * span, volume.shape)


def compare(one: Array | None, other: Array | None) -> tuple[int, float]:
    """Differing bits and likeness, with the find's own choice of mirroring."""
    if one is None or other is None:
        return HASH_BITS, 0.0
    pairs, _ = find_near_duplicates([one, other])
    if pairs:
        return pairs[0].bits, pairs[0].likeness
    return int((image_hash(one) != image_hash(other)).sum()), likeness(one, other)


def report_others(name: str, small: list[Array]) -> None:
    """False alarms among different patients, and how near the nearest come."""
    hashes = np.stack([image_hash(image) for image in small])
    bits = (hashes[:, np.newaxis] != hashes).sum(axis=-1)
    upper = np.triu_indices(len(small), 1)
    nearest = np.argsort(bits[upper])[:300]
    alike = [likeness(small[upper[0][at]], small[upper[1][at]]) for at in nearest]
    pairs, _ = find_near_duplicates(small)
    print(
        f"\n{name}: {len(upper[0])} pairs of different patients, nearest {bits[upper].min()} bits, "
        f"{int((bits[upper] <= CANDIDATE_BITS).sum())} candidates; most alike of the nearest 300: {max(alike):.3f}; "
        f"false alarms: {sum(p.likeness >= SURE for p in pairs)} sure, {sum(p.likeness < SURE for p in pairs)} likely"
    )
    print(f"{'copies that were':<34}{'found':>7}{'sure':>7}{'worst bits':>12}{'worst likeness':>16}")


def report_copies(change: str, pairs: list[tuple[int, float]]) -> None:
    """How many copies are found."""
    found = [alike for bits, alike in pairs if bits <= CANDIDATE_BITS and alike >= LIKELY]
    sure = sum(alike >= SURE for alike in found)
    worst = max(bits for bits, _ in pairs), min(alike for _, alike in pairs)
    print(f"{change:<34}{len(found) / len(pairs):>7.0%}{sure / len(pairs):>7.0%}{worst[0]:>12}{worst[1]:>16.3f}")


def report_time(count: int) -> None:
    """Seconds for a cohort of this many unlike images."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, VOLUME_SIZE, dtype=np.uint8) for _ in range(count)]
    start = time.perf_counter()
    find_near_duplicates(images)
    print(f"{count} images: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
