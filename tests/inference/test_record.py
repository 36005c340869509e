"""`predictions.json` of this version, of earlier ones, and of ensembles."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from medseg.errors import DeliveryError
from medseg.inference.case_record import CaseRecord
from medseg.inference.flag_record import FlagRecord
from medseg.inference.mask_settings import MaskSettings
from medseg.inference.record import RECORD_NAME, ModelIdentity, PredictionRecord, load_record, save_record
from medseg.inference.regression import load_value_record
from medseg.inference.sidecar import Sidecar, load_sidecar, save_sidecar

# What version 0.1.0 wrote.
EARLIER: dict[str, Any] = {
    "model": {
        "dataset": "made up 1",
        "manifest_digest": "m" * 64,
        "plan_digest": "p" * 64,
        "run_id": None,
        "weights": "last",
        "weights_digest": "w" * 64,
        "medseg_version": "0.1.0",
        "cost": None,
        "trained_on": ["b"],
    },
    "labels": {"background": 0, "liver": 7},
    "cases": [
        {
            "case_id": "a",
            "mask": "a.nii.gz",
            "seconds": 0.5,
            "peak_memory_bytes": 7,
            "volume_ml": {"liver": 0.07200000000000001},
            "in_training": False,
            "gate": None,
            "quality": {
                "disagreement": 0.1, "longest_run": 2, "limit": 0.2, "is_flagged": True, "reason": "slice 3",
            },
        }
    ],
    "failures": [{"case_id": "c", "stage": "predict", "reason": "case c: too short"}],
}  # fmt: skip


def identity(name: str, *trained_on: str) -> ModelIdentity:
    return ModelIdentity(
        dataset="made up 1", manifest_digest="m", plan_digest="p", weights_digest=name * 64, trained_on=trained_on
    )


def case_record(**changes: Any) -> CaseRecord:
    fields: dict[str, Any] = {
        "case_id": "a", "mask": "a.nii.gz", "volume_ml": {"liver": 1.5}, "in_training": False, "seconds": 0.5,
        "peak_memory_bytes": 7,
    }  # fmt: skip
    return CaseRecord(**fields | changes)


def test_record_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    (tmp_path / RECORD_NAME).write_text(json.dumps(EARLIER), encoding="utf-8")
    record = load_record(tmp_path)
    assert record is not None
    assert record.model is not None
    assert (record.model.weights_digest, record.trained_on) == ("w" * 64, ("b",))
    (case,) = record.cases
    assert (case.volume_ml, case.source, case.flags) == ({"liver": 0.07200000000000001}, None, ())
    assert case.quality is not None
    assert case.quality.reason == "slice 3"
    assert (record.settings, record.software, record.passed_over) == (None, None, ())


def test_ensemble_is_no_single_model_and_was_trained_on_the_cases_of_all(tmp_path: Path) -> None:
    models = (identity("x", "a", "b"), identity("y", "b", "c"))
    save_record(PredictionRecord(models=models, labels={"liver": 1}, cases=(), failures=()), tmp_path)
    record = load_record(tmp_path)
    assert record is not None
    assert record.model is None
    assert record.models == models
    assert record.trained_on == ("a", "b", "c")


def test_numbers_that_are_unknown_come_back_as_none(tmp_path: Path) -> None:
    flag = FlagRecord(kind="volume", structure="liver", reason="smaller than any", value=0.5)
    case = case_record(flags=(flag,), confidence={"liver": 0.9, "spleen": math.nan}, disagreement={"liver": math.nan})
    save_record(PredictionRecord(models=(identity("x"),), labels={"liver": 1}, cases=(case,), failures=()), tmp_path)
    record = load_record(tmp_path)
    assert record is not None
    assert record.cases[0].confidence == {"liver": 0.9, "spleen": None}
    assert record.cases[0].disagreement == {"liver": None}
    assert record.cases[0].flags == (flag,)


def test_damaged_record_is_an_error(tmp_path: Path) -> None:
    (tmp_path / RECORD_NAME).write_text("[]", encoding="utf-8")
    with pytest.raises(DeliveryError, match="must be as predict wrote it"):
        load_record(tmp_path)


def test_record_of_quantities_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    (tmp_path / RECORD_NAME).write_text('{"kind": "quantities", "cases": []}', encoding="utf-8")
    with pytest.raises(DeliveryError, match="must be of predicted masks, got one of quantities"):
        load_record(tmp_path)


def test_record_of_masks_is_not_taken_for_a_damaged_one_of_quantities(tmp_path: Path) -> None:
    save_record(PredictionRecord(models=(), labels={"liver": 1}, cases=(), failures=()), tmp_path)
    with pytest.raises(DeliveryError, match="must be of predicted quantities, got one of masks"):
        load_value_record(tmp_path)


def sidecar(case_id: str) -> Sidecar:
    return Sidecar(
        **case_record(case_id=case_id).model_dump(),
        labels={"liver": 1}, software="medseg", date="2026-01-01T00:00:00+00:00", device="CPU",
        models=(identity("x", "t1").origin,), settings_digest="s",
    )  # fmt: skip


@pytest.mark.parametrize("case_id", ["a", "l\u00f6ber [2] (a)", "ca\udce9f", "a.b"])
def test_sidecar_comes_back_as_it_was_written(tmp_path: Path, case_id: str) -> None:
    save_sidecar(sidecar(case_id), tmp_path)
    read = load_sidecar(tmp_path / f"{case_id}.json")
    assert read == sidecar(case_id)
    assert read is not None
    assert read.case == case_record(case_id=case_id)


def test_sidecar_lists_no_training_cases(tmp_path: Path) -> None:
    save_sidecar(sidecar("a"), tmp_path)
    assert "trained_on" not in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"labels": {}, "volume_ml": {}, "model": {}}'])
def test_file_that_is_no_sidecar_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    assert load_sidecar(tmp_path / "a.json") is None
    assert load_sidecar(tmp_path / "gone.json") is None


def test_sidecar_of_another_case_is_none(tmp_path: Path) -> None:
    save_sidecar(sidecar("a"), tmp_path)
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    assert load_sidecar(tmp_path / "b.json") is None


SETTINGS = MaskSettings.of([identity("x"), identity("y")], {"liver": 1}, {"gate": "g", "sensitivity": 0.9})


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            MaskSettings.of([identity("x")], {"liver": 1}, SETTINGS.choices),
            "another model, of weights xxxxxxxxxxxx and",
        ),
        (MaskSettings.of([identity("y"), identity("x")], {"liver": 1}, SETTINGS.choices), "another model"),
        (SETTINGS.model_copy(update={"labels": {"liver": 2}}), "labels {'liver': 2} and not {'liver': 1}"),
        (
            SETTINGS.model_copy(update={"choices": {"gate": "g", "sensitivity": 0.5}}),
            "another choice of sensitivity, 0.5 and not",
        ),
        (SETTINGS.model_copy(update={"choices": {}}), "another choice of gate, off and not g"),
        (SETTINGS.model_copy(update={"drawing": 0}), "as another version of medseg draws them"),
    ],
)
def test_settings_that_decide_masks_differ_in_words_and_digest(other: MaskSettings, said: str) -> None:
    assert said in SETTINGS.difference(other)
    assert SETTINGS.digest != other.digest


def test_settings_are_the_same_whatever_the_order_of_choices() -> None:
    other = MaskSettings.of([identity("x"), identity("y")], {"liver": 1}, {"sensitivity": 0.9, "gate": "g"})
    assert (SETTINGS.difference(other), SETTINGS.digest) == ("", other.digest)
