"""A structure has one colour in every page, picture and file that shows it."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest
import torch
from highdicom.color import CIELabColor
from medseg.audit import Audit
from medseg.delivery.audit.page import render_page
from medseg.delivery.segmentation import save_overlay
from medseg.inference import find_inputs
from medseg.inference.segmentation import Predictor, predict_cases
from medseg.inference.segmentation.mask_model import Drawing, Observer
from medseg.inference.slab import Slab
from medseg.manifest import manifest_target
from medseg.networks.segmentation import build_network
from medseg.records import Labelmap, Scan
from medseg.runs.segmentation.deliver import DeliverSettings, deliver_masks
from medseg.runs.segmentation.review import BuildSettings, build_review
from medseg.scans import read_label
from medseg.terms import structure_colours
from PIL import Image
from pydicom import dcmread

from tests.audit.made_up import case_of, facts_of
from tests.delivery.review.test_page import facts_of as review_facts
from tests.grids import grid
from tests.ingest.sources import write_ct
from tests.manifest.datasets import manifest_of
from tests.remedies.inference import model_card

Colour = tuple[int, int, int]

ROWS, COLUMNS, BLOCK = 4, 7, 8
GRID = grid((COLUMNS * BLOCK, ROWS * BLOCK, 6), spacing_mm=(2, 2, 3), axcodes="LPS")
NAMES = ("spleen", "liver", "my structure", *(f"part {n}" for n in range(25)))
# Neither by name nor by value, as a model may have them; a manifest has them by value.
LABELS = {"background": 0} | {name: 1 + 11 * n % len(NAMES) for n, name in enumerate(NAMES)}
FORMS = ("nifti", "seg-nrrd", "structures", "seg", "seg-binary", "rtstruct", "pdf")


def blocks(shape: Sequence[int]) -> Labelmap:
    """A block for each value, in rows and columns of the axial plane."""
    mask = np.zeros(shape, np.uint8)
    for value in range(1, len(NAMES) + 1):
        i, j = (BLOCK * place + 2 for place in ((value - 1) % COLUMNS, (value - 1) // COLUMNS))
        mask[i : i + 5, j : j + 5, 1:5] = value
    return mask


class Blocks(Predictor):
    """A model that draws the blocks on every scan."""

    def __init__(self) -> None:
        network = model_card().network.model_copy(update={"out_channels": len(LABELS)})
        card = model_card(channels=("CT",), labels=LABELS, network=network)
        super().__init__(build_network(network), card, device=torch.device("cpu"))

    def prepare(self, scan: Scan, *, slab: Slab | None = None) -> _Prepared:  # type: ignore[override]
        return _Prepared(blocks(scan.geometry.shape))


@dataclass(frozen=True)
class _Prepared:
    mask: Labelmap

    def draw(self, *, observe: Observer | None = None) -> Drawing:
        if observe is not None:
            observe(torch.from_numpy(np.stack([self.mask == value for value in LABELS.values()]).astype(np.float32)))
        return Drawing(self.mask)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a predicted and delivered case, its review page, its overlay and the audit of its data set."""
    place = tmp_path_factory.mktemp("colours")
    write_ct(place / "study", GRID, PatientID="A", Modality="CT")
    found = find_inputs([place / "study"], channels=("CT",))
    _, failures = predict_cases(Blocks(), found, place / "masks", has_page=True)
    assert failures == []
    build_review(place / "masks", BuildSettings(out=place / "review.html"))
    done = deliver_masks(place / "masks", DeliverSettings(out=place / "delivery", forms=FORMS))
    assert [one.certificate.is_passed for one in done.delivered] == [True]
    manifest = manifest_of([case_of("A")], labels=LABELS)
    scan, mask = _scan_and_mask(place)
    save_overlay(scan, mask, mask, place / "overlay.png", target=manifest_target(manifest), title="A")
    page = render_page(Audit(manifest, (), (facts_of("A"),), ("A",)))
    (place / "audit.html").write_text(page, encoding="utf-8")
    return place


def _scan_and_mask(place: Path) -> tuple[Scan, Labelmap]:
    mask, geometry = read_label(place / "masks" / "A.nii.gz", case_id="A")
    return Scan(np.zeros((1, *mask.shape), np.float32), geometry), mask


def _text(place: Path, name: str) -> str:
    return (place / name).read_text(encoding="utf-8")


def _of_code(code: str) -> Colour:
    red, green, blue = bytes.fromhex(code.removeprefix("#"))
    return red, green, blue


def _of_index(place: Path) -> dict[str, Colour]:
    rows = re.findall(r"background:rgb\((\d+),(\d+),(\d+)\)\"></i><bdi>([^<]*)<", _text(place, "masks/index.html"))
    return {name: (int(red), int(green), int(blue)) for red, green, blue, name in rows}


def _of_review(place: Path) -> dict[str, Colour]:
    return {one["name"]: tuple(one["colour"]) for one in review_facts(_text(place, "review.html"))["structures"]}


def _of_audit(place: Path) -> dict[str, Colour]:
    rows = re.findall(r'background:(#\w+)"></i>([^<]*)<', _text(place, "audit.html"))
    return {name: _of_code(code) for code, name in rows}


def _of_sidecar(place: Path, name: str = "A.json") -> dict[str, Colour]:
    content = json.loads(_text(place, f"delivery/A/{name}"))
    assert {one["name"]: one["colour"] for one in content["values"].values()} == {
        one["name"]: one["colour"] for one in content["structures"]
    }
    return {one["name"]: _of_code(one["colour"]) for one in content["structures"]}


def _of_structures(place: Path) -> dict[str, Colour]:
    return _of_sidecar(place, "structures/structures.json")


def _of_itksnap(place: Path) -> dict[str, Colour]:
    rows = re.findall(r'^ +\d+ +(\d+) +(\d+) +(\d+) +1 +1 +1 +"(.*)"$', _text(place, "delivery/A/A.itksnap.txt"), re.M)
    return {name: (int(red), int(green), int(blue)) for red, green, blue, name in rows}


def _of_slicer(place: Path) -> dict[str, Colour]:
    rows = re.findall(r"^[1-9]\d* (\S+) (\d+) (\d+) (\d+) 255$", _text(place, "delivery/A/A.ctbl"), re.M)
    return {name.replace("_", " "): (int(red), int(green), int(blue)) for name, red, green, blue in rows}


def _of_seg_nrrd(place: Path) -> dict[str, Colour]:
    header = nrrd.read_header(str(place / "delivery" / "A" / "A.seg.nrrd"))
    colours = {}
    for number in range(len(NAMES)):
        red, green, blue = (round(255 * float(part)) for part in header[f"Segment{number}_Color"].split())
        colours[header[f"Segment{number}_Name"]] = (red, green, blue)
    return colours


def _of_seg(place: Path, name: str = "A.seg.dcm") -> dict[str, Colour]:
    items = dcmread(place / "delivery" / "A" / name).SegmentSequence
    return {
        item.SegmentLabel: CIELabColor.from_dicom_value(item.RecommendedDisplayCIELabValue).to_rgb()
        for item in items
        if item.SegmentLabel != "Background"
    }


def _of_binary_seg(place: Path) -> dict[str, Colour]:
    return _of_seg(place, "A.binary.seg.dcm")


def _of_rtstruct(place: Path) -> dict[str, Colour]:
    dataset = dcmread(place / "delivery" / "A" / "A.rtstruct.dcm")
    names = {item.ROINumber: item.ROIName for item in dataset.StructureSetROISequence}
    return {names[one.ReferencedROINumber]: tuple(map(int, one.ROIDisplayColor)) for one in dataset.ROIContourSequence}


def _of_pdf(place: Path) -> dict[str, Colour]:
    """Colours of the boxes in the table, which has a line for each structure in their order."""
    content = (place / "delivery" / "A" / "A.pdf").read_bytes()
    streams = [
        zlib.decompressobj().decompress(part) for part in re.findall(rb"stream\r?\n(x.*?)endstream", content, re.S)
    ]
    part = rb"\s+(0|1|0\.\d+)"
    fills = re.findall(3 * part + rb"\s+rg\s+[\d.]+ [\d.]+ m\s", b"".join(streams))
    boxes = [tuple(round(255 * float(value)) for value in fill) for fill in fills]
    coloured = [(red, green, blue) for red, green, blue in boxes if len({red, green, blue}) > 1]
    names = [name for name in LABELS if name != "background"]
    return dict(zip(names, coloured, strict=True))


SOURCES: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "index.html": _of_index,
    "review.html": _of_review,
    "sidecar": _of_sidecar,
    "structures": _of_structures,
    "ITK-SNAP": _of_itksnap,
    "3D Slicer": _of_slicer,
    "seg.nrrd": _of_seg_nrrd,
    "SEG": _of_seg,
    "binary SEG": _of_binary_seg,
    "RTSTRUCT": _of_rtstruct,
    "PDF": _of_pdf,
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_structure_has_its_one_colour(place: Path, source: str) -> None:
    assert SOURCES[source](place) == structure_colours(NAMES)


@pytest.mark.parametrize(("picture", "most"), [("masks/pictures/A.png", 0), ("overlay.png", 30)])
def test_outlines_of_a_picture_stand_where_the_structure_of_their_colour_is(
    place: Path, picture: str, most: int
) -> None:
    """The middles of the colours in the axial plane are those of the blocks, scaled and moved."""
    with Image.open(place / picture) as opened:
        pixels = np.asarray(opened.convert("RGB")).astype(int)
    axial = pixels[: int(0.88 * len(pixels)), : pixels.shape[1] // 3]
    colours = structure_colours(NAMES)
    apart = np.abs(axial[..., np.newaxis, :] - np.array(list(colours.values()))).max(axis=-1)
    is_nearest = (apart == apart.min(axis=-1, keepdims=True)) & (apart <= most)
    middles = np.array([np.median(np.argwhere(is_nearest[..., n]), axis=0) for n in range(len(colours))])
    _, mask = _scan_and_mask(place)
    places = np.array([np.argwhere(mask == LABELS[name])[:, :2].mean(axis=0) for name in colours])
    known = np.column_stack([places, np.ones(len(places))])
    scales = np.linalg.lstsq(known, middles, rcond=None)[0]
    from_block_to_block = BLOCK * np.abs(scales[:2]).max()
    assert from_block_to_block > 20
    assert np.abs(known @ scales - middles).max() < 0.2 * from_block_to_block


def test_legend_of_the_audit_has_the_same_colours(place: Path) -> None:
    found = _of_audit(place)
    assert len(found) == 24  # as many as it shows
    assert found.items() <= structure_colours(NAMES).items()
