"""Mutated headers and truncated files are refused or reported; `--fuzz 10000` tries more of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MOST_GROWN_MB = 300


def test_mutated_files_are_never_another_volume_without_a_word(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    count = pytestconfig.getoption("--fuzz")
    command = [sys.executable, "-m", "tests.scans.fuzzing", str(tmp_path), str(count), "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60 + count, cwd=Path.cwd())
    assert done.returncode == 0, f"reading a mutated file ended the process: {done.stderr[-2000:]}"
    report = json.loads(done.stdout.splitlines()[-1])
    sys.stdout.write(json.dumps(report["counts"], indent=1))
    assert sum(report["counts"].values()) == count
    assert report["odd"] == []
    assert report["grown_mb"] < MOST_GROWN_MB
    assert sum(n for name, n in report["counts"].items() if name.endswith("refused")) > count // 3
