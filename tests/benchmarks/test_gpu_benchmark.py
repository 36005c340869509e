"""The benchmark for CUDA machines runs whole on a CPU, without what such a machine lacks."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu_parts.row import Row, Rows, markdown, read_rows

SCRIPT = Path(gpu.__file__)
ABSENT = ("SimpleITK", "pydicom", "mlflow", "pandas")


def run(*arguments: object, folder: Path, blocked: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the script in an interpreter that cannot import what a bare CUDA machine lacks."""
    site = folder / "site"
    site.mkdir(exist_ok=True)
    lines = ["import sys", *(f"sys.modules[{name!r}] = None" for name in ABSENT if blocked)]
    (site / "sitecustomize.py").write_text("\n".join(lines), encoding="utf-8")
    places = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)


def test_every_part_runs_on_the_cpu_and_every_number_says_what_it_is_of(tmp_path: Path) -> None:
    out = tmp_path / "results"
    done = run("--device", "cpu", "--quick", "--out", out, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rows, notes = read_rows(out / "rows.jsonl")
    assert all("dynamic_network_architectures is not installed" in note for note in notes)
    assert {row.part for row in rows} == set(gpu.PARTS_S)
    for row in rows:
        assert row.subject
        assert row.quantity
        assert row.device.startswith("CPU")
        assert row.repeats >= 1
        assert row.repeat
        assert row.low <= row.value <= row.high
    found = {row.quantity: row.value for row in rows}
    assert found["failed"] == 0
    assert found["passed"] > 20
    assert 0 <= found["mean volume Dice over labels"] <= 1
    assert 0 <= found["share of time waiting for data"] <= 100
    stages = {row.quantity for row in rows if row.quantity.startswith("of it: ")}
    assert {f"of it: {name}" for name in ("read", "normalise and resample", "network", "restore", "write")} < stages
    table = (out / "table.md").read_text(encoding="utf-8")
    assert table in done.stdout
    assert table.count("\n| ") == len(rows) + 1  # the rule below the heads
    with (out / "rows.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    assert json.loads((out / "machine.json").read_text(encoding="utf-8"))["torch"]
    assert (out / "dice_against_time.csv").stat().st_size > 60
    assert "passed" in (out / "log.txt").read_text(encoding="utf-8")
    assert len(list(out.iterdir())) <= 8


def test_part_that_is_cut_off_leaves_its_rows_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_QUICK_S", 0.3)
    monkeypatch.setattr(
        sys, "argv", ["gpu.py", "--device", "cpu", "--quick", "--out", str(tmp_path), "--only", "sizes"]
    )
    assert gpu.main() == 1
    assert "* sizes: cut off" in (tmp_path / "table.md").read_text(encoding="utf-8")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA GPU")
def test_machine_without_a_gpu_is_told_how_to_try_the_script(tmp_path: Path) -> None:
    done = run("--out", tmp_path / "results", folder=tmp_path)
    assert done.returncode == 1
    assert "--device cpu --quick" in done.stderr


def test_store_is_not_written_over_other_files(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x", encoding="utf-8")
    done = run("--prepare", tmp_path, "--store", tmp_path, folder=tmp_path, blocked=False)
    assert done.returncode == 1
    assert "must be a store that --prepare wrote, or empty" in done.stderr
    assert (tmp_path / "precious.txt").exists()


def test_missing_store_is_told_before_the_first_part(tmp_path: Path) -> None:
    done = run("--device", "cpu", "--out", tmp_path / "results", "--store", tmp_path / "none", folder=tmp_path)
    assert done.returncode == 1
    assert "holds no prepared cases; fill it with --prepare DATASET" in done.stderr
    assert not (tmp_path / "results").exists()


def test_store_is_kept_where_the_new_dataset_cannot_be_read(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "cohort.json").write_text('{"training": [], "validation": []}', encoding="utf-8")
    done = run("--prepare", tmp_path / "nowhere", "--store", store, folder=tmp_path, blocked=False)
    assert done.returncode != 0
    assert [path.name for path in store.iterdir()] == ["cohort.json"]


def test_part_ends_with_the_script_that_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--quick", "--out", str(tmp_path), "--only", "accuracy"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "accuracy" in process.stdout.readline()
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "* stopped from outside" in output
    assert "| part | what |" in output


def test_rows_give_median_and_spread_and_survive_a_cut_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = Rows("steps", device="card", path=path)
    rows.add("step", "time", [3.0, 1.0, 2.5], "ms", repeat="block")
    rows.add("cases", "Dice", [0.5, 1.0, 0.9], "", repeat="case", mean=True)
    rows.note("left out")
    with path.open("a", encoding="utf-8") as file:
        file.write('{"part": "st')
    found, notes = read_rows(path)
    assert found[0] == Row("steps", "step", "time", 2.5, "ms", 1.0, 3.0, 3, "block", "card")
    assert found[1].value == pytest.approx(0.8)
    assert notes == ["steps: left out"]
    assert "| 2.5 ms | 1 to 3 | 3 × block | card |" in markdown(found)
