"""An ensemble's mask is decided from the mean of its members' probabilities on the scan's own grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ConfigError, MemoryShortageError
from medseg.geometry import Geometry
from medseg.inference import Slab
from medseg.inference.segmentation import InferenceConfig, ModelCard, Predictor, memory
from medseg.inference.segmentation import ensemble as ensemble_module
from medseg.inference.segmentation.ensemble import Ensemble
from medseg.preprocess import BodyCrop, ChannelNormalisation, PreprocessConfig, preprocess_scan
from medseg.preprocess.resample import resample_linear
from medseg.records import Scan
from torch import nn

from tests.grid_strategies import grids
from tests.grids import ALL_AXCODES
from tests.inference.segmentation.whole import Edgy, whole_probabilities

CPU = torch.device("cpu")
CardBuilder = Callable[..., ModelCard]
VALUES = np.array([0, 3, 7])
WINDOW = InferenceConfig(patch_size=(8, 8, 8))
FLAT = InferenceConfig(patch_size=(8, 8, 1))


def preprocessing(axcodes: str = "RAS", spacing_mm: tuple[float, float, float] | None = None) -> PreprocessConfig:
    return PreprocessConfig(
        axcodes=axcodes, spacing_mm=spacing_mm, normalisation=(ChannelNormalisation(kind="zscore"),)
    )


def random_scan(geometry: Geometry) -> Scan:
    return Scan(np.random.default_rng(5).normal(3, 2, (1, *geometry.shape)).astype(np.float32), geometry)


@pytest.fixture(scope="module")
def member(build_card: CardBuilder) -> Callable[..., Predictor]:
    def build(
        seed: int, preprocess: PreprocessConfig, inference: InferenceConfig = WINDOW, **changes: object
    ) -> Predictor:
        dims = 2 if inference.patch_size[2] == 1 else 3
        network = build_card().network
        if dims == 2:
            network = network.model_copy(
                update={"spatial_dims": 2, "strides": ((1, 1), (2, 2)), "kernels": ((3, 3), (3, 3))}
            )
        card = build_card(preprocess=preprocess, inference=inference, network=network, **changes)
        return Predictor(Edgy(dims=dims, seed=seed), card, device=CPU, precision="fp32")

    return build


def mean_on_native(members: Sequence[Predictor], scan: Scan) -> torch.Tensor:
    found = []
    for one in members:
        image, grid, _ = preprocess_scan(scan, one.card.preprocess)
        values = whole_probabilities(one.network, image, one.card.inference)
        found.append(resample_linear(values, grid, scan.geometry))
    return torch.stack(found).mean(dim=0)


def check_mean(found: np.ndarray, members: Sequence[Predictor], scan: Scan) -> None:
    mean = mean_on_native(members, scan)
    first, second = mean.topk(2, dim=0).values
    is_sure = (first - second > 1e-4).numpy()
    np.testing.assert_array_equal(found[is_sure], VALUES[mean.argmax(dim=0).numpy()][is_sure])


@settings(max_examples=15, deadline=None)
@given(
    native=grids(),
    axcodes=st.tuples(*[st.sampled_from(ALL_AXCODES)] * 3),
    spacings=st.tuples(*[st.one_of(st.none(), st.tuples(*[st.floats(0.8, 4.0)] * 3))] * 3),
    slab_bytes=st.sampled_from([1, 5000, 2**27]),
)
def test_members_on_grids_of_their_own_are_averaged_on_the_scan_s(
    member: Callable[..., Predictor],
    native: Geometry,
    axcodes: tuple[str, str, str],
    spacings: tuple[tuple[float, float, float] | None, ...],
    slab_bytes: int,
) -> None:
    members = [
        member(seed, preprocessing(codes, spacing_mm), FLAT if seed == 2 else WINDOW)
        for seed, (codes, spacing_mm) in enumerate(zip(axcodes, spacings, strict=True))
    ]
    scan = random_scan(native)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble_module, "SLAB_BYTES", slab_bytes)
        check_mean(Ensemble(members).prepare(scan).draw().mask, members, scan)


@pytest.mark.parametrize("overlaps", [(0.5, 0.5), (0.5, 0.25)])
def test_folds_on_one_grid_are_averaged_there(
    member: Callable[..., Predictor], oblique: Geometry, overlaps: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensemble_module, "NativeValues", None)  # not the slow way
    preprocess = preprocessing(spacing_mm=(1.7, 1.2, 2.4))
    members = [
        member(seed, preprocess, InferenceConfig(patch_size=(8, 8, 8), overlap=overlap))
        for seed, overlap in enumerate(overlaps)
    ]
    scan = random_scan(oblique)
    seen: list[torch.Tensor] = []
    drawing = Ensemble(members).prepare(scan).draw(observe=seen.append)
    check_mean(drawing.mask, members, scan)
    assert sum(part[0].numel() for part in seen) == np.prod(preprocess_scan(scan, preprocess)[1].shape)
    torch.testing.assert_close(seen[0].sum(dim=0), torch.ones(seen[0].shape[1:]))


def test_scan_is_resampled_once_for_folds(
    member: Callable[..., Predictor], oblique: Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medseg.inference.segmentation import prepared_scan

    calls = []
    original = prepared_scan.preprocess_scan
    monkeypatch.setattr(
        prepared_scan, "preprocess_scan", lambda *given, **more: calls.append(1) or original(*given, **more)
    )
    Ensemble([member(seed, preprocessing()) for seed in range(3)]).prepare(random_scan(oblique))
    assert len(calls) == 1


class Always(nn.Module):
    """One class everywhere."""

    def __init__(self, channel: int, logit: float = 2.0) -> None:
        super().__init__()
        self.channel, self.logit = channel, logit

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(x), 3, *x.shape[2:])
        logits[:, self.channel] = self.logit
        return logits


def test_disagreement_is_one_minus_the_mean_dice_of_pairs(build_card: CardBuilder, oblique: Geometry) -> None:
    def always(channel: int) -> Predictor:
        return Predictor(Always(channel), build_card(preprocess=preprocessing()), device=CPU, precision="fp32")

    same = Ensemble([always(1), always(1)]).prepare(random_scan(oblique)).draw()
    assert same.disagreement == pytest.approx({"spleen": 0.0, "liver": np.nan}, nan_ok=True)
    # Of three pairs one agrees on the spleen; the liver is in one mask alone.
    mixed = Ensemble([always(1), always(1), always(2)]).prepare(random_scan(oblique)).draw()
    assert mixed.disagreement == pytest.approx({"spleen": 1 - 1 / 3, "liver": 1.0})
    assert (mixed.mask == 3).all()


def test_outside_its_body_crop_a_member_votes_for_the_background(build_card: CardBuilder, oblique: Geometry) -> None:
    array = np.zeros((1, *oblique.shape), np.float32)
    array[:, 4:9, 6:12, 3:6] = 100
    crop = PreprocessConfig(
        axcodes="RAS", normalisation=(ChannelNormalisation(kind="none"),), body=BodyCrop(above=(50.0,), margin_mm=0)
    )
    cropped = Predictor(Always(1, 3.0), build_card(preprocess=crop), device=CPU, precision="fp32")
    whole = Predictor(Always(2), build_card(preprocess=preprocessing()), device=CPU, precision="fp32")
    mask = Ensemble([cropped, whole]).prepare(Scan(array, oblique)).draw().mask
    # Inside, the surer one wins; outside, the other's 0.79 for 7 is less than 1 + 0.11 for the background.
    expected = np.zeros(oblique.shape)
    expected[4:9, 6:12, 3:6] = 3
    np.testing.assert_array_equal(mask, expected)


def test_slab_is_drawn_alone(member: Callable[..., Predictor], oblique: Geometry) -> None:
    members = [member(seed, preprocessing()) for seed in range(2)]
    scan, ensemble = random_scan(oblique), Ensemble(members)
    whole = ensemble.prepare(scan).draw().mask
    part = ensemble.prepare(scan, slab=Slab(1, 5, 9)).draw().mask
    np.testing.assert_array_equal(part[:, 5:9], whole[:, 5:9])
    assert part[:, :5].max() == part[:, 9:].max() == 0
    assert ensemble.prepare(scan, slab=Slab(1, 5, 5)).draw().mask.max() == 0


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"labels": {"background": 0, "spleen": 7, "liver": 3}}, "labels"),
        ({"labels": {"background": 0, "kidney": 3, "liver": 7}}, "labels"),
        ({"channels": ("CT",)}, "channels"),
    ],
)
def test_models_of_other_labels_or_channels_are_refused(
    member: Callable[..., Predictor], changes: dict[str, object], what: str
) -> None:
    with pytest.raises(ConfigError, match=f"models must have the same {what} to draw one mask"):
        Ensemble([member(0, preprocessing()), member(1, preprocessing(), **changes)])


def test_memory_of_all_members_counts(
    member: Callable[..., Predictor], oblique: Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [member(seed, preprocessing()) for seed in range(3)]
    needed = members[0].prepare(random_scan(oblique)).needed_bytes
    free = type("Free", (), {"available": 2 * needed})
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: free)
    members[0].prepare(random_scan(oblique))
    with pytest.raises(MemoryShortageError, match="must fit into memory"):
        Ensemble(members).prepare(random_scan(oblique))


def test_identities_and_seen_cases_are_those_of_all(member: Callable[..., Predictor]) -> None:
    ensemble = Ensemble(
        [member(0, preprocessing(), trained_on=("a", "b")), member(1, preprocessing(), trained_on=("b", "c"))]
    )
    assert ensemble.seen_cases == ("a", "b", "c")
    assert [identity.trained_on for identity in ensemble.identities] == [("a", "b"), ("b", "c")]


def test_faster_means_fewer_windows(member: Callable[..., Predictor]) -> None:
    slow = member(0, preprocessing(), InferenceConfig(patch_size=(8, 8, 16), mirror_axes=(0, 1)))
    scan = random_scan(Geometry((30, 30, 5), np.eye(4)))
    slow.mask(scan)
    before = len(slow.network.shapes), {shape[2:] for shape in slow.network.shapes}
    slow.network.shapes.clear()
    slow.faster().mask(scan)
    assert len(slow.network.shapes) * 4 < before[0]
    assert before[1] == {(8, 8, 16)}
    assert {shape[2:] for shape in slow.network.shapes} == {(8, 8, 8)}


FOLLOWING = [("RAS", "RAS"), ("LPS", "LPS"), ("RAI", "RAI"), ("PIR", "SLA")]


@pytest.mark.parametrize(("first", "second"), FOLLOWING)
def test_members_follow_each_other_plane_by_plane_in_either_direction(
    member: Callable[..., Predictor], monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    checks: list[int] = []
    monkeypatch.setattr(ensemble_module, "check_free", lambda needed, *_: checks.append(needed))
    # Alone, the second would finish its planes along another axis, the shortest.
    deep = InferenceConfig(patch_size=(4, 8, 8))
    members = [member(0, preprocessing(first, (1.5, 1.0, 2.0)), deep), member(1, preprocessing(second), FLAT)]
    scan = random_scan(Geometry((9, 11, 14), np.diag([-1.0, -1.2, 1.3, 1.0])))
    check_mean(Ensemble(members).prepare(scan).draw().mask, members, scan)
    assert (len(checks) == 1) == (first == second)  # nothing is held beside what was counted before


def test_planes_that_must_be_held_are_counted(
    member: Callable[..., Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [member(0, preprocessing("RAS")), member(1, preprocessing("LPI"))]
    scan = random_scan(Geometry((9, 11, 14), np.eye(4)))
    prepared = Ensemble(members).prepare(scan)
    needed = sum(one.prepare(scan).needed_bytes for one in members)
    free = type("Free", (), {"available": needed + 3 * 4 * 9 * 11 * 14})
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: free)
    with pytest.raises(MemoryShortageError, match="must fit into memory"):
        prepared.draw()


def test_background_is_moved_to_the_device_of_the_networks() -> None:
    values = ensemble_module._on_one_device([torch.zeros(2), torch.zeros(2, device="meta"), torch.zeros(2)])
    assert {part.device.type for part in values} == {"meta"}


def test_models_of_regions_in_another_order_draw_no_mask_together(build_card: CardBuilder) -> None:
    """Two models of the same regions in another order: the first channel of one is the second of the other."""
    held = {"whole": (3, 7), "core": (7,)}
    network = build_card().network.model_copy(update={"out_channels": 2})

    def member(names: tuple[str, ...]) -> Predictor:
        regions = {name: held[name] for name in names}
        written = tuple(held[name][0] for name in names)
        card = build_card(network=network, regions=regions, regions_order=written)
        return Predictor(Edgy(dims=3, seed=0), card, device=CPU, precision="fp32")

    one, other = member(("whole", "core")), member(("core", "whole"))
    assert Ensemble([one, member(("whole", "core"))]).target.structures == ("whole", "core")
    with pytest.raises(ConfigError, match="or all find the same regions in the same order, got the regions"):
        Ensemble([one, other])
