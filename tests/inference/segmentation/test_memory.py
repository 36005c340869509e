"""A scan that does not fit is refused before it takes the memory, and the cohort goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.inference import CaseInput, Slab
from medseg.inference.segmentation import InferenceConfig, ModelCard, Predictor, predict_cases
from medseg.inference.segmentation.memory import check_memory, scan_bytes, slab_bytes, sums_bytes
from medseg.inference.segmentation.sliding import _RollingSums
from medseg.inference.segmentation.windows import lay_out_windows
from medseg.records import Scan
from medseg.scans import write_scan

from tests.inference.segmentation.whole import Edgy
from tests.labels import labels_of

CPU = torch.device("cpu")
CardBuilder = Callable[..., ModelCard]


def leave_free(monkeypatch: pytest.MonkeyPatch, available: int) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=available))


@pytest.mark.parametrize("mirror_axes", [(), (2,), (0, 1)])
def test_sums_take_what_is_said(mirror_axes: tuple[int, ...]) -> None:
    layout = lay_out_windows((9, 10, 30), InferenceConfig(patch_size=(4, 4, 4), mirror_axes=mirror_axes))
    sums = _RollingSums(layout, labels_of(0, 1, 2, 3, 4), torch.ones(4, 4, 4), torch.float32)
    sums.add(0, torch.ones(5, 4, 4, 4), (0, 0, 0))
    assert sums_bytes(layout, classes=5) == sums.logits.nbytes + sums.weights.nbytes


def test_body_ct_at_a_millimetre_with_65_classes_fits_into_eight_gigabytes() -> None:
    native = Geometry((512, 512, 700), np.diag([0.8, 0.8, 1.0, 1.0]))
    layout = lay_out_windows((410, 410, 700), InferenceConfig(patch_size=(96, 96, 96)))
    assert sums_bytes(layout, classes=65) == 4 * 66 * 410 * 410 * 96
    total = sum(
        (sums_bytes(layout, classes=65), slab_bytes(layout, native, classes=65), scan_bytes(layout, native, channels=1))
    )
    assert 4.2e9 < total < 9e9
    assert total < 4 * 65 * 410 * 410 * 700 / 3  # a third of one copy of the whole grid's probabilities


def test_scan_and_mask_are_counted() -> None:
    layout = lay_out_windows((10, 10, 10), InferenceConfig(patch_size=(4, 4, 4)))
    native = Geometry((20, 10, 10), np.eye(4))
    assert scan_bytes(layout, native, channels=3) == 4 * 3 * (2000 + 2 * 1000) + 2 * 2000


def test_what_does_not_fit_is_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = lay_out_windows((410, 410, 700), InferenceConfig(patch_size=(96, 96, 96)))
    native = Geometry((512, 512, 700), np.eye(4))
    leave_free(monkeypatch, 3_000_000_000)
    with pytest.raises(
        ScanError, match=r"with 65 classes .* needs about 6\.\d GB .* and 3\.0 GB are free; use a smaller"
    ):
        check_memory(layout, native, native, channels=1, classes=65, device=CPU)
    check_memory(layout, native, native, channels=1, classes=65, device=torch.device("cuda"))  # the sums lie on the GPU
    leave_free(monkeypatch, 9_000_000_000)
    check_memory(layout, native, native, channels=1, classes=65, device=CPU)


def test_too_large_case_is_recorded_and_the_others_go_on(
    build_card: CardBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (("large", 90), ("small", 9)):
        write_scan(
            np.zeros((1, size, 9, 9), np.float32), Geometry((size, 9, 9), np.eye(4)), tmp_path / f"{name}.nii.gz"
        )
    network = Edgy()
    predictor = Predictor(network, build_card(), device=CPU, precision="fp32")
    leave_free(monkeypatch, 300_000)
    inputs = [CaseInput(name, (tmp_path / f"{name}.nii.gz",)) for name in ("large", "small")]
    predictions, (failure,) = predict_cases(predictor, inputs, tmp_path / "out")
    assert [item.case_id for item in predictions] == ["small"]
    assert failure.reason.startswith("case large: a scan of (90, 9, 9) voxels with 3 classes must fit into memory")


def test_slab_of_a_scan_that_does_not_fit_is_drawn(build_card: CardBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = Scan(np.zeros((1, 90, 9, 9), np.float32), Geometry((90, 9, 9), np.eye(4)))
    predictor = Predictor(Edgy(), build_card(), device=CPU, precision="fp32")
    leave_free(monkeypatch, 300_000)
    with pytest.raises(ScanError, match="the gate"):
        predictor.mask(scan)
    predictor.mask(scan, slab=Slab(0, 10, 12))
