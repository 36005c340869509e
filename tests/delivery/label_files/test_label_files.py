"""Label files as the viewers that they are for read them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from medseg.delivery.label_files import (
    value_labels,
    write_itksnap_labels,
    write_label_masks,
    write_label_sidecar,
    write_slicer_colours,
)
from medseg.errors import DeliveryError
from medseg.manifest.case_names import is_safe_name
from medseg.records import Scan
from medseg.scans.segment import Algorithm, CodedTerm, Segment

from tests.grids import OBLIQUE

TISSUE = CodedTerm("85756007", "SCT", "Tissue")
LIVER = CodedTerm("10200004", "SCT", "Liver")
ALGORITHM = Algorithm(name="abdomen", version="0.1.0", digest="0123abcd", notice="research software")
SCAN = Scan(np.zeros((1, *OBLIQUE.shape), np.float32), OBLIQUE)


def segment(number: int, name: str, *values: int, **more: Any) -> Segment:
    parts = {"colour": (number, 130, 101), "category": TISSUE} | more
    return Segment(number=number, name=name, values=values or (number,), **parts)


def itksnap(path: Path) -> dict[int, tuple[str, tuple[int, ...]]]:
    """Name and colour by value, as ITK-SNAP's own reader takes them: numbers, then what two quotation marks enclose."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            numbers, name = line.split('"')[:2]
            value, red, green, blue, alpha, visible, mesh = map(int, numbers.split())
            assert (alpha, visible, mesh) == ((1, 1, 1) if value else (0, 0, 0))
            found[value] = (name, (red, green, blue))
    return found


def slicer(path: Path) -> dict[int, tuple[str, tuple[int, ...]]]:
    """Name and colour by value, as 3D Slicer's reader takes them: words between spaces."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    words = [line.split(" ") for line in lines]
    assert {len(parts) for parts in words} == {6}
    return {int(value): (name, tuple(map(int, colour[:3]))) for value, name, *colour in words}


def test_itksnap_and_slicer_find_names_and_colours(tmp_path: Path) -> None:
    segments = [segment(1, "liver"), segment(2, 'left  "kidney"'), segment(300, "肝臓")]
    write_itksnap_labels(segments, tmp_path / "labels.txt")
    write_slicer_colours(segments, tmp_path / "labels.ctbl")
    assert itksnap(tmp_path / "labels.txt") == {
        0: ("Clear Label", (0, 0, 0)),
        1: ("liver", (1, 130, 101)),
        2: ("left 'kidney'", (2, 130, 101)),
        300: ("肝臓", (300, 130, 101)),
    }
    assert slicer(tmp_path / "labels.ctbl") == {
        0: ("Background", (0, 0, 0)),
        1: ("liver", (1, 130, 101)),
        2: ('left_"kidney"', (2, 130, 101)),
        300: ("肝臓", (300, 130, 101)),
    }


def test_shared_value_is_named_after_its_structures_from_the_innermost_on() -> None:
    segments = [segment(1, "tumour", 1, 2, 3), segment(2, "core", 1, 3), segment(3, "enhancing", 3)]
    assert [(one.value, one.name, one.colour[0]) for one in value_labels(segments)] == [
        (1, "core, tumour", 2),
        (2, "tumour", 1),
        (3, "enhancing, core, tumour", 3),
    ]


def test_sidecar_holds_values_colours_codes_and_files(tmp_path: Path) -> None:
    segments = [segment(1, "liver", kind=LIVER, colour=(221, 130, 101)), segment(2, "wound\nleft", 7)]
    write_label_sidecar(segments, tmp_path / "a.json", mask="a.nii.gz", algorithm=ALGORITHM, files={1: "liver.nii.gz"})
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    liver, wound = content["structures"]
    assert (content["mask"], content["software"]["digest"]) == ("a.nii.gz", "0123abcd")
    assert content["values"] == {
        "1": {"name": "liver", "colour": "#dd8265"},
        "7": {"name": "wound\nleft", "colour": "#028265"},
    }
    assert liver["type"] == {"value": "10200004", "scheme": "SCT", "meaning": "Liver"}
    assert (liver["file"], wound["file"], wound["type"], wound["values"]) == ("liver.nii.gz", None, None, [7])


def test_each_structure_has_a_mask_of_its_own(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 4, OBLIQUE.shape).astype(np.uint8)
    segments = [segment(1, "tumour", 1, 2), segment(2, "core", 2), segment(3, "empty", 9)]
    files = write_label_masks(labels, segments, SCAN, tmp_path / "masks")
    assert files == {1: "tumour.nii.gz", 2: "core.nii.gz", 3: "empty.nii.gz"}
    for one in segments:
        image = nibabel.load(tmp_path / "masks" / files[one.number])
        np.testing.assert_array_equal(np.asarray(image.dataobj), np.isin(labels, one.values))
        np.testing.assert_allclose(image.affine, OBLIQUE.affine, atol=1e-5)
        assert image.get_data_dtype() == np.uint8


def test_names_of_files_are_safe_and_unique_on_any_disk(tmp_path: Path) -> None:
    names = ["a/b", "a\\b", "Liver", "liver", "Liver_3", "é", "e\u0301", "...", "", "x" * 300, "PTV+5", "PTV-5", "end."]
    segments = [segment(number, name) for number, name in enumerate(names, start=1)]
    files = write_label_masks(np.zeros(OBLIQUE.shape, np.uint8), segments, SCAN, tmp_path)
    assert len({file.casefold() for file in files.values()}) == len(names)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files.values())
    assert all(is_safe_name(file) and len(file) < 80 and not re.search(r"[. ]\.nii", file) for file in files.values())
    assert (files[11], files[12]) == ("PTV+5.nii.gz", "PTV-5.nii.gz")


def test_labels_on_another_grid_and_structures_without_a_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="must have the scan's shape"):
        write_label_masks(np.zeros((2, 2, 2), np.uint8), [segment(1, "a")], SCAN, tmp_path)
    for write in (write_itksnap_labels, write_slicer_colours):
        with pytest.raises(DeliveryError, match="structure 4 must have a name"):
            write([segment(4, " ")], tmp_path / "labels")
    assert not list(tmp_path.iterdir())
