"""Names from outside on consoles and locales that cannot show them: every command ends as it would elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from medseg.inference import load_record
from medseg.manifest import load_manifest, save_manifest
from medseg.phantom import write_cohort
from medseg.workflows import console

from tests.conftest import Medseg
from tests.runs.test_api import SMALL

CONSOLES = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
ORGAN = "\u809d\u810f"


def run(folder: Path, settings: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """Run `medseg ARGUMENTS` in a process of its own, on a console of its own."""
    code = "from medseg.workflows.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        check=False,
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patients whose cases, files and organs are named in Chinese."""
    folder = tmp_path_factory.mktemp("named") / "data"
    write_cohort(folder, patients=4, test_patients=1)
    manifest, _ = load_manifest(folder)
    first = next(iter(manifest.foreground))
    cases = []
    for case in manifest.cases:
        names = {name: f"{ORGAN}_{Path(name).name}" for name in (*case.images, str(case.label))}
        for old, new in names.items():
            (folder / old).rename(folder / new)
        changes = {
            "case_id": f"{ORGAN}_{case.case_id}",
            "images": tuple(names[name] for name in case.images),
            "label": names[str(case.label)],
            "sha256": None,
        }
        cases.append(case.model_copy(update=changes))
    labels = {ORGAN if name == first else name: value for name, value in manifest.labels.items()}
    update = {"name": ORGAN, "cases": tuple(cases), "labels": labels}
    save_manifest(manifest.model_copy(update=update), folder / "dataset.json")
    (folder.parent / "small.yaml").write_text(json.dumps(SMALL), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", CONSOLES)
def test_route_ends_well_on_every_console(dataset: Path, tmp_path: Path, name: str) -> None:
    settings = CONSOLES[name]
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / f"{ORGAN}.nii.gz").write_bytes(b"no scan")
    (tmp_path / "bad" / os.fsdecode(b"caf\xe9.nii.gz")).write_bytes(b"no scan")
    small = dataset.parent / "small.yaml"
    options = ("--fold", "all", "--epochs", 1, "--out", "run", "--no-tracking", "--config", small)
    trained = run(tmp_path, settings, "train", dataset, *options)
    assert trained.returncode == 0, trained.stderr
    drawn = run(tmp_path, settings, "predict", "run", dataset, "--split", "test", "--out", "masks")
    assert drawn.returncode == 0, drawn.stderr
    failed = run(tmp_path, settings, "predict", "run", "bad", "--out", "none")
    assert failed.returncode == 1
    for done in (trained, drawn, failed):
        assert b"Traceback" not in done.stderr
    assert b"2 case(s) failed" in failed.stderr
    record = load_record(tmp_path / "masks")
    assert record is not None
    assert all(case.case_id.startswith(ORGAN) and (tmp_path / "masks" / case.mask).is_file() for case in record.cases)
    none = load_record(tmp_path / "none")
    assert none is not None
    assert sorted(failure.case_id for failure in none.failures) == ["caf_", ORGAN]


@pytest.mark.parametrize("name", CONSOLES)
def test_structure_with_a_name_in_chinese_is_ingested_on_every_console(
    dataset: Path, tmp_path: Path, name: str
) -> None:
    manifest, _ = load_manifest(dataset)
    for number, case in enumerate(manifest.cases[:2]):
        folder = tmp_path / "source" / f"P{number}"
        folder.mkdir(parents=True)
        (folder / "ct.nii.gz").write_bytes((dataset / case.images[0]).read_bytes())
        (folder / f"{ORGAN}_mask.nii.gz").write_bytes((dataset / str(case.label)).read_bytes())
    done = run(tmp_path, CONSOLES[name], "ingest", "source", "--out", "dataset")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"structure: " in done.stdout
    report = json.loads((tmp_path / "dataset" / "ingest.json").read_text(encoding="utf-8"))
    assert any(ORGAN in name for name in report["structures"])


def test_dataset_with_names_in_chinese_is_split_on_a_console_without_them(dataset: Path, tmp_path: Path) -> None:
    options = ("--folds", 2, "--data-root", dataset, "--out", "new.json", "--force")
    done = run(tmp_path, CONSOLES["cp1252"], "split", dataset, *options)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


def test_console_shows_what_it_lacks_as_an_escape(
    medseg: Medseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    stream = (tmp_path / "out" / "console").open("w", encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    console.accept_every_name()
    print(f"{ORGAN} \u00f6 caf\udce9")  # noqa: T201
    stream.close()
    assert (tmp_path / "out" / "console").read_bytes() == b"\\u809d\\u810f \xf6 caf\\udce9\n"
