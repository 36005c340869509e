"""Grid, intensities and windows from nnU-Net's plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from medseg.configuration import describe_problems
from medseg.errors import CheckpointError
from medseg.preprocess.nnunet import NnunetPreprocess, NnunetResampling, NnunetScheme
from medseg.preprocess.nnunet.config import SchemeName

_READERS = {
    "SimpleITKIO": False, "NibabelIO": False, "NaturalImage2DIO": False, "Tiff3DIO": False,
    "SimpleITKIOWithReorient": True, "NibabelIOWithReorient": True,
}  # fmt: skip
_SCHEMES: dict[str, SchemeName] = {
    "CTNormalization": "ct",
    "ZScoreNormalization": "zscore",
    "NoNormalization": "none",
    "RescaleTo01Normalization": "to_01",
    "RGBTo01Normalization": "rgb_to_01",
}
_RESAMPLING = "resample_data_or_seg_to_shape"
_DEFAULTS = {"data": 3, "seg": 1, "probabilities": 1}


def configuration_of(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A configuration of the plans with what it inherits from others.

    Raises:
        CheckpointError: If the plans have no such configuration, or it inherits from itself.
    """
    known = plans.get("configurations", {})
    chain: list[dict[str, Any]] = []
    while True:
        if name not in known or len(chain) > len(known):
            raise CheckpointError(
                f"plans.json must have the configuration {name} of the checkpoint, got {', '.join(known) or 'none'}",
                remedy="take plans.json and checkpoint from one and the same training",
            )
        chain.append(known[name])
        if "inherits_from" not in known[name]:
            return {key: value for part in reversed(chain) for key, value in part.items()}
        name = known[name]["inherits_from"]


def source_preprocess(plans: Mapping[str, Any], configuration: Mapping[str, Any], *, channels: int) -> NnunetPreprocess:
    """How a scan is brought onto the network's grid.

    Args:
        plans: Content of plans.json.
        configuration: Configuration with what it inherits.
        channels: Number of image channels.

    Raises:
        CheckpointError: If a class or function is not one of nnU-Net's own, or numbers are missing.
    """
    _check_name("preprocessor", configuration.get("preprocessor_name", "DefaultPreprocessor"), ["DefaultPreprocessor"])
    _check_name("label_manager", plans.get("label_manager", "LabelManager"), ["LabelManager"])
    reader = str(plans.get("image_reader_writer", "SimpleITKIO"))
    _check_name("image_reader_writer", reader, list(_READERS))
    schemes = list(configuration.get("normalization_schemes", ()))
    masked = list(configuration.get("use_mask_for_norm", ())) or [False] * len(schemes)
    if len(schemes) != channels or len(masked) != channels:
        raise CheckpointError(
            f"plans.json must have a normalisation for each of {channels} channels of dataset.json, got {schemes}",
            remedy="take plans.json and dataset.json from one and the same training",
        )
    intensities = plans.get("foreground_intensity_properties_per_channel") or plans.get(
        "foreground_intensity_properties_by_modality", {}
    )
    try:
        return NnunetPreprocess(
            is_reoriented=_READERS[reader],
            transpose=tuple(plans["transpose_forward"]),
            spacing_mm=tuple(configuration["spacing"]),
            schemes=tuple(
                _scheme(name, bool(is_masked), intensities.get(str(channel), {}))
                for channel, (name, is_masked) in enumerate(zip(schemes, masked, strict=True))
            ),
            image=_resampling(configuration, "data"),
            logits=_resampling(configuration, "probabilities"),
            labels=_resampling(configuration, "seg"),
        )
    except ValidationError as error:
        raise _incomplete("; ".join(describe_problems(NnunetPreprocess, error))) from error
    except KeyError as error:
        raise _incomplete(f"no {error}") from error


def patch_of(configuration: Mapping[str, Any]) -> tuple[int, int, int]:
    """Window of the network; that of a 2D network has one voxel along its last axis.

    Raises:
        CheckpointError: If there is none.
    """
    patch: Sequence[Any] = configuration.get("patch_size", ())
    if len(patch) not in (2, 3):
        raise _incomplete(f"patch_size {patch}")
    i, j, k = (*map(int, patch), 1)[:3]
    return i, j, k


def _scheme(name: str, is_masked: bool, numbers: Mapping[str, float]) -> NnunetScheme:
    _check_name("normalisation", name, list(_SCHEMES))
    kind = _SCHEMES[name]
    if kind != "ct":
        return NnunetScheme(kind=kind, is_masked=is_masked and kind == "zscore")
    return NnunetScheme(
        kind="ct",
        clip=(numbers["percentile_00_5"], numbers["percentile_99_5"]),
        mean=numbers["mean"],
        std=numbers["std"],
    )


def _resampling(configuration: Mapping[str, Any], what: str) -> NnunetResampling:
    name = configuration.get(f"resampling_fn_{what}", _RESAMPLING)
    _check_name(f"resampling_fn_{what}", name, [_RESAMPLING])
    given = dict(configuration.get(f"resampling_fn_{what}_kwargs", {}))
    return NnunetResampling(
        order=given.get("order", _DEFAULTS[what]),
        order_z=given.get("order_z", 0),
        separate_z=given.get("force_separate_z"),
    )


def _check_name(what: str, found: Any, known: list[str]) -> None:
    if found not in known:
        raise CheckpointError(
            f"plans.json must have {what} {' or '.join(known)}, got {found}",
            remedy="adopt models with nnU-Net's own preprocessing; others need nnU-Net itself",
        )


def _incomplete(found: str) -> CheckpointError:
    return CheckpointError(f"plans.json must be complete, got {found}", remedy="take the plans.json of the training")
