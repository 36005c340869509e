"""Trainings that are killed, or told to stop, end as if nobody had disturbed them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runs.killed_in_places import CLASSIFICATION, SEGMENTATION

ROOT = Path(__file__).parents[2]
WAITING_S = 45.0  # less than the minute for which a scan is prepared; a busy machine takes its time


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of the trainings."""
    command = [sys.executable, "-m", "tests.runs.killed_in_places", str(tmp_path_factory.mktemp("killed"))]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize(("kind", "moments"), [("segmentation", SEGMENTATION), ("classification", CLASSIFICATION)])
def test_training_killed_in_many_places_leaves_the_same_files_and_one_mlflow_run(
    told: dict[str, Any], kind: str, moments: tuple[str, ...]
) -> None:
    assert told[kind]["codes"] == dict.fromkeys(moments, -signal.SIGKILL)
    assert told[kind]["differing"] == []


@pytest.mark.parametrize("stage", ["prepare", "classify"])
def test_scheduler_s_signal_ends_a_training_soon_and_resumably(told: dict[str, Any], stage: str) -> None:
    """Also where a thread that prepares a scan would take another minute."""
    found = told["signals"][stage]
    assert found["code"] == 143
    assert found["seconds"] < WAITING_S
    assert found["is_saved"] == (stage != "prepare")
    assert (found["resumed"], found["is_same"]) == (0, True)
