"""Quantities on the command line: the same verbs as for labels, from plan to numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Medseg
from tests.quantity_data import write_dose_dataset


def test_a_dose_goes_from_plan_to_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, medseg: Medseg) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_dose_dataset(tmp_path)
    planned = medseg("plan", data, "--preset", "nano", "--device", "cpu")
    assert planned.code == 0
    assert "targets.scale: dose: shares of the prescription" in planned.out
    trained = medseg(
        "train", data, "--out", "run", "--plan", "plan.yaml", "--epochs", "1", "--device", "cpu", "--no-tracking"
    )
    assert trained.code == 0
    assert "dose MAE" in trained.out
    predicted = medseg("predict", "run", data, "--fold", "0", "--out", "doses", "--device", "cpu")
    assert predicted.code == 0
    assert "2 case(s) in doses/dose" in predicted.out
    again = medseg("predict", "run", data, "--fold", "0", "--out", "doses", "--device", "cpu")
    assert "2 of 2 were finished before and are kept" in again.out
    evaluated = medseg("evaluate", data, "--masks", "doses", "--fold", "0", "--out", "evaluation", "--no-tracking")
    assert evaluated.code == 0
    assert "dose in target MAE" in evaluated.out


def test_a_choice_that_masks_alone_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, medseg: Medseg
) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_dose_dataset(tmp_path)
    trained = medseg("train", data, "--out", "run", "--preset", "nano", "--epochs", "1", "--no-tracking")
    assert trained.code == 0
    refused = medseg("predict", "run", data, "--fast", "--out", "doses")
    assert refused.code != 0
    assert "fast: must be of a model of masks, got one of quantities; leave the choice out" in refused.err
