from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from medseg.errors import DeliveryError
from medseg.manifest import assign_folds, load_manifest, save_manifest, split_fold
from medseg.phantom import write_cohort

from tests.conftest import Medseg
from tests.manifest.datasets import write_dataset
from tests.manifest.test_msd import msd_content
from tests.split.cohorts import case_of, cohort_of, parts_of, skewed_cohort, touch_picture


@pytest.fixture
def quick_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medseg.runs.split.save_balance_picture", touch_picture)


def write(folder: Path, **changes: Any) -> Path:
    save_manifest(skewed_cohort(patients=30).model_copy(update=changes), folder / "dataset.json")
    return folder


def test_dataset_gets_folds_and_a_test_set_and_keeps_its_old_version(medseg: Medseg, tmp_path: Path) -> None:
    outcome = medseg("split", write(tmp_path), "--folds", 3, "--test", 0.2)
    assert outcome.code == 0
    manifest, _ = load_manifest(tmp_path)
    assert set(parts_of(manifest).values()) == {"fold 0", "fold 1", "fold 2", "test"}
    assert (manifest.version, load_manifest(tmp_path / "dataset.v1.json")[0].version) == ("2", "1")
    assert {"split.json", "split.png"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.usefixtures("quick_picture")
def test_balance_is_shown_with_its_largest_gap_and_the_next_command(medseg: Medseg, tmp_path: Path) -> None:
    lines = medseg("split", write(tmp_path)).out.splitlines()
    assert lines[0].split() == ["all", *(word for n in range(5) for word in ("fold", str(n))), "off", "by"]
    assert any(line.startswith("  tumour") for line in lines)
    assert lines[-3].startswith("largest imbalance: ")
    assert lines[-2].startswith(f"version 2 in {tmp_path / 'dataset.json'}; version 1 kept as {tmp_path}")
    assert lines[-1] == f"next: medseg train {tmp_path / 'dataset.json'} --fold 0 --out run"


@pytest.mark.usefixtures("quick_picture")
@pytest.mark.parametrize("is_divided", [True, False])
def test_cases_of_a_run_keep_their_folds_and_new_patients_join_them(
    medseg: Medseg, tmp_path: Path, is_divided: bool
) -> None:
    old = assign_folds(skewed_cohort(patients=30))
    before = {case.patient_id: case.fold for case in old.cases}
    training, validation = split_fold(old, 2)
    ids = {"training": [case.case_id for case in training], "validation": [case.case_id for case in validation]}
    nothing = dict.fromkeys(("seed", "budget", "epochs", "mlflow_run_id", "tracking_uri"))
    record = {**nothing, "fold": "2", "manifest_digest": "", "plan_digest": "", **ids}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    more = skewed_cohort(patients=45)
    cases = tuple(
        case.model_copy(update={"fold": before.get(case.patient_id) if is_divided else None}) for case in more.cases
    )
    save_manifest(more.model_copy(update={"cases": cases}), tmp_path / "dataset.json")
    outcome = medseg("split", tmp_path, "--like", tmp_path / "run")
    assert outcome.code == 0, outcome.err
    after = {case.patient_id: case.fold for case in load_manifest(tmp_path)[0].cases}
    assert {patient: after[patient] for patient in before} == before
    joined = [after[patient] for patient in after.keys() - before.keys()]
    assert set(joined) == {0, 1, 2, 3, 4}
    gone = tuple(case for case in more.cases if case.case_id != ids["validation"][0])
    save_manifest(more.model_copy(update={"cases": gone, "version": "9"}), tmp_path / "dataset.json")
    assert medseg("split", tmp_path, "--like", tmp_path / "run").code == 0
    folds = {case.case_id: case.fold for case in load_manifest(tmp_path)[0].cases}
    assert {folds[case_id] for case_id in ids["validation"][1:]} == {2}
    assert 2 not in {folds[case_id] for case_id in ids["training"]}


def test_picture_that_cannot_be_written_leaves_the_old_manifest(
    medseg: Medseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise DeliveryError("the disk is full")

    before = (write(tmp_path) / "dataset.json").read_bytes()
    monkeypatch.setattr("medseg.runs.split.save_balance_picture", fail)
    outcome = medseg("split", tmp_path)
    assert outcome.code == 1
    assert "the disk is full" in outcome.err
    assert (tmp_path / "dataset.json").read_bytes() == before


def test_picture_of_another_manifest_in_the_folder_has_its_own_name(medseg: Medseg, tmp_path: Path) -> None:
    assert medseg("split", write(tmp_path), "--out", tmp_path / "five.json").code == 0
    names = {"dataset.json", "five.json", "five.split.json", "five.split.png"}
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.usefixtures("quick_picture")
def test_next_command_trains_on_the_folds_that_were_written(
    medseg: Medseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_cohort(tmp_path / "our data", patients=6, test_patients=0)
    outcome = medseg("split", "our data", "--folds", 2, "--out", "new/dataset.json")
    assert outcome.code == 0
    command = shlex.split(outcome.out.splitlines()[-1].removeprefix("next: medseg "))
    assert command == ["train", "new/dataset.json", "--data-root", "our data", "--fold", "0", "--out", "run"]
    split, root = load_manifest(tmp_path / "new", data_root=tmp_path / "our data")
    assert all((root / image).is_file() for case in split.cases for image in case.images)
    outcome = medseg(*command, "--epochs", 1, "--no-tracking", "--config", write_quick_settings(tmp_path))
    assert outcome.code == 0, outcome.err
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["validation"] == [case.case_id for case in split.cases if case.fold == 0]


def write_quick_settings(folder: Path) -> Path:
    path = folder / "quick.yaml"
    path.write_text("training: {batch_size: 1}\n")
    return path


@pytest.mark.usefixtures("quick_picture")
def test_volumes_that_were_measured_are_kept_in_the_manifest(medseg: Medseg, tmp_path: Path) -> None:
    write_cohort(tmp_path, patients=4, test_patients=1)
    assert medseg("split", tmp_path, "--folds", 2).code == 0
    assert all(case.label_ml is not None for case in load_manifest(tmp_path)[0].cases)


@pytest.mark.usefixtures("quick_picture")
def test_label_that_cannot_be_read_is_told_and_the_others_are_split(medseg: Medseg, tmp_path: Path) -> None:
    manifest = write_cohort(tmp_path, patients=6, test_patients=0)
    (tmp_path / str(manifest.cases[0].label)).write_bytes(b"broken")
    outcome = medseg("split", tmp_path, "--folds", 2)
    assert outcome.code == 1
    assert f"failed: case {manifest.cases[0].case_id}: " in outcome.err
    assert all(case.fold is not None for case in load_manifest(tmp_path)[0].cases)
    assert len(json.loads((tmp_path / "split.json").read_text())["failures"]) == 1


@pytest.mark.usefixtures("quick_picture")
def test_labels_that_folds_lack_are_warnings(medseg: Medseg, tmp_path: Path) -> None:
    cases = [case_of(f"c{n}", f"p{n}", label_ml={"liver": 1.0, **({"tumour": 1.0} if n < 2 else {})}) for n in range(9)]
    labels = {"background": 0, "liver": 1, "tumour": 2}
    save_manifest(cohort_of(cases, labels=labels), tmp_path / "dataset.json")
    outcome = medseg("split", tmp_path, "--folds", 3)
    assert outcome.code == 0
    assert "warning: label tumour: 2 patient(s) for 3 folds; no case of it in fold" in outcome.err


@pytest.mark.usefixtures("quick_picture")
def test_folds_that_exist_are_replaced_only_by_force(medseg: Medseg, tmp_path: Path) -> None:
    medseg("split", write(tmp_path), "--seed", 1)
    before = (tmp_path / "dataset.json").read_bytes()
    outcome = medseg("split", tmp_path, "--seed", 2)
    assert outcome.code == 1
    assert "must have no folds yet, got 5 folds" in outcome.err
    assert "use the option force to replace them" in outcome.err
    assert (tmp_path / "dataset.json").read_bytes() == before
    assert medseg("split", tmp_path, "--seed", 2, "--force").code == 0
    assert load_manifest(tmp_path)[0].version == "3"
    assert (tmp_path / "dataset.v2.json").read_bytes() == before


@pytest.mark.usefixtures("quick_picture")
def test_manifest_without_patients_is_refused_unless_cases_are_patients(medseg: Medseg, tmp_path: Path) -> None:
    write(tmp_path, has_patients=False)
    outcome = medseg("split", tmp_path)
    assert outcome.code == 1
    assert "patient_id must be given to keep each patient in one fold" in outcome.err
    assert medseg("split", tmp_path, "--cases-are-patients").code == 0


@pytest.mark.usefixtures("quick_picture")
def test_decathlon_file_needs_out_and_stays_as_it_is(medseg: Medseg, tmp_path: Path) -> None:
    entries = [{"image": f"imagesTr/c{n}.nii.gz"} for n in range(6)]
    data = write_dataset(tmp_path / "data", msd_content(training=entries, test=[]))
    before = (data / "dataset.json").read_bytes()
    outcome = medseg("split", data, "--cases-are-patients")
    assert outcome.code == 2
    assert "name a new file as the output" in outcome.err
    out = tmp_path / "folds.json"
    assert medseg("split", data, "--cases-are-patients", "--out", out).code == 0
    assert (data / "dataset.json").read_bytes() == before
    assert {case.fold for case in load_manifest(out)[0].cases} == set(range(5))


def write_audited(folder: Path, check: str) -> None:
    """A dataset of eight patients, and an audit that found the second's scan to be the first's."""
    save_manifest(cohort_of([case_of(f"c{n}", f"p{n}") for n in range(8)]), folder / "dataset.json")
    finding = {
        "check": check,
        "severity": "error",
        "case_id": "c1",
        "others": ["c0"],
        "message": "case c1: as c0; drop",
    }
    (folder / "audit.json").write_text(json.dumps({"findings": [finding]}))


def test_duplicate_of_the_audit_stops_the_split(medseg: Medseg, tmp_path: Path) -> None:
    write_audited(tmp_path, "duplicate_image")
    outcome = medseg("split", tmp_path)
    assert outcome.code == 1
    assert "error: case c1: as c0; drop (as medseg audit found)" in outcome.err
    assert not (tmp_path / "split.json").exists()


@pytest.mark.usefixtures("quick_picture")
def test_near_duplicate_of_the_audit_is_told_and_recorded(medseg: Medseg, tmp_path: Path) -> None:
    write_audited(tmp_path, "near_duplicate")
    outcome = medseg("split", tmp_path)
    assert outcome.code == 0
    assert "warning: case c1: as c0; drop (as medseg audit found)" in outcome.err
    recorded = json.loads((tmp_path / "split.json").read_text())["warnings"]
    assert recorded == ["case c1: as c0; drop (as medseg audit found)"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "label,sight"], "'sight' is not one of label, volume, site, scanner, modality"),
        (["--folds", "1"], "1 is not in the range x>=2"),
        (["--test", "1"], "1.0 is not in the range 0<=x<1"),
        (["--seed", "-1"], "-1 is not in the range x>=0"),
    ],
)
@pytest.mark.usefixtures("quick_picture")
def test_option_out_of_range_is_a_usage_error(
    medseg: Medseg, tmp_path: Path, arguments: list[str], message: str
) -> None:
    outcome = medseg("split", write(tmp_path), *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]


@pytest.mark.usefixtures("quick_picture")
def test_features_may_be_chosen(medseg: Medseg, tmp_path: Path) -> None:
    medseg("split", write(tmp_path), "--by", "site, volume")
    assert json.loads((tmp_path / "split.json").read_text())["options"]["by"] == ["site", "volume"]


@pytest.mark.data
def test_real_hippocampus_is_split_evenly(medseg: Medseg, real_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "dataset.json"
    arguments = ["--cases-are-patients", "--test", 0.2, "--out", out]
    assert medseg("split", real_data / "msd_hippocampus", *arguments).code == 0
    manifest, _ = load_manifest(out, data_root=real_data / "msd_hippocampus")
    sizes = sorted(list(parts_of(manifest).values()).count(part) for part in set(parts_of(manifest).values()))
    assert sizes == [32] * 5 + [40]
    rows = json.loads((tmp_path / "split.json").read_text())["balance"]["rows"]
    assert max(row["gap"] for row in rows) < 8


@pytest.mark.data
def test_real_nuclei_are_split_by_the_area_of_their_one_label(medseg: Medseg, real_data: Path, tmp_path: Path) -> None:
    manifest = Path(__file__).parents[2] / "data_manifests" / "nuclei_2d.json"
    root = ["--data-root", real_data / "nuclei_2d"]
    assert medseg("split", manifest, *root, "--cases-are-patients", "--out", tmp_path / "nuclei.json").code == 0
    split, _ = load_manifest(tmp_path / "nuclei.json")
    assert all(set(case.label_ml or {}) == {"nucleus"} for case in split.cases)
