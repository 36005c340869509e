"""Remedies of a plan's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from medseg.planning import CaseFingerprint, Fingerprint, check_mirroring, make_plan
from medseg.planning.initialised import plan_initialised
from medseg.planning.rare_labels import check_extra_patches

from tests.manifest.datasets import manifest_of
from tests.planning.test_initialised import card_of
from tests.remedies.attempts import covers, tries

covers("planning")
Again = Iterator[Callable[[], object]]


@tries("planning/sides.py", "leave the axis out")
def _flip(place: Path) -> Again:
    manifest = manifest_of([], labels={"background": 0, "left kidney": 1, "right kidney": 2})
    case = CaseFingerprint((40, 40, 40), (1.0, 1.0, 1.0), np.ones((1, 5)))
    plan = make_plan(Fingerprint((case,), (), is_2d=False), manifest, device="cpu")
    flipping = plan.model_copy(update={"inference": plan.inference.model_copy(update={"mirror_axes": (0, 2)})})
    yield lambda: check_mirroring(flipping, manifest)
    left_out = plan.model_copy(update={"inference": plan.inference.model_copy(update={"mirror_axes": (2,)})})
    yield lambda: check_mirroring(left_out, manifest)


@tries("planning/initialised.py", "leave init out, or give a run on such images")
def _volumes_for_pictures(place: Path) -> Again:
    manifest = manifest_of([], labels={"background": 0, "nucleus": 1})
    volume = CaseFingerprint((40, 40, 40), (1.0, 1.0, 1.0), np.ones((1, 5)))
    picture = CaseFingerprint((64, 64, 1), (1.0, 1.0, 1.0), np.ones((1, 5)))
    volumes, pictures = (
        make_plan(Fingerprint((case,), (), is_2d=is_2d), manifest, device="cpu")
        for case, is_2d in ((volume, False), (picture, True))
    )
    yield lambda: plan_initialised(pictures, card_of(volumes))
    yield lambda: make_plan(Fingerprint((picture,), (), is_2d=True), manifest, device="cpu")
    yield lambda: plan_initialised(pictures, card_of(pictures))


@tries("planning/network_choice.py", "choose unet, dynunet, segresnet or swinunetr")
def _flat_network(place: Path) -> Again:
    case = CaseFingerprint((40, 40, 40), (1.0, 1.0, 1.0), np.ones((1, 5)))
    fingerprint, manifest = Fingerprint((case,), (), is_2d=False), manifest_of([])
    yield lambda: make_plan(fingerprint, manifest, device="cpu", network="unet_2015")
    yield lambda: make_plan(fingerprint, manifest, device="cpu", network="unet")
    yield lambda: make_plan(fingerprint, manifest, device="cpu", network="dynunet")
    yield lambda: make_plan(fingerprint, manifest, device="cpu", network="segresnet")
    yield lambda: make_plan(fingerprint, manifest, device="cpu", network="swinunetr")


@tries("planning/rare_labels.py", "correct the name, or leave it out")
def _patches_of_an_unknown_label(place: Path) -> Again:
    manifest = manifest_of([], labels={"background": 0, "liver": 1})
    case = CaseFingerprint((40, 40, 40), (1.0, 1.0, 1.0), np.ones((1, 5)))
    plan = make_plan(Fingerprint((case,), (), is_2d=False), manifest, device="cpu")

    def check(patches: dict[str, int]) -> None:
        training = plan.training.model_copy(update={"extra_patches": patches})
        check_extra_patches(plan.model_copy(update={"training": training}), manifest)

    yield lambda: check({"livr": 3})
    yield lambda: check({"liver": 3})
    yield lambda: check({})
