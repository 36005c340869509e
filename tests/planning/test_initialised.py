"""A plan that keeps the network of an earlier run."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from medseg.inference.segmentation import ModelCard
from medseg.networks import NetworkConfig
from medseg.planning import Plan, Spending, make_plan
from medseg.planning.initialised import plan_initialised
from medseg.planning.step_cost import StepPrice
from medseg.training.segmentation import CoarseStart, TrainingConfig

from tests.planning.conftest import FingerprintBuilder, ManifestBuilder


def card_of(plan: Plan) -> ModelCard:
    """The card of a run with a plan."""
    return ModelCard(
        medseg_version="0",
        dataset="livers 1",
        channels=tuple(f"c{n}" for n in range(plan.network.in_channels)),
        labels={f"label {n}": n for n in range(plan.network.out_channels)},
        network=plan.network,
        preprocess=plan.preprocess,
        inference=plan.inference,
        trained_on=("a",),
        manifest_digest="m",
        plan_digest="p",
    )


@pytest.fixture
def build_plan(build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder) -> Any:
    """A function that plans for one scan."""

    def build(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], **names: Any) -> Plan:
        manifest = build_manifest(**names)
        foreground = np.ones((len(manifest.channels), 5))
        return make_plan(build_fingerprint([shape], [spacing_mm], foreground=foreground), manifest, device="cpu")

    return build


def test_network_is_the_earlier_ones_with_these_channels_and_labels(build_plan: Any) -> None:
    earlier = build_plan((64, 64, 64), (1.0, 1.0, 1.0))
    own = build_plan((48, 48, 16), (0.8, 0.8, 5.0), channels=("T1", "T2"), labels=("tumour",))
    plan = plan_initialised(own, card_of(earlier))
    counts = {"in_channels": 2, "out_channels": 2}
    assert plan.network.model_dump() == earlier.network.model_dump() | counts
    assert plan.preprocess == own.preprocess
    assert "as in the earlier run on livers 1 (1×1×1 mm), whose weights" in plan.reasons["network.channels"]
    assert "these scans alone would get [[3, 3, 1], " in plan.reasons["network.kernels"]


def test_patch_is_adjusted_to_the_earlier_network(build_plan: Any) -> None:
    earlier = build_plan((64, 64, 64), (1.0, 1.0, 1.0))
    assert earlier.network.reduction == (16, 16, 16)
    own = build_plan((40, 44, 12), (1.0, 1.0, 1.0))
    assert own.training.patch_size == (40, 44, 12)
    plan = plan_initialised(own, card_of(earlier))
    assert plan.training.patch_size == plan.inference.patch_size == (40, 44, 16)
    assert "[40, 44, 12] as the earlier run's network needs it" in plan.reasons["training.patch_size"]
    same = plan_initialised(earlier, card_of(earlier))
    assert same.training.patch_size == earlier.training.patch_size
    assert same.reasons["training.patch_size"] == earlier.reasons["training.patch_size"]


def test_patch_keeps_more_than_one_voxel_at_the_coarsest_stage(build_plan: Any) -> None:
    earlier = build_plan((64, 64, 64), (1.0, 1.0, 1.0))
    plan = plan_initialised(build_plan((8, 12, 8), (1.0, 1.0, 1.0)), card_of(earlier))
    assert plan.training.patch_size == (16, 32, 16)


def test_coarse_start_fits_the_earlier_network_or_is_left_out(build_plan: Any) -> None:
    earlier = build_plan((64, 64, 64), (1.0, 1.0, 1.0))
    own = build_plan((56, 56, 56), (1.0, 1.0, 1.0))
    starts = {}
    for patch in ((24, 28, 28), (52, 56, 56)):
        start = CoarseStart(share=0.3, factor=(2, 2, 2), patch_size=patch, batch_size=2)
        training = own.training.model_copy(update={"coarse_start": start})
        reasons = own.reasons | {"training.coarse_start": "cheap"}
        starts[patch] = plan_initialised(
            own.model_copy(update={"training": training, "reasons": reasons}), card_of(earlier)
        )
    fitting = starts[24, 28, 28].training.coarse_start
    assert fitting is not None
    assert (fitting.patch_size, fitting.share) == ((24, 28, 28), 0.3)
    assert starts[52, 56, 56].training.coarse_start is None
    assert "training.coarse_start" not in starts[52, 56, 56].reasons


def test_plan_for_a_budget_is_priced_with_the_earlier_network(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder, build_plan: Any
) -> None:
    earlier = build_plan((64, 64, 64), (1.0, 1.0, 1.0))
    priced = set()

    def price(network: NetworkConfig, training: TrainingConfig, limit_s: float = 0.0) -> StepPrice:
        priced.add((network.channels, network.strides))
        return StepPrice(0.1, 1)

    spending = Spending(
        seconds=600,
        budget_s=600,
        device="CPU",
        free_bytes=2**40,
        measure=price,
        estimate=price,
        ceiling=lambda config: {"liver": 0.95},
    )
    plan = make_plan(
        build_fingerprint([(96, 96, 96)], [(1.0, 1.0, 1.0)]),
        build_manifest(),
        device="cpu",
        spending=spending,
        adapt=partial(plan_initialised, card=card_of(earlier)),
    )
    assert priced == {(earlier.network.channels, earlier.network.strides)}
    assert plan.network.strides == earlier.network.strides
    assert "buys about" in plan.reasons["preprocess.spacing_mm"]


def test_rate_rises_more_slowly_and_says_why(build_plan: Any) -> None:
    own = build_plan((64, 64, 64), (1.0, 1.0, 1.0))
    plan = plan_initialised(own, card_of(own))
    assert plan.training.learning_rate == own.training.learning_rate
    assert plan.training.warmup == 0.1
    assert "would undo what the earlier run has learned" in plan.reasons["training.warmup"]
    assert "as for fresh weights" in plan.reasons["training.learning_rate"]
