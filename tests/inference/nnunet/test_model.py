"""What an adopted model says of itself, and what it shows while it draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from medseg.inference.nnunet.layout import axis_starts, importance_map, nnunet_layout
from medseg.inference.segmentation.ensemble import Ensemble
from medseg.targets import WrittenRegions
from torch import Tensor

from tests.inference.nnunet.conftest import Adopted
from tests.inference.nnunet.models import scan_for


def test_model_names_channels_labels_and_its_folds(adopted: Adopted) -> None:
    model = adopted("two_folds")
    assert model.channels == ("CT",)
    assert model.labels == {"background": 0, "liver": 1, "spleen": 2}
    (identity,) = model.identities
    assert (identity.dataset, identity.weights) == ("Dataset900_Made", "fold_0+fold_1")
    assert len(str(identity.weights_digest)) == 64
    assert identity.weights_digest not in {fold.weights_digest for fold in model.card.folds}


def test_a_value_that_later_regions_write_over_is_called_the_rest(adopted: Adopted) -> None:
    target = adopted("regions").target
    assert isinstance(target, WrittenRegions)
    assert target.labels == {"background": 0, "whole (rest)": 1, "core (rest)": 2, "rim": 3}
    assert target.regions == ((1, 2, 3), (2, 3), (3,))


@pytest.mark.parametrize(("name", "total"), [("two_folds", 1.0), ("regions", None)])
def test_observer_sees_probabilities_of_every_voxel_once(adopted: Adopted, name: str, total: float | None) -> None:
    model, seen = adopted(name), list[Tensor]()
    model.prepare(scan_for(name)).draw(observe=seen.append)
    values = torch.cat([chunk.flatten(1) for chunk in seen], dim=1)
    prepared = model.prepare(scan_for(name))
    assert values.shape == (model.target.channels, math.prod(prepared.planes().grid.shape))
    assert 0 <= values.min() <= values.max() <= 1
    if total is not None:
        torch.testing.assert_close(values.sum(0), torch.full_like(values[0], total))


def test_two_adopted_models_draw_one_mask(adopted: Adopted) -> None:
    model, scan = adopted("two_folds"), scan_for("two_folds")
    both = Ensemble([model, model]).prepare(scan).draw().mask
    alone = model.mask(scan)
    assert np.mean(both == alone) > 0.99  # of probabilities, the model alone of logits


def test_faster_model_leaves_out_mirrored_copies_and_windows(adopted: Adopted) -> None:
    model = adopted("two_folds")
    fast = model.faster()
    assert (len(model.network.copies), len(fast.network.copies)) == (8, 1)
    assert (model.card.step, fast.card.step) == (0.5, 0.75)


@pytest.mark.parametrize(
    ("size", "patch", "starts"),
    [
        (110, 64, [0, 23, 46]),  # nnU-Net's own example
        (64, 64, [0]),
        (61, 64, [-1]),
        (60, 64, [-2]),
        (65, 64, [0, 1]),
        (3, 1, [0, 1, 2]),
    ],
)
def test_windows_are_spaced_evenly(size: int, patch: int, starts: list[int]) -> None:
    assert axis_starts(size, patch, 0.5) == starts


def test_importance_peaks_behind_the_centre_and_is_never_zero() -> None:
    weights = importance_map((8, 16, 32))
    assert weights[4, 8, 16] == weights.max() == 10
    assert weights.min() > 0
    torch.testing.assert_close(weights[3, 8, 16], torch.tensor(10 * math.exp(-0.5)), rtol=2e-2, atol=0)
    assert importance_map((8, 16, 1)).shape == (8, 16, 1)


def test_layout_finishes_every_plane_of_its_box() -> None:
    box = range(3, 20), range(25), range(7, 9)
    layout = nnunet_layout((30, 25, 40), (12, 16, 12), step=0.5, box=box)
    assert layout.visits[-1].finished == (box[layout.axis].stop,)
    covered = np.zeros((30, 25, 40), bool)
    for visit in layout.visits:
        place = tuple(slice(max(0, s), s + p) for s, p in zip(visit.starts[0], layout.patch_size, strict=True))
        covered[place] = True
    assert covered[3:20, :, 7:9].all()
