"""Reading of an nnU-Net raw folder (`imagesTr`, `labelsTr`, dataset.json)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medseg.errors import ManifestError
from medseg.manifest.case_names import without_hidden
from medseg.manifest.channel_names import read_channels
from medseg.manifest.label_scheme import read_label_scheme
from medseg.records import Case, Manifest, Split
from medseg.scans import is_picture_file

_FOLDERS: tuple[tuple[str, str, Split], ...] = (("imagesTr", "labelsTr", "training"), ("imagesTs", "labelsTs", "test"))


def is_nnunet(content: dict[str, Any]) -> bool:
    """Whether a dataset.json is that of nnU-Net v2: a file ending instead of a list of cases."""
    return "file_ending" in content and not isinstance(content.get("training"), list)


def read_nnunet(content: dict[str, Any], root: Path) -> Manifest:
    """Turn an nnU-Net raw folder into a manifest.

    Args:
        content: Content of the dataset.json.
        root: Raw folder.

    Raises:
        ManifestError: If a key is missing, or labels are none that it may have.
    """
    try:
        channels = read_channels(content)
        labels = read_label_scheme(content.get("labels"), content.get("regions_class_order"))
        ending = str(content["file_ending"])
        listed = _listed(content["dataset"]) if isinstance(content.get("dataset"), dict) else None
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ManifestError(
            f"nnU-Net dataset.json must follow its layout, got a problem: {error}",
            remedy="give channel_names, labels and file_ending as nnU-Net does",
        ) from error
    cases = listed if listed is not None else _found(root, ending, len(channels))
    return Manifest(
        name=str(content.get("name", root.resolve().name)),
        version=str(content.get("release", "1")),
        description=str(content.get("description", "")),
        licence=str(content.get("licence", content.get("license", ""))),
        channels=channels,
        has_patients=False,
        cases=tuple(cases),
        **labels,
    )


def _listed(dataset: dict[str, Any]) -> list[Case]:
    """Cases of the `dataset` key, which names the files of each case."""
    bare = [case_id for case_id, entry in dataset.items() if not isinstance(entry, dict)]
    if bare:
        raise ValueError(f"each case of dataset must have the key images, {bare[0]!r} has no keys")
    return [
        Case(case_id=case_id, patient_id=case_id, images=_names(entry.get("images")), label=entry.get("label"))
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
        firsts = without_hidden([path.name for path in sorted((root / images).glob(f"*_0000{ending}"))])
        for first in firsts:
            case_id = first.removesuffix(f"_0000{ending}")
            names = numbered_files(root, f"{images}/{case_id}", ending, channels)
            label = f"{labels}/{case_id}{ending}"
            has_label = split == "training" or (root / label).is_file()
            cases.append(
                Case(case_id=case_id, patient_id=case_id, images=names, label=label if has_label else None, split=split)
            )
    return cases


def numbered_files(root: Path, start: str, ending: str, channels: int) -> tuple[str, ...]:
    """Files of a case by nnU-Net's channel numbers; a picture of three colours is one file, `_0000`, for all three.

    Args:
        root: Folder that the paths are relative to.
        start: Path without channel number and ending.
        ending: Ending of the files.
        channels: Number of channel names.
    """
    names = tuple(f"{start}_{index:04d}{ending}" for index in range(channels))
    is_one_picture = is_picture_file(Path(names[0])) and not any((root / name).is_file() for name in names[1:])
    return names[:1] if is_one_picture else names
