from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from medseg.records import Manifest
from medseg.workflows.classify import STEPS
from medseg.workflows.cli import VERBS

from tests.conftest import Medseg

HEAVY = ("torch", "monai", "mlflow", "numpy", "nibabel", "ignite")


def loaded_by(code: str) -> set[str]:
    """Heavy modules that a snippet loads in a fresh interpreter."""
    report = f"import sys\n{code}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_help_loads_nothing_heavy() -> None:
    assert (
        loaded_by("from medseg.workflows.cli import medseg\ntry: medseg(['--help'])\nexcept SystemExit: pass") == set()
    )


def test_help_of_predict_loads_nothing_heavy() -> None:
    code = "from medseg.workflows.cli import medseg\ntry: medseg(['predict', '--help'])\nexcept SystemExit: pass"
    assert loaded_by(code) == set()


def test_usage_error_of_a_verb_loads_nothing_heavy() -> None:
    code = (
        "from medseg.workflows.cli import medseg\n"
        "try: medseg(['train', 'nowhere', '--budgte', '1m'])\nexcept SystemExit: pass"
    )
    assert loaded_by(code) == set()


@pytest.mark.parametrize("step", STEPS)
def test_help_and_usage_error_of_a_classify_step_load_nothing_heavy(step: str) -> None:
    for arguments in (["--help"], ["--budgte", "1m"]):
        code = (
            "from medseg.workflows.cli import medseg\n"
            f"try: medseg(['classify', {step!r}, *{arguments!r}])\nexcept SystemExit: pass"
        )
        assert loaded_by(code) == set()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example(medseg: Medseg, verb: str) -> None:
    outcome = medseg(verb, "--help")
    assert outcome.code == 0
    assert f"medseg {verb}" in outcome.out.split("Example")[1]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_runs_as_a_script(verb: str) -> None:
    script = Path(__file__).parents[2] / "workflows" / f"{verb}.py"
    done = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout


def test_misspelt_verb_names_the_right_one(medseg: Medseg) -> None:
    outcome = medseg("evalaute")
    assert outcome.code == 2
    assert "Did you mean 'evaluate'" in outcome.err


def test_misspelt_option_names_the_right_one(medseg: Medseg, tmp_path: Path) -> None:
    outcome = medseg("train", tmp_path, "--out", tmp_path / "run", "--budgt", "1m")
    assert outcome.code == 2
    assert "No such option '--budgt'" in outcome.err
    assert "'--budget'" in outcome.err.split("Did you mean")[1]


def test_budget_and_epochs_together_are_a_usage_error(medseg: Medseg, tmp_path: Path) -> None:
    outcome = medseg("train", tmp_path, "--out", tmp_path / "run", "--budget", "1m", "--epochs", 3)
    assert outcome.code == 2
    assert "exclude each other" in outcome.err


@pytest.mark.parametrize("budget", ["10", "ten minutes", "0m", "-1m"])
def test_budget_without_meaning_is_a_usage_error(
    medseg: Medseg, cohort: tuple[object, Path], tmp_path: Path, budget: str
) -> None:
    outcome = medseg("train", cohort[1], "--out", tmp_path / "run", f"--budget={budget}")
    assert outcome.code == 2
    assert "10m" in outcome.err


def test_output_folder_that_holds_something_is_refused(medseg: Medseg, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    outcome = medseg("demo", "--out", tmp_path)
    assert outcome.code == 2
    assert "must be new or empty" in outcome.err
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_rooms_for_a_bare_gpu_node_import_without_io_and_tracking_libraries() -> None:
    blocked = ("nibabel", "SimpleITK", "pydicom", "mlflow", "matplotlib", "PIL", "pandas", "click")
    code = "import sys\n" + "\n".join(f"sys.modules[{name!r}] = None" for name in blocked)
    code += "\nfrom medseg.training import *\nfrom medseg.networks import *"
    code += "\nimport medseg.inference, medseg.inference.segmentation, medseg.preprocess, medseg.training.engine"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("ingest {data} --out {file}/x", "out"),
        ("ingest {data} --out {new} --key {file}/k", "key"),
        ("split {data} --folds 2 --out {file}/new.json", "out"),
        ("lens {data} --out {file}/x", "out"),
        ("classify train {data} --out {file}/x", "out"),
        ("classify train {data} --out {new} --store {file}/x --no-tracking", "store"),
        ("classify compare {data} --out {file}/x", "out"),
        ("evaluate {data} --masks {data} --out {file}/x", "out"),
        ("predict {data} {data} --out {file}/x", "out"),
    ],
)
def test_folder_that_cannot_be_written_is_named_before_the_work(
    medseg: Medseg, cohort: tuple[Manifest, Path], tmp_path: Path, line: str, option: str
) -> None:
    (tmp_path / "file").touch()
    places = {"data": cohort[1], "file": tmp_path / "file", "new": tmp_path / "new"}
    outcome = medseg(*line.format(**places).split())
    assert outcome.code == 1
    assert "must be writable, got: " in outcome.err
    assert f"choose another with the option {option}" in outcome.err
    assert not (tmp_path / "new").exists()
