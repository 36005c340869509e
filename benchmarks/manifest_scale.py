"""A hospital's manifest: how long 100,000 cases take to load, check, split and save.

    python benchmarks/manifest_scale.py [--cases 100000]

Generates a manifest in a temporary folder (no scans), then three times over, in a fresh process each, reads it with
`json.load` alone and takes it through this project's stages. Prints medians; the last column is the time against that
of `json.load`, which no reader of the file in Python can do without.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

CASES_PER_PATIENT = 2.5
LABELS = 20
SITES = 30
ROUNDS = 3
SCANNERS = 12
MODALITIES = ("CT", "MR", "PT")


def write_manifest(path: Path, cases: int) -> None:
    """A manifest with patients of 1 to many studies, labels from everywhere to very rare, and uneven sites."""
    rng = np.random.default_rng(0)
    patients = np.sort(rng.integers(0, max(1, round(cases / CASES_PER_PATIENT)), cases))
    sites = rng.zipf(1.6, cases) % SITES
    scanners = (sites + rng.integers(0, 3, cases)) % SCANNERS
    prevalence = np.geomspace(0.95, 0.0005, LABELS)
    present = rng.random((cases, LABELS)) < prevalence
    volumes = np.round(rng.lognormal(3.0, 1.2, (cases, LABELS)), 3)
    training = [
        _entry(n, int(patients[n]), int(sites[n]), int(scanners[n]), present[n], volumes[n]) for n in range(cases)
    ]
    content = {
        "name": "hospital",
        "version": "1",
        "channel_names": {"0": "image"},
        "labels": {"background": 0} | {f"organ_{n:02d}": n + 1 for n in range(LABELS)},
        "training": training,
        "test": [],
    }
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _entry(number: int, patient: int, site: int, scanner: int, present: Any, volumes: Any) -> dict[str, Any]:
    name = f"{number // 1000:03d}/case_{number:06d}"
    files = (f"images/{name}.nii.gz", f"labels/{name}.nii.gz")
    return {
        "case_id": f"case_{number:06d}",
        "patient_id": f"patient_{patient:06d}",
        "image": files[0],
        "label": files[1],
        "site": f"site_{site:02d}",
        "scanner": f"scanner_{scanner:02d}",
        "study_uid": f"2.25.{number * 7919 + 10**30}",
        "series_uid": f"2.25.{number * 104729 + 10**31}",
        "sha256": {file: hashlib.sha256(file.encode()).hexdigest() for file in files},
        "modality": MODALITIES[site % len(MODALITIES)],
        "label_ml": {f"organ_{n:02d}": float(volumes[n]) for n in np.flatnonzero(present)},
    }


def measure(kind: str, path: Path, *, cases: int) -> None:
    """Print seconds by stage and the peak memory of this process as JSON."""
    seconds: dict[str, float] = {}
    if kind == "generate":
        write_manifest(path, cases)
    elif kind == "json.load":
        _timed(seconds, "json.load", lambda: json.loads(path.read_text(encoding="utf-8")))
    else:
        _take_through_stages(seconds, path)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb}))


def _take_through_stages(seconds: dict[str, float], path: Path) -> None:
    from medseg.manifest.digest import manifest_digest
    from medseg.manifest.load import check_manifest, load_manifest
    from medseg.manifest.save import save_manifest
    from medseg.split import SplitConfig, split_manifest

    manifest, _ = _timed(seconds, "load and validate", lambda: load_manifest(path))
    _timed(seconds, "of which rules across cases", lambda: check_manifest(manifest))
    config = SplitConfig(folds=5, test=0.2)
    result = _timed(seconds, "split: test set, 5 folds, balance", lambda: split_manifest(manifest, config))
    _timed(seconds, "save", lambda: save_manifest(result.manifest, path.with_name("split.json")))
    _timed(seconds, "digest", lambda: manifest_digest(result.manifest))


def _timed(seconds: dict[str, float], stage: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = work()
    seconds[stage] = time.perf_counter() - start
    return result


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--measure", nargs=2, metavar=("KIND", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure[0], Path(arguments.measure[1]), cases=arguments.cases)
        return
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "dataset.json"
        _run("generate", path, arguments.cases)  # elsewhere, for a process begins with the peak of its parent
        print(f"{arguments.cases} cases, {LABELS} labels, {SITES} sites: {path.stat().st_size / 1e6:.0f} MB")
        runs = {kind: [_run(kind, path, arguments.cases) for _ in range(ROUNDS)] for kind in ("json.load", "medseg")}
    _print_table(runs)


def _run(kind: str, path: Path, cases: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", kind, str(path), "--cases", str(cases)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _print_table(runs: dict[str, list[dict[str, Any]]]) -> None:
    alone = median(run["seconds"]["json.load"] for run in runs["json.load"])
    print("| stage | seconds | against json.load |\n| --- | --- | --- |")
    for found in runs.values():
        for stage in found[0]["seconds"]:
            seconds = median(run["seconds"][stage] for run in found)
            print(f"| {stage} | {seconds:.2f} | {seconds / alone:.1f} |")
    peaks = [median(run["peak_mb"] for run in found) for found in runs.values()]
    print(f"peak memory: {peaks[1]:.0f} MB, of json.load alone {peaks[0]:.0f} MB ({peaks[1] / peaks[0]:.1f} times)")


if __name__ == "__main__":
    main()
