"""A search by two workers of which one is killed: every trial is done, none twice, none lost.

    python -m benchmarks.search --data data_manifests/nuclei_2d.json --data-root DATA --out OUT [--storage URL]

Two processes of `medseg search` share a folder. One is killed by SIGKILL in the middle of a training and is not
started again: the other takes the trial up. Then the trials in the store, their folders, their curves and their
MLflow runs are counted and held against each other.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Search, kill, count, and print a table."""
    options = _options()
    options.out.mkdir(parents=True)
    command = [
        sys.executable, "-m", "medseg.workflows.cli", "search", str(options.data.resolve()), "--out", "search",
        "--trials", str(options.trials), "--repeats", str(options.repeats), "--store", "store",
        "--device", options.device,
        *(["--trial-epochs", str(options.trial_epochs)] if options.trial_epochs else
          ["--trial-budget", options.trial_budget]),
        *(["--plan", str(options.plan.resolve())] if options.plan else []),
        *(["--data-root", str(options.data_root.resolve())] if options.data_root else []),
        *(["--storage", options.storage] if options.storage else []),
    ]  # fmt: skip
    started = time.monotonic()
    first = _start(command, options.out, "first")
    folder = options.out / "search"
    _wait(lambda: (folder / "trial_0000" / "run.json").is_file(), first)
    second = _start(command, options.out, "second")
    victim = _wait(lambda: _trained(folder), second)
    time.sleep(options.kill_after)
    steps = len(_steps(folder / victim / "curves.csv"))
    os.kill(second.pid, signal.SIGKILL)
    second.wait()
    code = first.wait()
    result: dict[str, Any] = {
        "killed in": f"{victim}, after {steps} reports of its curve",
        "exit code of the worker that is left": code,
        "seconds": round(time.monotonic() - started),
        **_counted(folder, options.out),
    }
    for name, value in result.items():
        print(f"| {name} | {value} |")
    (options.out / "result.json").write_text(json.dumps(result, indent=2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plan", type=Path, help="Plan to begin with, such as that of a small network.")
    parser.add_argument("--storage")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--trial-budget", default="60s")
    parser.add_argument("--trial-epochs", type=int, help="Length of a trial in epochs, in place of its budget.")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--kill-after", type=float, default=10.0, help="Seconds after the first report of a curve.")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def _start(command: list[str], folder: Path, name: str) -> subprocess.Popen[bytes]:
    """A worker, whose output goes to a file."""
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)


def _wait(found: Any, process: subprocess.Popen[bytes]) -> Any:
    """Wait until something is there, as long as the process lives."""
    while not (answer := found()):
        if process.poll() is not None:
            raise SystemExit(f"the worker ended with {process.returncode}")
        time.sleep(0.2)
    return answer


def _trained(folder: Path) -> str:
    """Name of a trial of the second worker that is being trained."""
    names = sorted(path.parent.name for path in folder.glob("trial_*/curves.csv"))
    later = [name for name in names if name != "trial_0000" and not (folder / name / "validation.json").is_file()]
    return later[0] if later else ""


def _steps(curves: Path) -> list[int]:
    with curves.open(encoding="utf-8") as stream:
        return [int(row["step"]) for row in csv.DictReader(stream)]


def _counted(folder: Path, place: Path) -> dict[str, Any]:
    """What there is of each trial, in the store, on the disk and in MLflow."""
    import mlflow

    content = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    trials = content["trials"]
    client = mlflow.MlflowClient(f"sqlite:///{(place / 'mlflow.db').resolve()}")
    parent = client.get_run(content["search"]["mlflow_run_id"])
    below = client.search_runs(
        [parent.info.experiment_id], filter_string=f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    )
    names = [run.info.run_name.split(",")[0].removeprefix("train ") for run in below]
    own = [name for name in names if "again" not in name]
    steps = {path.parent.name: _steps(path) for path in folder.glob("trial_*/curves.csv")}
    repeated = [
        run.info.run_name
        for run in below
        for name in run.data.metrics
        if len({m.step for m in client.get_metric_history(run.info.run_id, name)})
        < len(client.get_metric_history(run.info.run_id, name))
    ]
    states = [trial["state"] for trial in trials]
    return {
        "trials in the store": f"{len(trials)}, {len({trial['name'] for trial in trials})} of them different",
        "states": ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)),
        "folders of trials": len([path for path in folder.glob("trial_*") if "again" not in path.name]),
        "MLflow runs of trials": f"{len(own)}, of {len(set(own))} trials",
        "their states": ", ".join(sorted({run.info.status for run in below})),
        "steps in a curve twice": sum(len(found) - len(set(found)) for found in steps.values()),
        "steps in an MLflow metric twice": len(repeated),
        "scores": ", ".join(f"{trial['score']:.4f}" if trial["score"] is not None else "-" for trial in trials),
        "verdict": content["verdict"],
    }


if __name__ == "__main__":
    main()
