#!/usr/bin/env python3
"""Train MONAI's DynUNet by the recipe of its tutorial for a number of seconds, and draw the validation masks.

    python benchmarks/peers/dynunet_tutorial.py DATASET --spacing 1 1 1 --patch 40 56 40 --batch 9 --seconds 600 --out M

From MONAI's tutorial `dynunet_pipeline` (task_params.py, create_network.py, transforms.py, train.py, commands/task04):
strides and kernels by its rule, deep supervision, Dice with cross-entropy, SGD with Nesterov momentum 0.99, weight
decay 3e-5, learning rate 0.1, gradients clipped at 12, two of three crops around a label, zoom, noise, smoothing,
intensity scaling, flips along every axis, masks with every mirrored copy. The learning rate falls with the seconds
here, not with the epochs. Reading and resampling are medseg's. Preparing the cases and drawing the masks come on top
of the seconds, which favours DynUNet.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from medseg.inference.segmentation import InferenceConfig
from medseg.inference.segmentation.sliding import whole_volume_probabilities
from medseg.manifest import assign_folds, load_manifest, manifest_target, read_case, read_case_image, split_fold
from medseg.preprocess import ChannelNormalisation, PreprocessConfig, network_grid, preprocess_scan
from medseg.preprocess.segmentation.restore import restore_mask
from medseg.records import Case, Manifest
from medseg.scans import write_mask
from monai.losses import DiceCELoss
from monai.networks.nets import DynUNet
from monai.transforms import (
    Compose,
    RandCropByPosNegLabeld,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandZoomd,
    SpatialPadd,
)
from monai.utils import set_determinism
from torch import Tensor, nn

Sizes = tuple[int, ...]


def main() -> None:
    """Train, draw, print steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--spacing", type=float, nargs=3, help="mm along R, A and S; pictures keep their own pixels")
    parser.add_argument("--patch", type=int, nargs="+", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--supervised", type=int, default=1, help="lower resolutions that are supervised (default 1)")
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    set_determinism(arguments.seed)
    manifest, root = load_manifest(arguments.dataset, data_root=arguments.data_root)
    manifest = assign_folds(manifest)
    training, validation = split_fold(manifest, arguments.fold)
    config = PreprocessConfig(
        axcodes="RAS" if arguments.spacing else None,
        spacing_mm=tuple(arguments.spacing) if arguments.spacing else None,
        normalisation=tuple(ChannelNormalisation(kind="zscore") for _ in manifest.channels),
    )
    patch = tuple(arguments.patch)
    cases = [_prepared(case, manifest, root, config) for case in training]
    network = _network(manifest, patch, arguments.spacing or (1.0,) * len(patch), arguments.supervised)
    steps = _train(network, cases, _crops(patch), arguments)
    start = time.monotonic()
    _draw(network.eval(), validation, manifest, root, config, patch, arguments.out)
    print(f"{manifest.name}: {steps} steps in {arguments.seconds:.0f} s, masks in {time.monotonic() - start:.0f} s")


def _prepared(case: Case, manifest: Manifest, root: Path, config: PreprocessConfig) -> dict[str, Tensor]:
    """Image and label on the network's grid; flat for pictures."""
    scans = read_case(case, manifest, root)
    values = (scans.label > 0).astype("uint8") if manifest.instances else scans.label
    image, _, moved = preprocess_scan(scans.image, config, label=values)
    label = torch.as_tensor(moved)[None].to(torch.uint8)
    if image.shape[3] == 1:
        image, label = image[..., 0], label[..., 0]
    return {"image": image.float(), "label": label}


def _network(manifest: Manifest, patch: Sizes, spacing: Any, supervised: int) -> nn.Module:
    """DynUNet with strides and kernels by the tutorial's rule."""
    sizes, voxels = list(patch), list(spacing)
    strides: list[Sizes] = [(1,) * len(patch)]
    kernels: list[Sizes] = []
    while True:
        ratios = [mm / min(voxels) for mm in voxels]
        stride = tuple(2 if ratio <= 2 and size >= 8 else 1 for ratio, size in zip(ratios, sizes, strict=True))
        if max(stride) == 1:
            break
        kernels.append(tuple(3 if ratio <= 2 else 1 for ratio in ratios))
        strides.append(stride)
        sizes = [size // step for size, step in zip(sizes, stride, strict=True)]
        voxels = [mm * step for mm, step in zip(voxels, stride, strict=True)]
    kernels.append((3,) * len(patch))
    network: nn.Module = DynUNet(
        spatial_dims=len(patch),
        in_channels=len(manifest.channels),
        out_channels=manifest_target(manifest).channels,
        kernel_size=kernels,
        strides=strides,
        upsample_kernel_size=strides[1:],
        norm_name="instance",
        deep_supervision=True,
        deep_supr_num=supervised,
    )
    return network


def _crops(patch: Sizes) -> Compose:
    """A crop of a case, augmented."""
    keys = ["image", "label"]
    flat = len(patch) == 2
    smooth = {f"sigma_{axis}": (0.5, 1.15) for axis in "xyz"[: len(patch)]}
    crop = RandCropByPosNegLabeld(keys, label_key="label", spatial_size=patch, pos=2, neg=1, num_samples=1)
    modes = ("bilinear" if flat else "trilinear", "nearest")
    return Compose(
        [
            SpatialPadd(keys, spatial_size=patch),
            crop,
            RandZoomd(keys, min_zoom=0.9, max_zoom=1.2, mode=modes, align_corners=(True, None), prob=0.15),
            RandGaussianNoised(["image"], std=0.01, prob=0.15),
            RandGaussianSmoothd(["image"], prob=0.15, **smooth),
            RandScaleIntensityd(["image"], factors=0.3, prob=0.15),
            *(RandFlipd(keys, spatial_axis=axis, prob=0.5) for axis in range(len(patch))),
        ]
    )


def _train(network: nn.Module, cases: list[dict[str, Tensor]], crops: Compose, arguments: argparse.Namespace) -> int:
    """Step until the time is over; returns the count of steps."""
    optimizer = torch.optim.SGD(
        network.parameters(), lr=arguments.learning_rate, momentum=0.99, weight_decay=3e-5, nesterov=True
    )
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True)
    network.train()
    steps, start = 0, time.monotonic()
    while (passed := time.monotonic() - start) < arguments.seconds:
        for group in optimizer.param_groups:
            group["lr"] = arguments.learning_rate * (1 - passed / arguments.seconds) ** 0.9
        chosen = torch.randint(len(cases), (arguments.batch,))
        batch = [crops(cases[int(index)])[0] for index in chosen]
        image = torch.stack([torch.as_tensor(item["image"]) for item in batch])
        label = torch.stack([torch.as_tensor(item["label"]) for item in batch])
        optimizer.zero_grad(set_to_none=True)
        outputs = torch.unbind(network(image), dim=1)
        loss = sum((0.5**level * loss_of(output, label) for level, output in enumerate(outputs)), torch.zeros(()))
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 12)
        optimizer.step()
        steps += 1
        if steps % 10 == 1:
            print(f"step {steps}, {passed:.0f} s, loss {loss.item():.3f}", flush=True)
    return steps


def _draw(
    network: nn.Module,
    cases: tuple[Case, ...],
    manifest: Manifest,
    root: Path,
    config: PreprocessConfig,
    patch: Sizes,
    folder: Path,
) -> None:
    """Write a mask per case on its own grid."""
    target = manifest_target(manifest)
    i, j, k = (*patch, 1)[:3]
    windows = InferenceConfig(patch_size=(i, j, k), mirror_axes=tuple(range(len(patch))))
    for case in cases:
        scan = read_case_image(case, manifest, root)
        image, _, _ = preprocess_scan(scan, config)
        values = whole_volume_probabilities(
            network, image, windows, target=target, device=torch.device("cpu"), precision="fp32"
        )
        mask = restore_mask(values, network_grid(scan.geometry, config), scan.geometry, target=target)
        write_mask(mask, scan, folder, case_id=case.case_id)


if __name__ == "__main__":
    main()
