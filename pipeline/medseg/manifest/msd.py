"""Reading of datalists: the Medical Segmentation Decathlon's, nnU-Net v1's, and mixtures of their keys with others."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from medseg.errors import ManifestError
from medseg.manifest.case_names import names_of_cases, without_hidden
from medseg.manifest.channel_names import read_channels
from medseg.manifest.document import CaseEntry
from medseg.manifest.label_scheme import read_label_scheme
from medseg.manifest.nnunet import numbered_files
from medseg.manifest.validation_cases import warn_of_unread
from medseg.records import Case, Manifest, Split
from medseg.scans import scan_stem

# Keys of other programs, which a dataset.json in our own form does not hold.
FOREIGN = frozenset(
    ("modality", "numTraining", "numTest", "tensorImageSize", "reference", "release", "relase", "license",
     "file_ending", "overwrite_image_reader_writer", "regions_class_order")
)  # fmt: skip
_OWN = ("regions", "regions_order", "ignore", "quantities")
_KEPT = frozenset(CaseEntry.model_fields) - {"image", "label"}


def is_msd(content: dict[str, Any]) -> bool:
    """Whether a dataset.json lists its training cases among keys of the Decathlon or of nnU-Net."""
    training = content.get("training")
    if not isinstance(training, list) or not FOREIGN & content.keys():
        return False
    return "channel_names" not in content or not _all_have_ids(training)


def _all_have_ids(entries: list[Any]) -> bool:
    return bool(entries) and all(isinstance(entry, dict) and "case_id" in entry for entry in entries)


def read_msd(content: dict[str, Any], root: Path) -> Manifest:
    """Turn a datalist into a manifest; case ids are the image files' names where none are given.

    Where a listed image does not exist but files with the channel suffix `_0000` do, as in a raw folder of nnU-Net v1,
    these are the case's channels.

    Args:
        content: Content of the dataset.json.
        root: Folder that its paths are relative to.

    Raises:
        ManifestError: If a key or an entry does not follow the Decathlon's layout.
    """
    warn_of_unread(content)
    try:
        listed = content.get("labels", {"background": 0} if "quantities" in content else None)
        labels = read_label_scheme(listed, content.get("regions_class_order"))
        labels |= {key: content[key] for key in _OWN if key in content}
        if "quantities" in content and "task" in content:
            labels["task"] = content["task"]
        channels = read_channels(content)
        training, test = (_entries(content.get(split) or []) for split in ("training", "test"))
        cases = _cases(training, "training", len(channels), root) + _cases(test, "test", len(channels), root)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ManifestError(
            f"Decathlon dataset.json must follow the MSD layout, got a problem: {error}",
            remedy="list modality (or channel_names), labels and training as the Decathlon does",
        ) from error
    return Manifest(
        name=str(content.get("name", "dataset")),
        version=str(content.get("release", content.get("version", "1"))),
        description=str(content.get("description", "")),
        licence=str(content.get("licence", content.get("license", ""))),
        channels=channels,
        has_patients=_has_patients([*training, *test]),
        cases=tuple(cases),
        **labels,
    )


def _entries(listed: list[Any]) -> list[dict[str, Any]]:
    """Entries with their images as lists, without hidden files; a bare path is an image."""
    entries = [_with_list({"image": entry} if isinstance(entry, str) else entry) for entry in listed]
    shown = set(without_hidden([entry["image"][0] for entry in entries]))
    return [entry for entry in entries if entry["image"][0] in shown]


def _with_list(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict) or "image" not in entry:
        raise ValueError(f"each case must be a path or have the key image, got {entry!r}")
    images = [entry["image"]] if isinstance(entry["image"], str) else entry["image"]
    return {**entry, "image": [image.removeprefix("./") for image in images]}


def _has_patients(entries: list[dict[str, Any]]) -> bool:
    """Whether the entries name the patients, as in some extended files."""
    named = sum("patient_id" in entry for entry in entries)
    if named not in (0, len(entries)):
        raise ManifestError(
            "Decathlon dataset.json: patient_id must be given for all cases or none", remedy="add it or remove all"
        )
    return named > 0


def _cases(entries: list[dict[str, Any]], split: Split, channels: int, root: Path) -> list[Case]:
    """Cases of the plain form, or of one extended by ids, patients, folds and sites."""
    names = names_of_cases([entry["image"] for entry in entries])
    return [_case(entry, name, split, channels, root) for entry, name in zip(entries, names, strict=True)]


def _case(entry: dict[str, Any], name: str, split: Split, channels: int, root: Path) -> Case:
    images, label = entry["image"], entry.get("label")
    if len(images) not in (1, channels):
        raise ValueError(f"image must be one file or one for each of {channels} channels, got {images}")
    case_id = str(entry.get("case_id", name))
    kept = {key: entry[key] for key in _KEPT & entry.keys()}
    return Case(
        images=_files(images, channels, root),
        label=label.removeprefix("./") if label else None,
        split=split,
        **{"patient_id": case_id, **kept, "case_id": case_id},
    )


def _files(images: list[str], channels: int, root: Path) -> tuple[str, ...]:
    """The listed files, or those with channel numbers that nnU-Net v1 means by the one that is listed."""
    if len(images) > 1 or (root / images[0]).is_file():
        return tuple(images)
    path = PurePosixPath(images[0])
    stem = scan_stem(path)
    start = (path.parent / stem).as_posix()
    numbered = numbered_files(root, start, path.name.removeprefix(stem), channels)
    return numbered if (root / numbered[0]).is_file() else tuple(images)
