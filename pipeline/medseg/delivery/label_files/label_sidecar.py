"""The meaning of a mask's values as JSON, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medseg.atomic import write_json
from medseg.delivery.label_files.value_labels import value_labels
from medseg.scans.segment import Algorithm, CodedTerm, Segment
from medseg.terms import hex_code


def write_label_sidecar(
    segments: Sequence[Segment],
    path: Path,
    *,
    mask: str,
    algorithm: Algorithm,
    files: Mapping[int, str] | None = None,
) -> None:
    """Write names, values, colours and codes of the structures of a mask.

    Args:
        segments: Structures of the mask.
        path: Target, ending in `.json`.
        mask: Name of the mask's file.
        algorithm: Software that drew it.
        files: Name of the file of each structure's own mask by its number, as `write_label_masks` gives them.

    Raises:
        DeliveryError: If a structure has no name, or the file cannot be written.
    """
    content = {
        "mask": mask,
        "software": asdict(algorithm),
        "values": {
            str(one.value): {"name": one.name, "colour": hex_code(one.colour)} for one in value_labels(segments)
        },
        "structures": [_structure(segment, (files or {}).get(segment.number)) for segment in segments],
    }
    write_json(path, content)


def _structure(segment: Segment, file: str | None) -> dict[str, Any]:
    return {
        "number": segment.number,
        "name": segment.name,
        "values": list(segment.values),
        "colour": hex_code(segment.colour),
        "category": _code(segment.category),
        "type": _code(segment.kind),
        "laterality": _code(segment.laterality),
        "file": file,
    }


def _code(term: CodedTerm | None) -> dict[str, str] | None:
    return None if term is None else asdict(term)
