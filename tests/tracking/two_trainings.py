"""Two trainings as processes of their own that start at once in one folder, and what must have arrived of both."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.runs.test_api import SMALL

EPOCHS = 3


def train_two(data: Path, folder: Path, environment: Mapping[str, str] = {}) -> list[str]:
    """Run `medseg train` twice at once, with the folder's own store of cases and MLflow store.

    Args:
        data: Folder of the manifest.
        folder: Working folder.
        environment: More variables, such as `MLFLOW_TRACKING_URI`.

    Returns:
        What each of them wrote to its error stream.
    """
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    command = [
        sys.executable, "-m", "medseg.workflows.cli", "train", str(data),
        "--config", "small.yaml", "--epochs", str(EPOCHS), "--device", "cpu",
    ]  # fmt: skip
    started = [
        subprocess.Popen(
            [*command, "--out", out],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for out in ("one", "two")
    ]
    try:
        told = [process.communicate(timeout=300)[1] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [process.returncode for process in started] == [0, 0], told
    return told


def assert_both_whole(client: Any, folder: Path) -> None:
    """Hold two MLflow runs to the curves in their folders: every number at every step exactly once, and finished."""
    run_ids = set()
    for place in (folder / "one", folder / "two"):
        run_id = json.loads((place / "run.json").read_text(encoding="utf-8"))["mlflow_run_id"]
        run = client.get_run(run_id)
        run_ids.add(run_id)
        assert run.info.status == "FINISHED"
        assert len(run.outputs.model_outputs) == 1
        curves = read_curves(place)
        assert len(curves["train_loss"]) == EPOCHS
        for name, expected in curves.items():
            assert history(client, run_id, name) == expected
        for name in run.data.metrics:
            steps = [step for step, _ in history(client, run_id, name)]
            assert len(steps) == len(set(steps)), name
        assert not (place / "tracking.jsonl").exists()
    assert len(run_ids) == 2
    assert len([found for found in client.search_experiments() if found.name != "Default"]) == 1


def history(client: Any, run_id: str, name: str) -> list[tuple[int, float]]:
    """Step and value of a metric, as often as the store has them."""
    return [(item.step, item.value) for item in client.get_metric_history(run_id, name)]


def read_curves(place: Path) -> dict[str, list[tuple[int, Any]]]:
    """Step and value of the columns that do not measure time, from the `curves.csv` of a training."""
    with (place / "curves.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {
        name: [(int(row["step"]), pytest.approx(float(row[name]), rel=1e-5)) for row in rows]
        for name in ("train_loss", "learning_rate", "epoch")
    }
