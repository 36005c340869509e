"""Part a: the tests that are marked `gpu`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.gpu_parts.context import Context
from benchmarks.gpu_parts.row import Rows


class _Counter:
    """Counts outcomes as pytest reports them."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.passed = 0
        self.failed: list[str] = []
        self.seconds = 0.0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one test."""
        self.seconds += report.duration
        if report.failed:
            self.failed.append(report.nodeid)
            self.rows.note(f"failed: {report.nodeid}: {report.longreprtext[-600:]}")
        elif report.when == "call" and report.passed:
            self.passed += 1


def run(context: Context) -> None:
    """Run them in this process, where the forbidden imports fail.

    Raises:
        SystemExit: If one failed, or none ran.
    """
    root = Path(__file__).parents[2]
    os.chdir(root)
    files = sorted(str(path.relative_to(root)) for path in (root / "tests").rglob("test_gpu*.py"))
    files = [file for file in files if not file.startswith("tests/benchmarks")]
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # the end of a process waits for its compiling ones
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # other plugins of the machine have no say in the outcome
    counter = _Counter(context.rows)
    options = ["-m", "gpu", "--accelerator", context.device.type, "-q", "-p", "no:cacheprovider"]
    # Warnings of another PyTorch or Python are no failure here.
    options += ["-o", "filterwarnings=default", "--basetemp", str(context.scratch / "tests")]
    code = pytest.main([*options, *files], plugins=[counter])
    rows = context.rows
    rows.add("tests marked gpu", "passed", [counter.passed], "tests", repeat="run")
    rows.add("tests marked gpu", "failed", [len(counter.failed)], "tests", repeat="run")
    rows.add("tests marked gpu", "time", [counter.seconds], "s", repeat="run")
    if code or not counter.passed:
        raise SystemExit(f"{len(counter.failed)} failed, {counter.passed} passed")
