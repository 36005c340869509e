"""A scan drawn strip by strip has the mask and the confidence of the scan drawn at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.inference.segmentation import InferenceConfig, ModelCard, Predictor, strips
from medseg.inference.segmentation.memory import sums_bytes
from medseg.inference.segmentation.quality import ConfidenceMeter
from medseg.inference.segmentation.strips import lay_out_strips
from medseg.inference.segmentation.windows import lay_out_windows
from medseg.preprocess import PreprocessConfig
from medseg.records import Array, Scan
from torch import Tensor

from tests.grids import grid
from tests.inference.segmentation.test_memory import leave_free
from tests.inference.segmentation.whole import Edgy

CPU = torch.device("cpu")
CardBuilder = Callable[..., ModelCard]
GRIDS = {
    "same": grid((21, 18, 15), spacing_mm=(1.0, 1.0, 1.0)),
    "finer": grid((33, 26, 20), spacing_mm=(0.6, 0.7, 0.8)),
    "coarser": grid((12, 11, 9), spacing_mm=(2.3, 1.9, 2.1)),
    "turned": grid((21, 18, 25), spacing_mm=(1.3, 1.1, 0.7), axcodes="PSL", angles=(0.1, 0.2, 0.0)),
}
WINDOWS = InferenceConfig(patch_size=(8, 8, 8), batch_size=2)


def drawn(card: ModelCard, scan: Scan) -> tuple[Array, Tensor, dict[str, float], int]:
    """Mask, observed voxels, soft Dice and count of windows."""
    network = Edgy()
    predictor = Predictor(network, card, device=CPU, precision="fp32")
    meter, seen = ConfidenceMeter(predictor.target), torch.zeros(3)

    def observe(values: Tensor) -> None:
        meter.observe(values)
        seen.add_(values.flatten(1).sum(1))

    drawing = predictor.prepare(scan).draw(observe=observe)
    return drawing.mask, seen, meter.soft_dice(), sum(shape[0] for shape in network.shapes)


@pytest.mark.parametrize("mirror_axes", [(), (0, 2)])
@pytest.mark.parametrize("kind", GRIDS)
def test_strips_give_the_mask_and_the_confidence_of_the_whole(
    build_card: CardBuilder, monkeypatch: pytest.MonkeyPatch, kind: str, mirror_axes: tuple[int, ...]
) -> None:
    native = GRIDS[kind]
    scan = Scan(np.random.default_rng(0).normal(size=(1, *native.shape)).astype(np.float32), native)
    inference = WINDOWS.model_copy(update={"mirror_axes": mirror_axes})
    card = build_card(inference=inference, preprocess=_preprocess(build_card().preprocess))
    mask, seen, soft_dice, windows = drawn(card, scan)
    monkeypatch.setattr(strips, "MOST_SUMS", 12_000)
    cut_mask, cut_seen, cut_soft_dice, cut_windows = drawn(card, scan)
    assert cut_windows > windows  # those on the cuts are computed twice
    np.testing.assert_array_equal(cut_mask, mask)
    torch.testing.assert_close(cut_seen, seen)  # each voxel once
    assert cut_soft_dice == pytest.approx(soft_dice)


def _preprocess(config: PreprocessConfig) -> PreprocessConfig:
    return config.model_copy(update={"spacing_mm": (1.0, 1.0, 1.0)})


def test_strips_cover_the_scan_and_need_no_more_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    native = GRIDS["turned"]
    network_grid = native.reoriented("RAS").resampled((1.0, 1.0, 1.0))
    whole = lay_out_windows(network_grid.shape, WINDOWS)
    monkeypatch.setattr(strips, "MOST_SUMS", sums_bytes(whole, classes=5) // 3)
    found = lay_out_strips(whole, native, network_grid, WINDOWS, classes=5, device=CPU)
    assert len(found) >= 3
    covered = np.zeros(native.shape, int)
    for strip in found:
        covered[np.ix_(*strip.box)] += 1
        assert sums_bytes(strip.layout, classes=5) < 1.3 * strips.MOST_SUMS
    assert (covered == 1).all()
    fresh = [place for strip in found for place in (strip.layout.box[strip.axis][n] for n in strip.fresh)]
    assert fresh == list(whole.box[found[0].axis])


def test_what_fits_and_what_a_gpu_draws_is_not_cut() -> None:
    native = grid((512, 512, 275))
    layout = lay_out_windows(native.shape, InferenceConfig(patch_size=(64, 64, 64)))
    common = {"native": native, "grid": native, "config": WINDOWS}
    assert lay_out_strips(layout, **common, classes=80, device=CPU) == ()
    assert lay_out_strips(layout, **common, classes=118, device=torch.device("cuda")) == ()
    assert len(lay_out_strips(layout, **common, classes=118, device=CPU)) == 2


def test_scan_of_a_hundred_classes_that_fits_in_strips_alone_is_not_refused(
    build_card: CardBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    native = Geometry((60, 60, 60), np.eye(4))
    scan = Scan(np.zeros((1, *native.shape), np.float32), native)
    card = build_card(inference=WINDOWS, preprocess=_preprocess(build_card().preprocess))
    whole = Predictor(Edgy(), card, device=CPU, precision="fp32").prepare(scan)
    leave_free(monkeypatch, whole.needed_bytes - 1)
    with pytest.raises(ScanError, match="must fit into memory"):
        Predictor(Edgy(), card, device=CPU, precision="fp32").prepare(scan)
    monkeypatch.setattr(strips, "MOST_SUMS", 100_000)
    Predictor(Edgy(), card, device=CPU, precision="fp32").prepare(scan)
