"""Adopted models draw on a GPU what nnU-Net drew with the same weights on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from medseg.inference.nnunet import load_adopted
from medseg.runs.segmentation.adopt import AdoptSettings, adopt_model

from tests.inference.nnunet.models import NAMES, scan_for, write_model
from tests.inference.nnunet.test_masks import STORED

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("exact_arithmetic")]


@pytest.mark.parametrize("name", NAMES)
def test_mask_is_that_of_nnunet(tmp_path: Path, accelerator: torch.device, name: str) -> None:
    run = adopt_model(write_model(name, tmp_path / name), tmp_path / "run", AdoptSettings(precision="fp32")).folder
    mask = load_adopted(run, device=accelerator).mask(scan_for(name))
    with np.load(STORED) as stored:
        expected = stored[name]
    assert mask.shape == expected.shape
    assert float((mask != expected).mean()) < 1e-3  # sums in half precision round equals to either side
