"""The rules that turn a fingerprint into the plan of a segmentation network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from medseg.geometry import significant
from medseg.inference.segmentation import InferenceConfig
from medseg.manifest import is_regression, mixed_channels, output_channels
from medseg.networks import NetworkConfig
from medseg.planning.augmentation import with_augmentation
from medseg.planning.body import body_rule, plan_body
from medseg.planning.coarse_start import plan_coarse_start
from medseg.planning.fingerprint import Fingerprint
from medseg.planning.grid_choice import GridOption, choose_plan
from medseg.planning.low_ceilings import with_low_ceilings
from medseg.planning.network_choice import NetworkName, with_network
from medseg.planning.picture_choice import choose_picture_plan
from medseg.planning.plan import Plan
from medseg.planning.presets import PresetName, resources_of
from medseg.planning.profile import DatasetProfile, profile_of
from medseg.planning.rare_labels import plan_extra_patches
from medseg.planning.raters import plan_raters
from medseg.planning.sides import names_a_side
from medseg.planning.sizes import DeviceKind, Resources, plan_patch, plan_strides
from medseg.planning.spending import Spending
from medseg.planning.structures import LabelStructures
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.records import Array, Manifest
from medseg.training import AugmentConfig
from medseg.training.segmentation import TrainingConfig

_ANISOTROPIC = 3.0


def make_plan(
    fingerprint: Fingerprint,
    manifest: Manifest,
    *,
    device: DeviceKind,
    spending: Spending | None = None,
    spacing_mm: tuple[float, float, float] | None = None,
    adapt: Callable[[Plan], Plan] = lambda plan: plan,
    network: NetworkName = "unet",
    structures: Sequence[LabelStructures] = (),
    preset: PresetName | None = None,
    is_even: bool = False,
    epochs: int | None = None,
) -> Plan:
    """Decide every setting from the training scans, the device and the budget, and say why.

    Args:
        fingerprint: Fingerprint of the training cases.
        manifest: Manifest, for its channels and labels.
        device: Kind of device that will train, which decides patch, batch and width.
        spending: Wall clock of the training and prices of its steps, which decide how fine the grid of volumes is and
            how many patches a step has. Without it the grid is that of the scans; pictures always keep their own
            pixels.
        spacing_mm: Voxel size of the network's grid along R, A and S, where the user sets it.
        adapt: Changes the plan on a grid before it is priced, such as one that keeps the network of an earlier run.
        network: Name of the network.
        structures: Components and neighbours of the labels of some training cases, to be shown in the plan.
        preset: Name of a set of sizes that takes the place of the device's.
        is_even: Whether patches must be multiples of the network's reduction, as a network of the user's own may need.
        epochs: Length of the training where no wall clock decides it; the plan's own if not given.

    Raises:
        ConfigError: If the network cannot take the scans.
    """
    resources = resources_of(device, is_2d=fingerprint.is_2d, preset=preset)
    resources = replace(resources, is_tight=resources.is_tight and not is_even)
    profile, reasons = profile_of(fingerprint, structures, manifest), dict[str, str]()
    body, seen = plan_body(fingerprint, body_rule(manifest.channels), reasons)

    def plan_on(option: GridOption) -> Plan:
        plan = _plan_on(seen, profile, manifest, resources, option)
        preprocess = plan.preprocess.model_copy(update={"body": body})
        plan = plan.model_copy(update={"preprocess": preprocess, "reasons": plan.reasons | reasons})
        return adapt(with_network(plan, network, device=device, preset=preset))

    if spending is None:
        plan = plan_on(GridOption(spacing_mm=None if fingerprint.is_2d else spacing_mm))
    elif fingerprint.is_2d:
        plan = choose_picture_plan(plan_on, seen, spending, device=device)
    else:
        voxels = resources.clock_voxels
        plan = choose_plan(plan_on, seen, spending, device=device, voxels=voxels, spacing_mm=spacing_mm)
    views = plan.expected.views_per_scan if plan.expected else float(epochs or plan.training.epochs)
    plan = with_augmentation(plan, views)
    return with_low_ceilings(plan.model_copy(update={"fingerprint": profile}))


def _plan_on(
    fingerprint: Fingerprint,
    profile: DatasetProfile | None,
    manifest: Manifest,
    resources: Resources,
    option: GridOption,
) -> Plan:
    """The plan on one grid."""
    reasons: dict[str, str] = {}
    is_2d = fingerprint.is_2d
    spacing = _spacing(fingerprint, reasons)
    spacing = np.array([significant(max(float(mm), option.factor * float(spacing.min()))) for mm in spacing])
    if option.spacing_mm is not None:
        spacing = np.array(option.spacing_mm)
    scale = 1.0 if is_2d else fingerprint.spacings_mm() / spacing
    shape = np.median(fingerprint.shapes() * scale, axis=0)
    most = option.voxels or resources.patch_voxels
    patch = plan_patch(shape, spacing, is_2d=is_2d, voxels=most, is_tight=resources.is_tight)
    reasons["training.patch_size"] = (
        f"covers the median scan of {_text(np.round(shape))} voxels"
        if (np.array(patch) >= np.round(shape)).all()
        else f"as much of the median scan of {_text(np.round(shape))} voxels as {most} voxels "
        f"allow {resources.where}, cut where it is longest in mm"
    )
    reasons["training.batch_size"] = (
        "one patch, so that the budget buys as many steps as it can"
        if option.batch == 1
        else f"about {resources.step_voxels} voxels per step {resources.where}, at least 2 patches"
    )
    batch = option.batch or int(np.clip(round(resources.step_voxels / np.prod(patch)), 2, 16))
    network = _network(
        patch, spacing, manifest, resources, is_2d=is_2d, begins_strided=option.begins_strided, reasons=reasons
    )
    mirror_axes = _mirror_axes(manifest, is_2d=is_2d, reasons=reasons)
    i, j, k = (float(s) for s in spacing)
    patches_per_case = _patches_per_case(shape, patch, reasons)
    share = TrainingConfig.model_fields["foreground_share"].default
    by_label = None if manifest.regions else profile  # values of regions are no structures
    extra = plan_extra_patches(by_label, patches_per_case=patches_per_case, foreground_share=share, reasons=reasons)
    return Plan(
        dataset=manifest.name,
        preprocess=PreprocessConfig(
            axcodes=None if is_2d else "RAS",
            spacing_mm=None if is_2d else (i, j, k),
            normalisation=plan_normalisation(fingerprint, manifest, reasons),
        ),
        network=network,
        training=TrainingConfig(
            patch_size=patch,
            batch_size=batch,
            patches_per_case=patches_per_case,
            extra_patches=extra,
            augment=_augment(spacing, mirror_axes, is_2d=is_2d),
            coarse_start=plan_coarse_start(patch, spacing, network, share=option.coarse_share, reasons=reasons),
            raters=plan_raters(manifest, reasons),
        ),
        inference=InferenceConfig(patch_size=patch, batch_size=batch, mirror_axes=mirror_axes),
        reasons=reasons,
    )


def _spacing(fingerprint: Fingerprint, reasons: dict[str, str]) -> Array:
    spacings = fingerprint.spacings_mm()
    median = np.median(spacings, axis=0)
    if fingerprint.is_2d:
        reasons["preprocess.spacing_mm"] = "pictures keep their own pixels"
        return np.ones(3)
    worst = int(np.argmax(median))
    others = np.delete(median, worst)
    if median[worst] > _ANISOTROPIC * others.max():
        median[worst] = max(float(np.percentile(spacings[:, worst], 10)), float(others.max()))
        reasons["preprocess.spacing_mm"] = (
            f"median of {len(spacings)} training scans; the {'ijk'[worst]} axis is more than {_ANISOTROPIC:g} times "
            "coarser, so its 10th percentile"
        )
    else:
        reasons["preprocess.spacing_mm"] = f"median of {len(spacings)} training scans, axes along R, A and S"
    return np.array([significant(float(mm)) for mm in median])


def plan_normalisation(
    fingerprint: Fingerprint, manifest: Manifest, reasons: dict[str, str], *, section: str = "preprocess"
) -> tuple[ChannelNormalisation, ...]:
    """Normalisation of each channel; the reason is added under the given section of the plan."""
    channels, why = [], []
    sampled = "all voxels" if is_regression(manifest) else "labelled voxels"
    for index, name in enumerate(manifest.channels):
        values = fingerprint.foreground(index)
        if name.strip().lower() == "ct" and len(values) and float(values.std()) > 0:
            low, high = (float(v) for v in np.percentile(values, [0.5, 99.5]))
            mean_hu, std_hu = float(values.mean()), float(values.std())
            channels.append(ChannelNormalisation(kind="ct", clip_hu=(low, high), mean_hu=mean_hu, std_hu=std_hu))
            why.append(f"{name}: Hounsfield units mean the same in every scan, so one scale for all, from {sampled}")
        else:
            channels.append(ChannelNormalisation(kind="zscore"))
            has_unit = name.strip().lower() == "ct"
            cause = f"no {sampled} to take a scale from" if has_unit else "intensities have no fixed unit"
            why.append(f"{name}: {cause}, so each scan by its own mean and deviation")
    why += [f"warning: {mixed.fact}" for mixed in mixed_channels(manifest, manifest.select("training"))]
    reasons[f"{section}.normalisation"] = "; ".join(dict.fromkeys(why))
    return tuple(channels)


def _network(
    patch: tuple[int, int, int],
    spacing: Array,
    manifest: Manifest,
    resources: Resources,
    *,
    is_2d: bool,
    begins_strided: bool,
    reasons: dict[str, str],
) -> NetworkConfig:
    strides, kernels = plan_strides(
        np.array(patch),
        spacing,
        is_2d=is_2d,
        begins_strided=begins_strided,
        stages=resources.stages,
        is_even=not resources.is_tight,
    )
    stages = len(strides)
    widths = [resources.width * 2**level for level in range(stages + 1)][1 if max(strides[0]) > 1 else 0 :]
    reasons["network.strides"] = (
        f"{stages} stages: halved while 4 voxels remain and no axis is twice as coarse as another"
        + (
            "; the first halves already, because features as fine as the grid take most of a step's time and more "
            "steps bring more (benchmarks/README.md)"
            if max(strides[0]) > 1
            else ""
        )
    )
    reasons["network.kernels"] = "1 along axes at least twice as coarse as the finest, else 3"
    reasons["network.channels"] = (
        f"{widths[0]} in the first stage {resources.where}, doubled per stage up to {resources.widest}"
    )
    if resources.skips == "added":
        reasons["network.skips"] = "added, not concatenated, which costs less (benchmarks/README.md)"
    return NetworkConfig(
        spatial_dims=2 if is_2d else 3,
        in_channels=len(manifest.channels),
        out_channels=output_channels(manifest),
        channels=tuple(min(width, resources.widest) for width in widths[:stages]),
        strides=tuple(tuple(axes) for axes in strides),
        kernels=tuple(tuple(axes) for axes in kernels),
        blocks=(1, *(2,) * (stages - 1)),
        decoder_blocks=(1,) * (stages - 1),
        activation="relu",
        skips=resources.skips,
    )


def _mirror_axes(manifest: Manifest, *, is_2d: bool, reasons: dict[str, str]) -> tuple[int, ...]:
    sided = [name for name in (*manifest.foreground, *(manifest.regions or ())) if names_a_side(name)]
    key = "inference.mirror_axes"
    if sided:
        reasons[key] = f"no flips: labels {', '.join(sided[:4])} name a side of the body"
        return ()
    if is_2d:
        reasons[key] = "both axes of a picture: no label names a side"
        return (0, 1)
    reasons[key] = "no flips: bodies are not symmetric, and flips cost accuracy within minutes (benchmarks/README.md)"
    return ()


def _patches_per_case(shape: Array, patch: tuple[int, int, int], reasons: dict[str, str]) -> int:
    # Rounding of the spacing makes a median scan of 20 voxels 20.00001, which must not add a patch.
    count = int(np.clip(np.ceil(np.prod(np.maximum(shape, patch)) / np.prod(patch) - 1e-3), 1, 8))
    reasons["training.patches_per_case"] = "patches that cover a median scan once, at most 8"
    return count


def _augment(spacing: Array, mirror_axes: tuple[int, ...], *, is_2d: bool) -> AugmentConfig:
    i, j, k = (float(s) for s in spacing)
    return AugmentConfig(
        spacing_mm=(i, j, k),
        mirror_axes=mirror_axes,
        rotation_degrees=180.0 if is_2d else AugmentConfig().rotation_degrees,
    )


def _text(values: Array) -> str:
    return "×".join(str(int(v)) for v in values)
