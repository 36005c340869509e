"""What a bundle's two JSON files hold."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from medseg.inference.segmentation.card import ModelCard
from medseg.version import __version__

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
_MODALITIES = ("CT", "MR", "US", "PT")
_PARTS = "medseg.delivery.bundle"


def inference_config(card: ModelCard) -> dict[str, Any]:
    """`inference.json`: the ids that MONAI's programs look for, and a `run` that draws all masks of a folder."""
    models = {"models": "$@bundle_root + '/models'"}
    return {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/scans'",
        "output_dir": "$@bundle_root + '/masks'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": {"_target_": f"{_PARTS}.untrained_network", "settings": card.network.model_dump(mode="json")},
        "network": {"_target_": f"{_PARTS}.load_network", "network": "@network_def", "device": "@device", **models},
        "preprocessing": _composed({"_target_": f"{_PARTS}.PrepareScand", "keys": "image", **models}),
        "inferer": {"_target_": f"{_PARTS}.WindowInferer", **models},
        "postprocessing": _composed(
            {"_target_": f"{_PARTS}.RestoreMaskd", "keys": "pred", "image_key": "image", **models},
            {"_target_": f"{_PARTS}.SaveMaskd", "keys": "pred", "output_dir": "@output_dir"},
        ),
        "found": {"_target_": f"{_PARTS}.found_cases", "dataset_dir": "@dataset_dir", **models},
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': case} for case in @found.cases]",
            "transform": "@preprocessing",
        },
        "evaluator": {
            "_target_": f"{_PARTS}.MaskEvaluator",
            **{name: f"@{name}" for name in ("found", "network", "preprocessing", "inferer", "postprocessing")},
            **{name: f"@{name}" for name in ("output_dir", "device")},
        },
        "run": ["$@evaluator.run()"],
    }


def bundle_metadata(card: ModelCard) -> dict[str, Any]:
    """`metadata.json`, as MONAI's specification of bundles has it."""
    names = ", ".join(name for name, value in card.labels.items() if value)
    versions = {name: metadata.version(name).partition("+")[0] for name in ("monai", "torch", "numpy", "nibabel")}
    return {
        "schema": SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": f"packaged by medseg {__version__}"},
        "monai_version": versions["monai"],
        "pytorch_version": versions["torch"],
        "numpy_version": versions["numpy"],
        "required_packages_version": {"nibabel": versions["nibabel"]},
        "optional_packages_version": {"nibabel": versions["nibabel"]},
        "supported_apps": {},
        "name": card.dataset,
        "task": f"Segmentation of {names}",
        "description": f"A network that segments {names} in {', '.join(card.channels)}, trained on {card.dataset}",
        "authors": f"trained with medseg {card.medseg_version}",
        "copyright": "see docs/license.txt",
        "data_source": card.dataset,
        "data_type": "nifti, dicom",
        "image_classes": f"{len(card.channels)} channel(s): {', '.join(card.channels)}",
        "label_classes": ", ".join(f"{value} is {name}" for name, value in card.labels.items()),
        "pred_classes": f"label values on the scan's own grid: {names}",
        "eval_metrics": {},
        "intended_use": "Research software, not a medical device",
        "references": [],
        "network_data_format": {"inputs": {"image": _input(card)}, "outputs": {"pred": _output(card)}},
    }


def _composed(*transforms: dict[str, Any]) -> dict[str, Any]:
    return {"_target_": "Compose", "transforms": list(transforms)}


def _input(card: ModelCard) -> dict[str, Any]:
    modality = next((one for one in _MODALITIES if one in (name.upper() for name in card.channels)), "n/a")
    return {
        "type": "image",
        "format": "hounsfield" if modality == "CT" else "magnitude",
        "modality": modality,
        "num_channels": card.network.in_channels,
        "channel_def": {str(number): name for number, name in enumerate(card.channels)},
        **_shape(card),
    }


def _output(card: ModelCard) -> dict[str, Any]:
    return {
        "type": "image",
        "format": "labels",
        "num_channels": card.network.out_channels,
        "channel_def": {str(number): name for number, name in enumerate(card.labels)},
        **_shape(card),
    }


def _shape(card: ModelCard) -> dict[str, Any]:
    size = list(card.inference.patch_size[: card.network.spatial_dims])
    return {"spatial_shape": size, "dtype": "float32", "value_range": [], "is_patch_data": True}
