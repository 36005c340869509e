"""Patches of quantities: reproducible, with known voxels, and the same change for image and values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from medseg.cohort import SERIAL
from medseg.manifest import load_manifest
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.regression import StoredValues, prepare_values
from medseg.targets import Quantities, Quantity
from medseg.training.augment import AugmentConfig, augment_batch
from medseg.training.regression import RegressionTrainingConfig
from medseg.training.regression.patches import ValuePatches

from tests.quantity_data import write_dose_dataset

TARGET = Quantities(quantities={"dose": Quantity(unit="Gy", prescription=60)}, scale={"dose": 60.0})


def stored(folder: Path, *, unknown: bool = False) -> tuple[StoredValues, ...]:
    manifest, root = load_manifest(write_dose_dataset(folder, cases=2, unknown=unknown))
    config = PreprocessConfig(normalisation=(ChannelNormalisation(kind="none"),))
    return prepare_values(manifest.cases, manifest, root, config=config, store=folder / "store", executor=SERIAL).cases


def patches(cases: tuple[StoredValues, ...], size: tuple[int, int, int] = (8, 8, 8)) -> ValuePatches:
    return ValuePatches(cases, RegressionTrainingConfig(patch_size=size), target=TARGET)


def test_a_patch_holds_shares_of_the_prescription_beside_its_image(tmp_path: Path) -> None:
    samples = patches(stored(tmp_path))
    patch = samples[3]
    assert patch["image"].shape == patch["label"].shape == (1, 8, 8, 8)
    expected = 1 / (1 + np.exp(-patch["image"].numpy()))
    np.testing.assert_allclose(patch["label"].numpy(), expected, rtol=1e-5)
    torch.testing.assert_close(samples[3]["label"], patch["label"])


def test_every_case_comes_once_per_epoch_and_every_patch_holds_something_known(tmp_path: Path) -> None:
    samples = patches(stored(tmp_path, unknown=True))
    for index in range(0, 40, 2):
        first, second = samples[index], samples[index + 1]
        assert not torch.equal(first["image"], second["image"])
        assert (~first["label"].isnan()).any()
        assert (~second["label"].isnan()).any()


def test_beyond_a_small_scan_nothing_is_known(tmp_path: Path) -> None:
    patch = patches(stored(tmp_path), size=(20, 14, 12))[0]
    assert patch["label"][:, :2].isnan().all()
    assert patch["label"][:, -2:].isnan().all()
    assert not patch["label"][:, 2:-2].isnan().any()
    assert (patch["image"][:, :2] == 0).all()


def test_augmentation_moves_values_with_their_image_and_changes_none() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 24)[:, None, None].expand(24, 20, 18)
    image = ramp[None, None].repeat(4, 1, 1, 1, 1)
    config = AugmentConfig(
        affine_share=1.0, mirror_axes=(0,), gamma_share=0, contrast_share=0, brightness=0, noise_share=0,
        blur_share=0, low_resolution_share=0,
    )  # fmt: skip
    moved, values = augment_batch(image, 50 * image + 10, config, seed=1, has_values=True)
    known = ~values.isnan()
    assert 0.5 < float(known.float().mean()) < 1
    # At the edge up to a thousandth of the image's voxel may lie outside.
    torch.testing.assert_close(values[known], (50 * moved + 10)[known], rtol=2e-3, atol=1e-3)


def test_what_is_not_known_stays_so_and_does_not_spread_into_values() -> None:
    values = torch.full((2, 1, 16, 16, 16), 7.0)
    values[:, :, 6:9, 6:9, 6:9] = torch.nan
    image = torch.zeros(2, 1, 16, 16, 16)
    config = AugmentConfig(affine_share=1.0)
    _, moved = augment_batch(image, values, config, seed=3, has_values=True)
    assert moved[:, :, 7, 7, 7].isnan().all()
    known = moved[~moved.isnan()]
    torch.testing.assert_close(known, torch.full_like(known, 7.0), rtol=1e-5, atol=1e-5)


def test_labels_are_moved_as_before() -> None:
    image, label = torch.rand(2, 1, 12, 12, 12), (torch.rand(2, 1, 12, 12, 12) > 0.5).to(torch.int16)
    config = AugmentConfig(affine_share=1.0)
    with_default = augment_batch(image, label, config, seed=2)[1]
    assert set(with_default.unique().tolist()) <= {0, 1}
    assert with_default.dtype == torch.int16
