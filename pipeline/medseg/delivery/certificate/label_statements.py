"""What label files say: names, colours and codes, by the rules of their formats and not by those who wrote them."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medseg.delivery.certificate.contents import Expected
from medseg.scans.segment import Algorithm, CodedTerm, Segment
from medseg.scans.statements import Key, Statements

_ITKSNAP = re.compile(r'\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+([\d.]+)\s+([01])\s+([01])\s+"(.*)"\s*')
_TERMS = ("category", "type", "laterality")


def expected_sidecar(
    segments: Sequence[Segment], algorithm: Algorithm, *, mask: str, files: Mapping[int, str] | None = None
) -> Expected:
    """What the JSON file must say.

    Args:
        segments: Structures of the mask.
        algorithm: Software that drew it.
        mask: Name of the mask's file.
        files: Name of the file of each structure's own mask by its number.
    """
    said: dict[Key, str] = {("file", "mask"): mask}
    said |= {("software", name): value for name, value in asdict(algorithm).items()}
    for value, (name, colour) in _of_values(segments).items():
        said |= {(f"value {value}", "name"): name, (f"value {value}", "colour"): colour}
    for one in segments:
        subject = f"structure {one.number}"
        said |= {(subject, "name"): one.name, (subject, "colour"): _colour(one.colour)}
        said |= {(subject, "values"): " ".join(map(str, one.values))}
        for role, term in zip(_TERMS, (one.category, one.kind, one.laterality), strict=True):
            said |= _coded(subject, role, term)
        if files:
            said[subject, "file"] = files[one.number]
    return {key: value for key, value in said.items() if value}


def expected_itksnap(segments: Sequence[Segment]) -> Expected:
    """What the label descriptions of ITK-SNAP must say; a name there holds no quotation mark."""
    rows = {0: ("Clear Label", "0 0 0")} | _of_values(segments)
    return _rows({value: (name.replace('"', "'"), colour) for value, (name, colour) in rows.items()})


def expected_slicer(segments: Sequence[Segment]) -> Expected:
    """What the colour table of 3D Slicer must say; `_` stands for each space of a name there."""
    rows = {0: ("Background", "0 0 0")} | _of_values(segments)
    return _rows({value: ("_".join(name.split()), colour) for value, (name, colour) in rows.items()})


def read_sidecar(path: Path) -> Statements:
    """Read the JSON file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    said: dict[Key, str | float] = {("file", "mask"): content["mask"]}
    said |= {("software", name): value for name, value in content["software"].items()}
    for value, label in content["values"].items():
        said |= {(f"value {value}", "name"): label["name"], (f"value {value}", "colour"): _from_hex(label["colour"])}
    for one in content["structures"]:
        subject = _free(f"structure {one['number']}", said)
        said |= {(subject, "name"): one["name"], (subject, "colour"): _from_hex(one["colour"])}
        said |= {(subject, "values"): " ".join(map(str, one["values"]))}
        for role in _TERMS:
            said |= {(subject, f"{role} {part}"): text for part, text in (one[role] or {}).items()}
        said |= {(subject, "file"): one["file"]} if one["file"] else {}
    return Statements(library=_python("json"), values={key: value for key, value in said.items() if value})


def read_itksnap(path: Path) -> Statements:
    """Read label descriptions as ITK-SNAP does: comments do not count, and a name is all between the quotes.

    Raises:
        ValueError: If a line is no label.
    """
    said: dict[Key, str | float] = {}
    for line in _lines(path):
        found = _ITKSNAP.fullmatch(line)
        if found is None:
            raise ValueError("a line must be a label of ITK-SNAP, got another one")
        value, red, green, blue, *_, name = found.groups()
        subject = _free(f"value {int(value)}", said)
        said |= {(subject, "name"): name, (subject, "colour"): f"{int(red)} {int(green)} {int(blue)}"}
    return Statements(library=_python("re"), values=said)


def read_slicer(path: Path) -> Statements:
    """Read a colour table as 3D Slicer does: six words on each line, and a name is one of them.

    Raises:
        ValueError: If a line has more words, or fewer.
    """
    said: dict[Key, str | float] = {}
    for line in _lines(path):
        value, name, red, green, blue, _ = line.split()
        subject = _free(f"value {int(value)}", said)
        said |= {(subject, "name"): name, (subject, "colour"): f"{int(red)} {int(green)} {int(blue)}"}
    return Statements(library=_python("str.split"), values=said)


def _of_values(segments: Sequence[Segment]) -> dict[int, tuple[str, str]]:
    """Name and colour of each value; the structures that share one stand with the smallest first."""
    found: dict[int, tuple[str, str]] = {}
    for value in {value for one in segments for value in one.values}:
        owners = sorted((one for one in segments if value in one.values), key=lambda one: len(one.values))
        found[value] = (", ".join(one.name for one in owners), _colour(owners[0].colour))
    return found


def _rows(rows: Mapping[int, tuple[str, str]]) -> Expected:
    said: dict[Key, str] = {}
    for value, (name, colour) in rows.items():
        said |= {(f"value {value}", "name"): name, (f"value {value}", "colour"): colour}
    return said


def _coded(subject: str, role: str, term: CodedTerm | None) -> dict[Key, str]:
    return {} if term is None else {(subject, f"{role} {part}"): text for part, text in asdict(term).items()}


def _lines(path: Path) -> Iterator[str]:
    """Lines that are no comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return (line for line in lines if line.strip() and not line.startswith("#"))


def _free(subject: str, said: Mapping[Key, object]) -> str:
    """The subject, or one that no other file has where the file says it twice."""
    return f"{subject} again" if any(key[0] == subject for key in said) else subject


def _colour(colour: Sequence[int]) -> str:
    return " ".join(map(str, colour))


def _from_hex(colour: str) -> str:
    return _colour(bytes.fromhex(colour.removeprefix("#")))


def _python(module: str) -> str:
    return f"{module} of Python {platform.python_version()}"
