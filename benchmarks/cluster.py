"""Masks of 40 cases by two machines of a Ray cluster, one of which is lost in the middle, beside those of one process.

Usage: `python benchmarks/cluster.py RUN SCANS --out FOLDER`. Both machines are processes of this one. `OMP_NUM_THREADS`
is 1 everywhere, since a sum over another number of threads may differ in its last bit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

_THREADS = {"OMP_NUM_THREADS": "1"}


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.argument("scans", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder.")
@click.option("--lost-after", default=12, show_default=True, help="Masks after which a machine is lost.")
def main(run: Path, scans: Path, out: Path, lost_after: int) -> None:
    """Predict three times, and compare the bytes."""
    out.mkdir(parents=True)
    os.environ.update(_THREADS)
    rows = [("one process", *_predict(run, scans, out / "one"))]
    for name, lost in (("two machines", None), ("two machines, one lost", lost_after)):
        machines = _two_machines()
        try:
            folder = out / name.replace(",", "").replace(" ", "_")
            rows.append((name, *_predict(run, scans, folder, machines=machines, lost_after=lost)))
        finally:
            machines.shutdown()
    print(f"{'':<24}{'seconds':>8}{'masks':>7}{'failures':>10}{'same bytes':>12}{'left over':>11}")
    for name, seconds, folder in rows:
        masks = sorted(folder.glob("*.nii.gz"))
        same = sum(path.read_bytes() == (out / "one" / path.name).read_bytes() for path in masks)
        record = json.loads((folder / "predictions.json").read_text(encoding="utf-8"))
        ids = [case["case_id"] for case in record["cases"]]
        if len(ids) != len(set(ids)) or len(ids) != len(masks):
            raise click.ClickException(f"{name}: a case stands twice in the record, or not at all")
        left = len(list(folder.rglob(".*.part")))
        print(f"{name:<24}{seconds:>8.1f}{len(masks):>7}{len(record['failures']):>10}{same:>12}{left:>11}")


def _two_machines() -> Any:
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    machines = Cluster(initialize_head=True, head_node_args=options)
    machines.add_node(**options)
    return machines


def _predict(
    run: Path, scans: Path, folder: Path, *, machines: Any = None, lost_after: int | None = None
) -> tuple[float, Path]:
    """Wall clock of the command, and the folder; a machine is lost once some masks are there."""
    command = ["medseg", "predict", str(run), str(scans), "--out", str(folder), "--device", "cpu"]
    command += ["--cluster", machines.address] if machines else []
    start = time.monotonic()
    with subprocess.Popen([sys.executable, "-m", "medseg.workflows.cli", *command[1:]]) as process:
        while process.poll() is None:
            if lost_after is not None and (there := len(list(folder.glob("*.nii.gz")))) >= lost_after:
                print(f"a machine is lost: {there} masks are there")
                machines.remove_node(next(iter(machines.worker_nodes)), allow_graceful=False)
                lost_after = None
            time.sleep(0.02)
    if process.returncode:
        raise click.ClickException(f"the prediction into {folder} has failed")
    return time.monotonic() - start, folder


if __name__ == "__main__":
    main()
