"""Whatever a writer gets wrong is found when its file is read back, and the file stays under a name that says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import medseg.scans
import medseg.scans.dicom
import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.records import Scan
from medseg.scans.segment import Segment
from pydicom import dcmread

from tests.runs.delivered import deliver, draw_masks

WRITERS = {
    "nifti": (medseg.scans, "write_mask"),
    "seg-nrrd": (medseg.scans, "write_seg_nrrd"),
    "seg": (medseg.scans.dicom, "write_seg"),
    "seg-binary": (medseg.scans.dicom, "write_seg"),
    "rtstruct": (medseg.scans.dicom, "write_rtstruct"),
}
NAMING = ("seg-nrrd", "seg", "seg-binary", "rtstruct")
Spoil = Callable[[Any], Any]


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_masks(tmp_path_factory.mktemp("faults"))


def spoiled_deliver(
    masks: Path, out: Path, form: str, monkeypatch: pytest.MonkeyPatch, *, given: Spoil = lambda one: one,
    written: Callable[[Path], object] = lambda path: None,
) -> str:  # fmt: skip
    """Deliver with a writer that gets other arguments or spoils its file; the reason of the only case."""
    module, name = WRITERS[form]
    write = getattr(module, name)

    def write_wrongly(*arguments: Any, **more: Any) -> Any:
        made = write(*map(given, arguments), **more)
        written(made or next(one for one in arguments if isinstance(one, Path)))
        return made

    monkeypatch.setattr(module, name, write_wrongly)
    result = deliver(masks, out, form, cases=("A",))
    assert not result.delivered, "a wrong file was certified"
    assert [one.folder.name for one in result.not_certified] == ["A.not_certified"], result.failures
    assert [path.name for path in (out / "A.not_certified").glob("*.failed")]
    return result.failures[0].reason


def labels(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda one: change(one) if isinstance(one, np.ndarray) else one


def affine(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    def changed(one: Any) -> Any:
        if not isinstance(one, Scan):
            return one
        return replace(one, geometry=Geometry(one.geometry.shape, change(one.geometry.affine)))

    return changed


def segments(change: Callable[[Sequence[Segment]], Sequence[Segment]]) -> Spoil:
    return lambda one: change(one) if isinstance(one, tuple) and isinstance(one[0], Segment) else one


def swapped(one: np.ndarray) -> np.ndarray:
    return np.choose(one, [0, 1, 5, 3, 4, 2]).astype(np.uint8)


def with_voxel(value: int) -> Callable[[np.ndarray], np.ndarray]:
    def changed(one: np.ndarray) -> np.ndarray:
        other = one.copy()
        other[0, 0, 0] = value
        return other

    return changed


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize(
    "given",
    [
        pytest.param(labels(lambda one: one[::-1].copy()), id="mirrored voxels"),
        pytest.param(labels(swapped), id="swapped sides"),
        pytest.param(labels(with_voxel(1)), id="one voxel more"),
        pytest.param(labels(np.zeros_like), id="no voxel"),
        pytest.param(affine(lambda one: np.diag([-1.0, 1, 1, 1]) @ one), id="mirrored grid"),
    ],
)
def test_wrong_voxels_are_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, given: Spoil
) -> None:
    spoiled_deliver(masks, tmp_path / "out", form, monkeypatch, given=given)


@pytest.mark.parametrize("form", [form for form in WRITERS if form != "rtstruct"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda one: one + 0.5 * np.outer(one[:, 0], [0, 0, 0, 1]), id="half a voxel"),
        pytest.param(lambda one: one @ np.diag([1, 1, 1.01, 1]), id="spacing"),
    ],
)
def test_wrong_grid_is_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    spoiled_deliver(masks, tmp_path / "out", form, monkeypatch, given=affine(change))


@pytest.mark.parametrize("form", NAMING)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ones: tuple(replace(one, name=f"{one.name} 2") for one in ones), "the file names it"),
        (lambda ones: (*ones, replace(ones[0], number=len(ones) + 1, name="ghost", values=(200,))), "number 4"),
    ],
)
def test_wrong_names_and_structures_without_a_voxel_are_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str,
    change: Callable[[Sequence[Segment]], Sequence[Segment]], words: str,
) -> None:  # fmt: skip
    assert words in spoiled_deliver(masks, tmp_path / "out", form, monkeypatch, given=segments(change))


def test_value_that_no_structure_has_is_found(masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = spoiled_deliver(masks, tmp_path / "out", "nifti", monkeypatch, given=labels(with_voxel(77)))
    assert "the file holds value 77, which no structure has" in reason


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("content", [b"", b"x" * 5000])
def test_file_that_nobody_can_read_is_kept_as_failed(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, content: bytes
) -> None:
    reason = spoiled_deliver(masks, tmp_path / "out", form, monkeypatch, written=lambda path: path.write_bytes(content))
    assert "it cannot be read" in reason


def moved(*, by_mm: Sequence[float], scale: float = 1.0) -> Callable[[Path], object]:
    """Move and scale the contours of a structure set."""

    def changed(path: Path) -> None:
        dataset = dcmread(path)
        for roi in dataset.ROIContourSequence:
            for contour in roi.get("ContourSequence") or ():
                points = np.array(contour.ContourData, float).reshape(-1, 3) * [scale, 1, 1] + np.array(by_mm)
                contour.ContourData = [f"{value:.4f}" for value in points.ravel()]
        dataset.save_as(path)

    return changed


@pytest.mark.parametrize(
    "written",
    [moved(by_mm=(0.3, 0, 0)), moved(by_mm=(0, 0.6, 0)), moved(by_mm=(0, 0, 0.3)), moved(by_mm=(0, 0, 0), scale=1.02)],
)
def test_contours_between_the_edges_of_voxels_are_found(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Callable[[Path], object]
) -> None:
    reason = spoiled_deliver(masks, tmp_path / "out", "rtstruct", monkeypatch, written=written)
    assert "contours must" in reason


def test_report_is_written_beside_a_seg_that_fails(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = medseg.scans.dicom.write_seg
    monkeypatch.setattr(
        medseg.scans.dicom, "write_seg", lambda mask, *others, **more: write(mask[::-1].copy(), *others, **more)
    )
    result = deliver(masks, tmp_path / "out", "sr", "seg", cases=("A",))
    names = {path.name for path in (tmp_path / "out" / "A.not_certified").iterdir()}
    assert names == {"A.seg.dcm.failed", "A.sr.dcm", "certificate.json"}, result.failures


def test_page_that_finds_no_space_fails_its_case_alone(
    masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.fail("this system has no /dev/full")
    make = Path.write_bytes

    def without_space(path: Path, content: Any) -> int:
        return make(full if ".part" in path.name else path, content)

    monkeypatch.setattr(Path, "write_bytes", without_space)
    result = deliver(masks, tmp_path / "out", "pdf", cases=("A",))
    assert "A.pdf: must be writable" in result.failures[0].reason
    assert "the disk is full" in result.failures[0].reason
