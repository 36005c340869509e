"""Reading of an nnU-Net raw folder (`imagesTr`, `labelsTr`, dataset.json)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medseg.errors import ManifestError
from medseg.manifest.document import ordered_channels
from medseg.records import Case, Manifest, Split

_FOLDERS: tuple[tuple[str, str, Split], ...] = (("imagesTr", "labelsTr", "training"), ("imagesTs", "labelsTs", "test"))


def is_nnunet(content: dict[str, Any]) -> bool:
    """Whether a dataset.json is nnU-Net's: a file ending instead of a list of cases."""
    return "file_ending" in content and "training" not in content


def read_nnunet(content: dict[str, Any], root: Path) -> Manifest:
    """Turn an nnU-Net raw folder into a manifest.

    Args:
        content: Content of the dataset.json.
        root: Raw folder.

    Raises:
        ManifestError: If a key is missing, or labels are regions.
    """
    try:
        channels = ordered_channels({str(key): str(name) for key, name in content["channel_names"].items()})
        labels = {str(name): value for name, value in content["labels"].items()}
        ending = str(content["file_ending"])
        listed = _listed(content["dataset"]) if isinstance(content.get("dataset"), dict) else None
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ManifestError(f"nnU-Net dataset.json must follow its layout, got a problem at {error!r}") from error
    if "ignore" in labels:
        raise ManifestError(
            "label 'ignore' must not be there, got nnU-Net's value for unlabelled voxels",
            remedy="label them or drop it",
        )
    regions = [name for name, value in labels.items() if not isinstance(value, int)]
    if regions:
        raise ManifestError(
            f"labels must be one whole number each, got regions or others for {regions}", remedy="list plain labels"
        )
    cases = listed if listed is not None else _found(root, ending, len(channels))
    return Manifest(
        name=str(content.get("name", root.resolve().name)),
        version=str(content.get("release", "1")),
        description=str(content.get("description", "")),
        licence=str(content.get("licence", content.get("license", ""))),
        channels=channels,
        labels={name: int(value) for name, value in labels.items()},
        has_patients=False,
        cases=tuple(cases),
    )


def _listed(dataset: dict[str, Any]) -> list[Case]:
    """Cases of the `dataset` key, which names the files of each case."""
    return [
        Case(case_id=case_id, patient_id=case_id, images=_names(entry["images"]), label=entry.get("label"))
        for case_id, entry in sorted(dataset.items())
    ]


def _names(images: Any) -> tuple[str, ...]:
    if not isinstance(images, list) or not images:
        raise ValueError(f"images must be a list of paths, got {images!r}")
    return tuple(images)


def _found(root: Path, ending: str, channels: int) -> list[Case]:
    """Cases found in the image folders by their channel suffix `_0000`."""
    cases = []
    for images, labels, split in _FOLDERS:
        for first in sorted((root / images).glob(f"*_0000{ending}")):
            case_id = first.name.removesuffix(f"_0000{ending}")
            names = tuple(f"{images}/{case_id}_{index:04d}{ending}" for index in range(channels))
            label = f"{labels}/{case_id}{ending}"
            has_label = split == "training" or (root / label).is_file()
            cases.append(
                Case(case_id=case_id, patient_id=case_id, images=names, label=label if has_label else None, split=split)
            )
    return cases
