"""A case is drawn by the networks that have not seen its patient."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from medseg.errors import ScanError
from medseg.inference import CaseInput, load_record
from medseg.inference.segmentation import ModelCard, Predictor, predict_cases
from medseg.inference.segmentation.ensemble import Ensemble
from medseg.inference.segmentation.out_of_fold import OutOfFold
from medseg.scans import read_label, write_scan
from torch import Tensor, nn

from tests.grids import grid

CardBuilder = Callable[..., ModelCard]
CPU = torch.device("cpu")
GRID = grid((8, 9, 10))
PATIENTS = {"a1": "a", "a2": "a", "b": "b", "c": "c"}


class Always(nn.Module):
    """Finds the same channel everywhere."""

    def __init__(self, channel: int) -> None:
        super().__init__()
        self.channel = channel

    def forward(self, x: Tensor) -> Tensor:
        channels = [torch.full_like(x, 10.0 if n == self.channel else 0.0) for n in range(3)]
        return torch.cat(channels, dim=1)


@pytest.fixture
def folds(build_card: CardBuilder) -> OutOfFold:
    """Three networks, each of which says by its answer who it is; the third has seen the patients of all."""
    seen = {0: ("a1",), 1: ("b", "c"), 2: ("a2", "b")}
    members = [
        Predictor(Always(number), build_card(trained_on=cases), device=CPU, precision="fp32")
        for number, cases in seen.items()
    ]
    return OutOfFold(members, PATIENTS)


def test_members_that_have_seen_another_case_of_the_patient_take_no_part(folds: OutOfFold) -> None:
    assert folds.places_for("a1") == folds.places_for("a2") == (1,)
    assert folds.places_for("c") == (0, 2)
    assert folds.for_case("a2") is folds.members[1]
    assert isinstance(folds.for_case("c"), Ensemble)


def test_case_that_nobody_has_seen_is_drawn_by_all(folds: OutOfFold) -> None:
    assert folds.places_for("new") == (0, 1, 2)


def test_case_that_all_have_seen_is_refused(build_card: CardBuilder) -> None:
    model = OutOfFold([Predictor(Always(0), build_card(trained_on=("b",)), device=CPU)], PATIENTS)
    with pytest.raises(ScanError, match="case b: a model must not have seen its patient in training"):
        model.for_case("b")


def test_masks_are_those_of_the_members_that_the_record_names(folds: OutOfFold, tmp_path: Path) -> None:
    cases, image = [], np.random.default_rng(0).normal(size=(1, *GRID.shape)).astype(np.float32)
    for name in ("a1", "b", "new"):
        write_scan(image, GRID, tmp_path / f"{name}.nii.gz")
        cases.append(CaseInput(name, (tmp_path / f"{name}.nii.gz",)))
    drawn, failures = predict_cases(folds, cases, tmp_path / "masks", choices={"out_of_fold": True})
    assert failures == []
    masks = {one.case_id: np.unique(read_label(one.mask_path, case_id=one.case_id)[0]).tolist() for one in drawn}
    assert masks["a1"] == [3]  # the second network alone
    assert masks["b"] == [0]  # the first alone
    assert not any(one.in_training for one in drawn)
    record = load_record(tmp_path / "masks")
    assert record is not None
    assert {case.case_id: case.drawn_by for case in record.cases} == {"a1": (1,), "b": (0,), "new": (0, 1, 2)}
    assert record.trained_on_for("a1") == {"b", "c"}
    assert len(record.models) == 3
