"""Trainings that see their scans very often change them more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from medseg.planning import Fingerprint, Plan, load_plan, make_plan, save_plan
from medseg.planning.augmentation import MANY_VIEWS, with_augmentation
from medseg.records import Manifest
from medseg.training import AugmentConfig

FingerprintBuilder = Callable[..., Fingerprint]
ManifestBuilder = Callable[..., Manifest]
USUAL = AugmentConfig()


@pytest.fixture
def usual(build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder) -> Plan:
    return make_plan(build_fingerprint([(40, 50, 20)], [(1.0, 1.0, 3.0)]), build_manifest(), device="cpu", epochs=10)


@pytest.mark.parametrize(("views", "is_stronger"), [(MANY_VIEWS - 0.1, False), (MANY_VIEWS, True)])
def test_volumes_are_changed_more_from_many_views_on(usual: Plan, views: float, is_stronger: bool) -> None:
    planned = with_augmentation(usual, views)
    augment = planned.training.augment
    assert (augment.rotation_degrees > USUAL.rotation_degrees) == is_stronger
    assert (augment.scale > USUAL.scale) == is_stronger
    assert (augment.affine_share > USUAL.affine_share) == is_stronger
    assert ("training.augment" in planned.reasons) == is_stronger
    assert augment.spacing_mm == (1, 1, 3)


def test_reason_names_the_views_and_stands_in_the_file(usual: Plan, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    save_plan(with_augmentation(usual, 312.4), path)
    assert "each scan is seen 312 times" in path.read_text()
    assert load_plan(path) == with_augmentation(usual, 312.4)


@pytest.mark.parametrize(("epochs", "is_stronger"), [(10, False), (200, True), (None, True)])
def test_epochs_are_views_where_no_clock_decides(
    build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder, epochs: int | None, is_stronger: bool
) -> None:
    fingerprint = build_fingerprint([(40, 40, 40)], [(1.0, 1.0, 1.0)])
    plan = make_plan(fingerprint, build_manifest(), device="cpu", epochs=epochs)
    assert (plan.training.augment.scale > USUAL.scale) == is_stronger


def test_pictures_keep_their_changes(build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder) -> None:
    fingerprint = build_fingerprint([(128, 128, 1)], [(1.0, 1.0, 1.0)], is_2d=True)
    plan = make_plan(fingerprint, build_manifest(), device="cpu", epochs=1000)
    assert plan.training.augment.scale == USUAL.scale
