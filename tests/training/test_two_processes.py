"""Two processes of a training give the numbers of one, and end together."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import pytest
import torch
from medseg.phantom import write_cohort
from safetensors.torch import load_file

from tests.remedies.runs import write_patients
from tests.training.trainings import AMPLIFYING, MANY_STEPS, TRAININGS, train, train_in_float64, whole

MOST = 1e-5
EXACT = 1e-9
ENDED_S = 30.0  # the two are killed after it


class Pair(NamedTuple):
    """What two processes did.

    Attributes:
        place: Folder of the datasets and stores.
        out: Folder of their results.
        found: Results of each by the names of the trainings.
        codes: Exit codes.
        errors: What each wrote to standard error.
        ended: Time at which both had ended.
    """

    place: Path
    out: Path
    found: list[dict[str, Any]]
    codes: list[int]
    errors: list[str]
    ended: float


def start(rank: int, port: int, *arguments: object) -> subprocess.Popen[str]:
    """One of two processes, named in the environment as torchrun names it that SLURM has started once."""
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    names |= {"SLURM_JOB_ID": 7, "SLURM_PROCID": 0, "SLURM_LOCALID": 0}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.trainings", *map(str, arguments)],
        env=os.environ | {name: str(value) for name, value in names.items()} | {"OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up patients of two datasets."""
    folder = tmp_path_factory.mktemp("place")
    write_cohort(folder / "cohort", patients=4, test_patients=0)
    write_patients(folder / "boxes", count=6)
    return folder


@pytest.fixture(scope="module")
def pair(place: Path) -> Pair:
    """Two processes that ran all trainings, the last of which failed in the second."""
    out, port = place / "two", free_port()
    out.mkdir()
    both = [start(rank, port, place, out) for rank in range(2)]
    errors = [one.communicate(timeout=240)[1] for one in both]
    assert (out / "rank0.json").is_file(), errors
    found = [json.loads((out / f"rank{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]
    return Pair(place, out, found, [one.returncode for one in both], errors, time.time())


@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_give_the_numbers_of_one(name: str, pair: Pair, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one, (first, second) = train(name, pair.place, tmp_path / name), (found[name] for found in pair.found)
    torch.set_num_threads(threads)
    assert first["losses"] == pytest.approx(one["losses"], abs=MOST)
    assert second["losses"] == first["losses"]
    for what in ("reports", "validations"):
        assert len(first[what]) == len(one[what]) > 0
        for mine, theirs in zip(first[what], one[what], strict=True):
            assert mine == pytest.approx(theirs, abs=MOST, nan_ok=True)
    assert (first["rows"], first["masks"]) == (one["rows"], one["masks"])


@pytest.mark.parametrize("name", AMPLIFYING)
def test_two_processes_end_with_the_weights_of_one_where_nothing_is_rounded_to_float32(
    name: str, pair: Pair, tmp_path: Path
) -> None:
    one, two = (train_in_float64(name, pair.place, tmp_path / "one"), pair.found[0][f"{name}, float64"])
    assert len(one["losses"]) == MANY_STEPS
    assert two["losses"] == pytest.approx(one["losses"], abs=EXACT)
    delivered, theirs = (
        load_file(folder / "model" / "last.safetensors") for folder in (tmp_path / "one", pair.out / f"{name}, float64")
    )
    for part, weights in delivered.items():
        torch.testing.assert_close(theirs[part], weights, atol=EXACT, rtol=0)


@pytest.mark.parametrize("name", TRAININGS)
def test_every_case_is_validated_by_one_of_them(name: str, pair: Pair) -> None:
    first, second = (set(found[name]["measured"]) for found in pair.found)
    assert first
    assert second
    assert not first & second
    assert first | second == set(pair.found[0][name]["rows"]) == set(pair.found[1][name]["rows"])


@pytest.mark.parametrize("name", TRAININGS)
def test_the_first_alone_reports_and_writes(name: str, pair: Pair) -> None:
    first, second = (found[name] for found in pair.found)
    assert (len(first["reports"]) > 0, second["reports"], second["validations"]) == (True, [], [])
    assert first["files"] == ["best.safetensors", "checkpoint.safetensors", "last.safetensors"]


def test_whole_training_is_that_of_one_with_one_set_of_files_and_one_mlflow_run(pair: Pair, tmp_path: Path) -> None:
    one, two = tmp_path / "one" / "whole", pair.out / "whole"
    found, (first, second) = whole(pair.place, one), (each["whole"] for each in pair.found)
    assert first["losses"] == pytest.approx(found["losses"], abs=MOST)
    assert (first["summary"], second["summary"]) == (found["summary"], "None")
    assert names_in(two) == names_in(one)
    for table in ("curves.csv", "validation_curve.csv"):
        assert column(two / table, "step") == column(one / table, "step")
    store = mlflow.MlflowClient(f"sqlite:///{pair.out}.db")
    runs = store.search_runs([one.experiment_id for one in store.search_experiments()])
    assert sorted((run.info.run_name.split()[0], run.info.status) for run in runs) == [
        ("train", "FAILED"), ("train", "FINISHED"),
    ]  # fmt: skip
    steps = [metric.step for metric in store.get_metric_history(runs[-1].info.run_id, "train_loss")]
    assert steps == [int(step) for step in column(two / "curves.csv", "step")]


def test_error_of_one_ends_both_within_seconds_and_is_told_once(pair: Pair) -> None:
    assert 0 not in pair.codes
    begun = float((pair.out / "failing0").read_text(encoding="utf-8"))
    assert pair.ended - begun < ENDED_S
    assert "".join(pair.errors).count("OSError: the disk of the second is gone") == 1
    assert "Traceback" not in pair.errors[0]
    assert (pair.out / "failed" / "checkpoint.safetensors").is_file()


def names_in(folder: Path) -> list[str]:
    """Files of a run, but for pictures, whose choice may turn on the last digit of a Dice."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix not in {".png", ""})


def column(table: Path, name: str) -> list[str]:
    with table.open(encoding="utf-8") as file:
        return [row[name] for row in csv.DictReader(file)]
