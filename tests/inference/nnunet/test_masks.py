"""Masks of adopted models against those that nnU-Net drew with the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.inference import Slab
from medseg.preprocess.segmentation import restore

from tests.inference.nnunet.conftest import Adopted
from tests.inference.nnunet.models import NAMES, scan_for

STORED = Path(__file__).with_name("masks_of_nnunet.npz")


@pytest.mark.parametrize("name", NAMES)
def test_mask_is_that_of_nnunet(adopted: Adopted, name: str) -> None:
    with np.load(STORED) as stored:
        expected = stored[name]
    mask = adopted(name).mask(scan_for(name))
    assert mask.shape == expected.shape
    assert len(np.unique(expected)) > 1
    # Of equals within rounding; folds are averaged before their sums are rounded, and after that in nnU-Net.
    assert np.count_nonzero(mask != expected) <= (4 if name == "two_folds" else 2)


@pytest.mark.parametrize("name", ["thick", "regions"])
def test_mask_that_is_decided_cell_by_cell_is_the_same(
    adopted: Adopted, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = scan_for(name)
    slabs = adopted(name).mask(scan)
    monkeypatch.setattr(restore, "_MANY_VALUES", 0)
    assert np.count_nonzero(adopted(name).mask(scan) != slabs) <= 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", [0, 2])
def test_slab_of_a_mask_is_that_of_the_whole(adopted: Adopted, name: str, axis: int) -> None:
    model, scan = adopted(name), scan_for(name)
    slab = Slab(axis, 4, 7)
    whole, part = model.mask(scan), model.mask(scan, slab=slab)
    inside = np.moveaxis(np.zeros(whole.shape, bool), axis, 0)
    inside[slab.start : slab.stop] = True
    inside = np.moveaxis(inside, 0, axis)
    assert np.count_nonzero((part != whole)[inside]) <= 2
    assert not part[~inside].any()


def test_nothing_is_drawn_where_the_scan_is_zero(adopted: Adopted) -> None:
    scan = scan_for("two_folds")
    mask = adopted("two_folds").mask(scan)
    assert mask[1:-2, 2:-1, 1:-1].any()
    mask[1:-2, 2:-1, 1:-1] = 0
    assert not mask.any()


def test_empty_slab_draws_nothing(adopted: Adopted) -> None:
    assert not adopted("two_folds").mask(scan_for("two_folds"), slab=Slab(2, 5, 5)).any()
