"""Fixtures that all tests share; scans are phantoms unless a test is marked `data`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from medseg.manifest import load_manifest
from medseg.phantom import write_cohort
from medseg.records import Manifest
from medseg.workflows.cli import main

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    """Eight made-up patients (eleven studies, two patients held out) and their folder; read-only."""
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder, patients=8, test_patients=2)
    return load_manifest(folder)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real scans; the test is skipped where there are none."""
    folder = os.environ.get("MEDSEG_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MEDSEG_DATA does not point to the real scans")
    return Path(folder)


@pytest.fixture(autouse=True)
def no_store_of_another_test() -> Iterator[None]:
    """MLflow's own choice of a store again after each test, whatever the test has set for its process."""
    yield
    if (mlflow := sys.modules.get("mlflow")) is not None and mlflow.is_tracking_uri_set():
        mlflow.set_tracking_uri(None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--fuzz 10000` mutates that many files instead of a few hundred; `--accelerator cpu` tries the tests for GPUs."""
    parser.addoption("--fuzz", type=int, default=210, help="Mutated scan files to read (default 210).")
    parser.addoption(
        "--accelerator", choices=["cuda", "cpu"], default="cuda", help="Device of the tests marked gpu (default cuda)."
    )


@pytest.fixture(scope="session")
def accelerator(pytestconfig: pytest.Config) -> torch.device:
    """The device that tests marked gpu hold against the CPU."""
    return torch.device(pytestconfig.getoption("--accelerator"))


@pytest.fixture
def exact_arithmetic() -> Iterator[None]:
    """Float32 arithmetic on a GPU without TF32, which keeps ten bits of what is multiplied."""
    kinds = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [kind.allow_tf32 for kind in kinds]
    for kind in kinds:
        kind.allow_tf32 = False
    yield
    for kind, was in zip(kinds, before, strict=True):
        kind.allow_tf32 = was


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    if torch.cuda.is_available() or config.getoption("--accelerator") == "cpu":
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA GPU on this machine"))


class Outcome(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Medseg = Callable[..., Outcome]


@pytest.fixture
def medseg(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Medseg:
    """Run `medseg ARGUMENTS` in this process."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["medseg", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        code = stopped.value.code
        return Outcome(code if isinstance(code, int) else 0 if code is None else 1, captured.out, captured.err)

    return run
