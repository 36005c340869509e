"""Rules of overlapping regions are chosen by what they do: a part of the whole that is removed takes its core along."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from medseg.inference import load_record
from medseg.inference.segmentation.postprocess import StructureRule
from medseg.runs.segmentation.choice import ChoiceResult, ChooseSettings, choose_model
from medseg.runs.segmentation.predict import PredictSettings, predict_run
from medseg.runs.tracking import Tracking
from medseg.scans import read_label
from torch import Tensor, nn

from tests.runs.fold_runs import GRID, write_dataset, write_folds

REGIONS = {"whole": [1, 2], "core": [2]}
CASES = 12


class Depths(nn.Module):
    """A voxel is in the whole above one half, and in the core above one and a half."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([20 * (x + self.shift - depth) for depth in (0.5, 1.5)], dim=1)


def speckled(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A lesion with a core, and a speckle of the core's brightness that no label has."""
    label = np.zeros(GRID.shape, np.uint8)
    label[1:7, 1 : 7 + number % 3, 1:7] = 1
    label[3:5, 3:5, 3:5] = 2
    image = label.astype(np.float32)
    image[10 : 13 + number % 5, 10, 1] = 2
    return image, label


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("choice")


@pytest.fixture(scope="module")
def chosen(place: Path) -> ChoiceResult:
    (place / "data").mkdir()
    dataset = write_dataset(place / "data", {f"c{n:02d}": speckled(n) for n in range(CASES)})
    path = dataset / "dataset.json"
    content = json.loads(path.read_text()) | {"regions": REGIONS, "regions_order": [1, 2]}
    path.write_text(json.dumps(content))
    regions = {name: tuple(values) for name, values in REGIONS.items()}
    folds = write_folds(place / "folds", dataset, outputs=2, regions=regions, regions_order=(1, 2))
    settings = ChooseSettings(
        out=place / "chosen", network=lambda config: Depths(), device="cpu", tracking=Tracking(is_on=False)
    )
    return choose_model(dataset, [folds], settings)


def test_rule_that_takes_the_speckles_of_the_whole_away_makes_every_region_perfect(chosen: ChoiceResult) -> None:
    assert chosen.failures == ()
    assert chosen.card.postprocessing is not None
    assert StructureRule(structure="whole", keep_largest=True) in chosen.card.postprocessing.structures
    assert chosen.page.result.means["dice"] == 1
    assert {entry.label for entry in chosen.page.result.labels} == set(REGIONS)


def test_chosen_model_draws_no_speckle_of_any_region(chosen: ChoiceResult, place: Path) -> None:
    settings = PredictSettings(out=place / "masks", device="cpu", network=lambda config: Depths())
    predict_run(chosen.folder, [place / "data" / "c04.nii.gz"], settings)
    mask, _ = read_label(place / "masks" / "c04.nii.gz", case_id="c04")
    assert np.array_equal(mask, speckled(4)[1])
    record = load_record(place / "masks")
    assert record is not None
    changes = record.cases[0].postprocessed or ()
    assert {(one.structure, one.voxels) for one in changes if one.rule == "largest part"} >= {("whole", 7)}
