"""The review page as a reader uses it, in a headless Chromium."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.delivery.review import apply_edits, load_review
from medseg.inference.mask_page import AxisOrder
from medseg.runs.segmentation.review import BuildSettings, build_review
from medseg.scans import read_label, write_scan
from PIL import Image

from tests.delivery.review.chromium import Page, chromium
from tests.delivery.review.phantoms import LABELS, box_mask, oblique_grid, write_masks

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine")
STATE = "document.body?.dataset.shown"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a review page of two oblique scans and one picture in colours."""
    place = tmp_path_factory.mktemp("review")
    grid = oblique_grid()
    array = np.random.default_rng(0).normal(size=(1, *grid.shape)).astype(np.float32)
    masks = {}
    for name in ("a", "b"):
        write_scan(array, grid, place / "in" / f"{name}.nii.gz")
        masks[name] = (place / "in" / f"{name}.nii.gz", box_mask(grid.shape))
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:10] = (200, 60, 60)
    Image.fromarray(pixels).save(place / "in" / "c.png")
    picture = np.zeros((30, 20, 1), np.uint8)
    picture[5:9, 2:6] = 7
    write_masks(place / "masks", {**masks, "c": (place / "in" / "c.png", picture)})
    built = build_review(place / "masks", BuildSettings(out=place / "review.html"))
    assert built.cases == ("a", "b", "c")
    return place


def saved_review(page: Page, downloads: Path) -> Path:
    page.click("#save")
    end = time.monotonic() + 90
    while not (downloads / "review.json").exists():
        assert time.monotonic() < end, page.run("document.getElementById('status').textContent")
        time.sleep(0.1)
    return downloads / "review.json"


def canvas_colours(page: Page, tmp_path: Path) -> Any:
    page.screenshot(tmp_path / "page.png")
    x, y, width, height = page.run(
        "(({x, y, width, height}) => [x, y, width, height].map(Math.round))(canvas.getBoundingClientRect())"
    )
    with Image.open(io.BytesIO((tmp_path / "page.png").read_bytes())) as shown:
        return np.asarray(shown.convert("RGB"), np.int16)[y : y + height, x : x + width]


def test_image_and_coloured_mask_are_seen(built: Path, tmp_path: Path) -> None:
    with Page.opened(built / "review.html", downloads=tmp_path) as page:
        page.wait(f"{STATE} === '0'")
        pixels = canvas_colours(page, tmp_path)
        assert page.problems == []
    grey = (np.ptp(pixels, axis=2) < 12) & (pixels.mean(axis=2) > 40)
    red, green, blue = (pixels[..., n] for n in range(3))
    violet = np.minimum(red, blue) - green > 14  # the spleen, half transparent over grey
    brown = (red - green > 25) & (green - blue > 6)  # the liver
    assert grey.mean() > 0.05
    assert violet.mean() > 0.002
    assert brown.mean() > 0.005


def test_corrected_voxel_and_verdicts_come_back_as_they_were_given(built: Path, tmp_path: Path) -> None:
    with Page.opened(built / "review.html", downloads=tmp_path) as page:
        page.wait(f"{STATE} === '0'")
        page.key("1")
        page.key("b")
        page.run("document.getElementById('view').value = '0'; setView('0'); goTo([3, 2, 1]); 1")
        x, y, width, height = page.run(
            "(({x, y, width, height}) => [x, y, width, height])(canvas.getBoundingClientRect())"
        )
        page.press(x + width / 2, y + height / 2)
        page.wait("work[0].edits && work[0].edits.length === 1")
        (painted,) = page.run("Array.from(nv.drawBitmap.keys()).filter((at) => nv.drawBitmap[at] !== original[at])")
        page.click("#comment")
        page.type("tip <missing> & more")
        page.run("document.activeElement.blur(); 1")
        page.key("a")
        page.key("n")
        page.wait(f"{STATE} === '1'")
        page.key("r")
        page.click("#save")
        assert page.run("document.getElementById('status').textContent") == "Please write your name first."
        page.type("Dr. Ö")
        page.run("document.activeElement.blur(); 1")
        review = load_review(saved_review(page, tmp_path))
        assert page.problems == []
    first, second = review.cases
    assert (review.reader, first.case_id, second.case_id) == ("Dr. Ö", "a", "b")
    assert (first.verdict, second.verdict) == ("accepted", "rejected")
    assert first.comment == "tip <missing> & more"
    assert (first.edited_voxels, second.edits) == (1, ())
    assert first.seconds > 0
    mask, grid = read_label(built / "masks" / "a.nii.gz", case_id="a")
    corrected = apply_edits(mask, first.edits, values=list(LABELS.values()), case_id="a")
    seen = AxisOrder.of(grid).view(corrected != mask)
    assert np.flatnonzero(seen.ravel(order="F")).tolist() == [painted]
    assert corrected[corrected != mask].tolist() == [3]


def test_undo_takes_a_correction_back(built: Path, tmp_path: Path) -> None:
    with Page.opened(built / "review.html", downloads=tmp_path) as page:
        page.wait(f"{STATE} === '0'")
        page.run("setView('0'); goTo(middleOf(nv.drawBitmap, cases[0].shape, 2)); setSize(31); useTool('erase'); 1")
        x, y, width, height = page.run(
            "(({x, y, width, height}) => [x, y, width, height])(canvas.getBoundingClientRect())"
        )
        page.press(x + width / 2, y + height / 2)
        page.wait("work[0].edits && work[0].edits.length")
        assert page.run("work[0].edits.map((edit) => edit.value)") == [0]
        page.key("z")
        page.wait("work[0].edits.length === 0")
        assert page.run("nv.drawBitmap.every((structure, at) => structure === original[at])")


def test_work_survives_another_case_and_a_reload(built: Path, tmp_path: Path) -> None:
    with Page.opened(built / "review.html", downloads=tmp_path) as page:
        page.wait(f"{STATE} === '0'")
        page.run("nv.drawBitmap[7] = 1; takeEdits(); 1")
        before = page.run("JSON.stringify(work[0].edits)")
        page.key("a")
        page.click("#next")
        page.wait(f"{STATE} === '1'")
        page.click("#previous")
        page.wait(f"{STATE} === '0'")
        assert page.run("nv.drawBitmap[7]") == 1
        assert page.run("takeEdits(); JSON.stringify(work[0].edits)") == before != "[]"
        page.run("isSaved = true; delete document.body.dataset.shown; location.reload(); 1")
        page.wait(f"{STATE} === '0'")
        assert page.run("work[0].verdict") == "accepted"
        assert page.run("nv.drawBitmap[7]") == 1


def test_picture_is_upright_in_its_colours(built: Path, tmp_path: Path) -> None:
    with Page.opened(built / "review.html", downloads=tmp_path) as page:
        page.wait(f"{STATE} === '0'")
        page.run("openCase(2)")
        page.wait(f"{STATE} === '2'")
        pixels = canvas_colours(page, tmp_path)
        assert page.problems == []
    reddish = (pixels[..., 0] > 150) & (pixels[..., 1] < 100) & (pixels[..., 2] < 100)
    rows = np.nonzero(reddish.any(axis=1))[0]
    assert rows.max() < len(pixels) * 0.6  # the upper half
    blue = np.argwhere((pixels[..., 2] - pixels[..., 0] > 20) & (pixels[..., 2] > 80))
    assert blue[:, 0].mean() < len(pixels) / 2
    assert blue[:, 1].mean() < pixels.shape[1] / 2


def test_without_webgl_verdicts_are_given_on_pictures(built: Path, tmp_path: Path) -> None:
    with Page.opened(built / "review.html", "--disable-3d-apis", downloads=tmp_path) as page:
        page.wait(f"{STATE} === '0'")
        assert "it lacks WebGL 2" in page.run("document.getElementById('why').textContent")
        assert page.run("document.getElementById('picture').naturalWidth") > 100
        page.key("r")
        page.run("document.getElementById('reader').value = 'A'; 1")
        content = json.loads(saved_review(page, tmp_path).read_text(encoding="utf-8"))
    assert [(case["case_id"], case["verdict"], case["edits"]) for case in content["cases"]] == [("a", "rejected", [])]
