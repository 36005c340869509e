"""Reading of the dataset.json of the Medical Segmentation Decathlon."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from medseg.errors import ManifestError
from medseg.manifest.document import ordered_channels
from medseg.records import Case, Manifest, Split
from medseg.scans import scan_stem

_EXTRA = {"patient_id", "fold", "site", "scanner"}


def is_msd(content: dict[str, Any]) -> bool:
    """Whether a dataset.json is a Decathlon one: modalities, and cases without ids."""
    training = content.get("training")
    is_list = isinstance(training, list)
    has_ids = is_list and any(isinstance(entry, dict) and "case_id" in entry for entry in training or [])
    return is_list and "modality" in content and not has_ids


def read_msd(content: dict[str, Any]) -> Manifest:
    """Turn a Decathlon datalist into a manifest; case ids are the image files' names.

    Raises:
        ManifestError: If a key or an entry does not follow the Decathlon's layout.
    """
    try:
        labels = {str(name): int(value) for value, name in content["labels"].items()}
        if len(labels) < len(content["labels"]):
            names = list(content["labels"].values())
            raise ManifestError(f"label names must be different, got {names}", remedy="rename one")
        cases = [_case(entry, "training") for entry in content["training"]]
        cases += [_case(entry, "test") for entry in content.get("test", [])]
        channels = ordered_channels({str(key): str(name) for key, name in content["modality"].items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ManifestError(f"Decathlon dataset.json must follow the MSD layout, got a problem at {error!r}") from error
    entries = [entry for entry in (*content["training"], *content.get("test", [])) if isinstance(entry, dict)]
    return Manifest(
        name=str(content.get("name", "dataset")),
        version=str(content.get("release", "1")),
        description=str(content.get("description", "")),
        licence=str(content.get("licence", content.get("license", ""))),
        channels=channels,
        labels=labels,
        has_patients=_has_patients(entries, len(cases)),
        cases=tuple(cases),
    )


def _has_patients(entries: list[dict[str, Any]], cases: int) -> bool:
    """Whether the entries name the patients, as in some extended files."""
    named = sum("patient_id" in entry for entry in entries)
    if named not in (0, cases):
        raise ManifestError(
            "Decathlon dataset.json: patient_id must be given for all cases or none", remedy="add it or remove all"
        )
    return named > 0


def _case(entry: str | dict[str, Any], split: Split) -> Case:
    """A case of the plain form, or of the one extended by patients, folds and sites."""
    extra = {} if isinstance(entry, str) else {key: entry[key] for key in _EXTRA & entry.keys()}
    image = entry if isinstance(entry, str) else entry["image"]
    label = None if isinstance(entry, str) else entry.get("label")
    path = image.removeprefix("./")
    case_id = scan_stem(PurePosixPath(path))
    return Case(
        case_id=case_id,
        images=(path,),
        label=label.removeprefix("./") if label else None,
        split=split,
        **{"patient_id": case_id, **extra},
    )
