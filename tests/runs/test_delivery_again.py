"""A second delivery into a folder: what it keeps, what it replaces, and what it says of cases that it left alone."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import medseg.scans
import numpy as np
import pytest
from medseg.errors import ConfigError

from tests.conftest import Medseg
from tests.runs.delivered import deliver, draw_masks


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_masks(tmp_path_factory.mktemp("again"))


def test_case_delivered_alone_leaves_the_others_in_the_record(masks: Path, tmp_path: Path) -> None:
    deliver(masks, tmp_path / "out", "csv", "seg")
    assert [one["case_id"] for one in record(tmp_path)["failures"]] == ["oblique"]
    deliver(masks, tmp_path / "out", "csv", cases=("oblique",))
    deliver(masks, tmp_path / "out", "csv", "nifti", cases=("A",))
    assert {one["case_id"]: one["is_certified"] for one in record(tmp_path)["cases"]} == {"oblique": True, "A": True}
    assert record(tmp_path)["failures"] == []
    with (tmp_path / "out" / "measurements.csv").open(newline="") as stream:
        assert {row["case_id"] for row in csv.DictReader(stream)} == {"oblique", "A"}


def record(place: Path) -> Any:
    return json.loads((place / "out" / "delivery.json").read_text())


def rename_label(content: Any) -> None:
    content["labels"] = {name.replace("liver", "spleen"): value for name, value in content["labels"].items()}


def another_model(content: Any) -> None:
    content["models"][0]["weights_digest"] = "0" * 64


@pytest.mark.parametrize("change", [rename_label, another_model])
def test_same_mask_of_another_model_is_delivered_again(
    masks: Path, tmp_path: Path, change: Callable[[Any], None]
) -> None:
    copy = tmp_path / "masks"
    shutil.copytree(masks, copy)
    deliver(copy, tmp_path / "out", "csv")
    content = json.loads((copy / "predictions.json").read_text())
    change(content)
    (copy / "predictions.json").write_text(json.dumps(content))
    assert deliver(copy, tmp_path / "out", "csv").kept == 0
    assert deliver(copy, tmp_path / "out", "csv").kept == 2


def test_only_the_last_delivery_of_a_case_stands_there(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = medseg.scans.write_mask

    def write_mirrored(mask: np.ndarray, *others: Any, **more: Any) -> Path:
        return write(mask[::-1].copy(), *others, **more)

    names = []
    for writer, forms in ((write, ("csv", "nifti")), (write_mirrored, ("nifti",)), (write, ("nifti",))):
        monkeypatch.setattr(medseg.scans, "write_mask", writer)
        deliver(masks, tmp_path / "out", *forms, cases=("A",))
        names.append({path.name for path in (tmp_path / "out").iterdir() if path.is_dir()})
    assert names == [{"A"}, {"A.not_certified"}, {"A"}]


def test_folder_of_another_case_is_not_replaced(masks: Path, tmp_path: Path) -> None:
    deliver(masks, tmp_path / "out", "csv", cases=("A",))
    (tmp_path / "out" / "A").rename(tmp_path / "out" / "oblique")
    result = deliver(masks, tmp_path / "out", "csv", cases=("oblique",))
    assert "must hold what an earlier delivery wrote, got another case" in result.failures[0].reason


def test_forms_count_in_any_order(masks: Path, tmp_path: Path) -> None:
    assert not deliver(masks, tmp_path / "out", "sr", "csv", "seg", cases=("A",)).failures
    assert deliver(masks, tmp_path / "out", "seg", "sr", "csv", cases=("A",)).kept == 1


def test_no_form_is_not_every_form(medseg: Medseg, masks: Path, tmp_path: Path) -> None:
    outcome = medseg("deliver", masks, "--formats", "", "--out", tmp_path / "out")
    assert outcome.code == 2
    assert "form must be one of nifti" in outcome.err


def test_table_of_an_earlier_delivery_goes_where_no_case_has_one(masks: Path, tmp_path: Path) -> None:
    deliver(masks, tmp_path / "out", "csv")
    assert (tmp_path / "out" / "measurements.csv").exists()
    deliver(masks, tmp_path / "out", "nifti")
    assert not (tmp_path / "out" / "measurements.csv").exists()


def test_table_that_no_delivery_wrote_is_not_replaced(masks: Path, tmp_path: Path) -> None:
    (tmp_path / "measurements.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"of an earlier delivery, got another measurements\.csv there"):
        deliver(masks, tmp_path, "csv")
    assert (tmp_path / "measurements.csv").read_text() == "mine"


@pytest.mark.parametrize("name", ["notes.txt", "sent/to_pacs.txt"])
def test_folder_with_files_of_a_person_is_kept_but_not_replaced(masks: Path, tmp_path: Path, name: str) -> None:
    deliver(masks, tmp_path / "out", "csv", cases=("A",))
    notes = tmp_path / "out" / "A" / name
    notes.parent.mkdir(exist_ok=True)
    notes.write_text("seen")
    assert deliver(masks, tmp_path / "out", "csv", cases=("A",)).kept == 1
    (failure,) = deliver(masks, tmp_path / "out", "nifti", cases=("A",)).failures
    assert (
        "folder A: must hold nothing but what an earlier delivery wrote to be replaced, got 1 file(s)" in failure.reason
    )
    assert notes.read_text() == "seen"


def test_traces_of_a_file_browser_do_no_harm(masks: Path, tmp_path: Path) -> None:
    deliver(masks, tmp_path / "out", "csv", cases=("A",))
    for name in (".DS_Store", "Thumbs.db"):
        (tmp_path / "out" / "A" / name).touch()
    assert deliver(masks, tmp_path / "out", "nifti", cases=("A",)).delivered


def test_cases_that_an_earlier_delivery_left_are_said(medseg: Medseg, masks: Path, tmp_path: Path) -> None:
    deliver(masks, tmp_path / "out", "csv")
    copy = tmp_path / "masks"
    shutil.copytree(masks, copy)
    content = json.loads((copy / "predictions.json").read_text())
    content["cases"] = [case for case in content["cases"] if case["case_id"] != "A"]
    (copy / "predictions.json").write_text(json.dumps(content))
    said = medseg("deliver", copy, "--out", tmp_path / "out", "--formats", "csv")
    assert "left by an earlier delivery, of other masks than these: A" in said.out
    assert record(tmp_path)["left"] == ["A"]
    assert deliver(masks, tmp_path / "out", "csv").left == ()
