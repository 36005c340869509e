"""Slices in the store: keyed by what they are made of, whole or made again, with the areas of the labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.manifest import assign_folds, read_case, split_fold
from medseg.plane import Plane
from medseg.preprocess.classification import StoredSlices, prepare_slices, slice_axis, slice_stack
from medseg.preprocess.classification.prepare import label_areas_mm2
from medseg.records import Case, Manifest
from medseg.scans import read_scan, write_scan

from tests.grid_strategies import grids
from tests.grids import OBLIQUE, grid
from tests.preprocess.classification.scans import LABELS, NONE, manifest_of, prepare, slice_config, write_labelled

FOREGROUND = {"liver": 1, "spleen": 2}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    label = np.random.default_rng(0).integers(0, 3, OBLIQUE.shape)
    return write_labelled(tmp_path, "a", OBLIQUE, label=label)


@settings(max_examples=50, deadline=None)
@given(grids(max_tilt=0.3), st.sampled_from(["axial", "coronal", "sagittal"]), st.integers(0, 2**16))
def test_area_is_the_labelled_pixels_of_the_slice_in_mm2(geometry: Geometry, plane: Plane, seed: int) -> None:
    label = np.random.default_rng(seed).integers(0, 3, geometry.shape)
    along = slice_axis(geometry, plane)
    found = label_areas_mm2(label, along, FOREGROUND)
    pixel_mm2 = np.prod([mm for axis, mm in enumerate(geometry.spacing_mm) if axis != along.axis])
    for name, value in FOREGROUND.items():
        counts = [(np.take(label, n, along.axis) == value).sum() for n in range(geometry.shape[along.axis])]
        in_scan_order = found[name][::-1] if along.is_flipped else found[name]
        np.testing.assert_allclose(in_scan_order, np.array(counts) * pixel_mm2, rtol=1e-9)


def test_areas_lie_on_the_slices_whose_pictures_show_them(tmp_path: Path) -> None:
    """Image and label are the same voxels: a picture is bright where its area says so. The head comes first."""
    geometry = grid((12, 12, 7), spacing_mm=(1, 1, 3), axcodes="LPI")
    label = np.zeros(geometry.shape, np.uint8)
    label[3:8, 4:6, 1:3] = 1
    (stored,) = prepare([write_labelled(tmp_path, "a", geometry, image=label, label=label)], tmp_path)
    assert stored.areas_mm2 is not None
    assert stored.areas_mm2["liver"].tolist() == [0, 0, 0, 0, 10, 10, 0]
    np.testing.assert_allclose(stored.stack().sum(dim=(1, 2, 3)).numpy(), stored.areas_mm2["liver"])
    assert stored.in_scan_order(stored.areas_mm2["liver"]).tolist() == [0, 10, 10, 0, 0, 0, 0]


def test_stored_pictures_are_those_of_the_scan(case: Case, tmp_path: Path) -> None:
    (stored,) = prepare([case], tmp_path)
    scan, label = read_case(case, manifest_of([case]), tmp_path)
    stack, along = slice_stack(scan, slice_config())
    np.testing.assert_allclose(stored.stack().numpy(), stack.numpy(), rtol=2**-11, atol=2**-24)  # half precision
    np.testing.assert_allclose(stored.positions_mm, along.positions_mm)
    assert (stored.axis, stored.is_flipped, len(stored)) == (along.axis, along.is_flipped, len(stack))
    expected = label_areas_mm2(label, along, FOREGROUND)
    assert stored.areas_mm2 is not None
    assert stored.areas_mm2.keys() == expected.keys()
    for name, areas in expected.items():
        np.testing.assert_allclose(stored.areas_mm2[name], areas)


def test_intensities_beyond_half_precision_are_kept(tmp_path: Path) -> None:
    geometry = grid((8, 8, 2))
    image = np.full(geometry.shape, 123456.0)
    (stored,) = prepare([write_labelled(tmp_path, "a", geometry, image=image)], tmp_path)
    assert float(stored.stack().max()) == 123456.0


def test_scan_of_one_slice_is_one_picture_with_its_area(tmp_path: Path) -> None:
    geometry = grid((12, 1, 10), spacing_mm=(2, 5, 3), axcodes="LPS")
    label = np.zeros(geometry.shape, np.uint8)
    label[2:4, 0, 2:5] = 2
    (stored,) = prepare([write_labelled(tmp_path, "a", geometry, label=label)], tmp_path)
    assert (len(stored), stored.axis) == (1, 1)
    assert stored.areas_mm2 is not None
    assert stored.areas_mm2["spleen"].tolist() == [6 * 2 * 3]


def key(case: Case, root: Path, *, manifest: Manifest | None = None, with_labels: bool = True, **config: Any) -> str:
    (stored,) = prepare([case], root, config=slice_config(**config), with_labels=with_labels, manifest=manifest)
    return stored.folder.name


def test_context_does_not_make_new_pictures(case: Case, tmp_path: Path) -> None:
    assert key(case, tmp_path) == key(case, tmp_path, context=2)
    assert len(list((tmp_path / "store").iterdir())) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"pixel_mm": 2.0},
        {"size": (16, 24)},
        {"plane": "coronal"},
        {"normalisation": ({"kind": "zscore"},)},
        {"with_labels": False},
    ],
    ids=str,
)
def test_anything_that_changes_the_entry_changes_its_key(case: Case, tmp_path: Path, change: dict[str, Any]) -> None:
    assert key(case, tmp_path) != key(case, tmp_path, **change)


def test_label_s_name_and_value_change_the_key(case: Case, tmp_path: Path) -> None:
    renamed = manifest_of([case], labels={"background": 0, "lung": 1, "spleen": 2})
    assert key(case, tmp_path) != key(case, tmp_path, manifest=renamed)
    assert key(case, tmp_path, with_labels=False) == key(case, tmp_path, with_labels=False, manifest=renamed)


@pytest.mark.parametrize("file", ["image", "label"])
def test_other_bytes_make_another_entry(case: Case, tmp_path: Path, file: str) -> None:
    before = key(case, tmp_path), key(case, tmp_path, with_labels=False)
    write_scan(np.ones((1, *OBLIQUE.shape), np.uint8), OBLIQUE, tmp_path / f"a_{file}.nii.gz")
    after = key(case, tmp_path), key(case, tmp_path, with_labels=False)
    assert before[0] != after[0]
    assert (before[1] == after[1]) == (file == "label")


def test_label_is_not_needed_where_it_is_not_asked_for(case: Case, tmp_path: Path) -> None:
    (tmp_path / "a_label.nii.gz").unlink()
    unlabelled = case.model_copy(update={"label": None})
    (stored,) = prepare([unlabelled], tmp_path, with_labels=False)
    assert stored.areas_mm2 is None
    _, (failure,) = prepare_slices(
        [unlabelled], manifest_of([case]), tmp_path, config=slice_config(), with_labels=True, store=tmp_path / "store"
    )
    assert failure.reason.startswith("case a: label must be given")


def test_empty_label_is_an_answer_too(tmp_path: Path) -> None:
    (stored,) = prepare([write_labelled(tmp_path, "a", OBLIQUE)], tmp_path)
    assert stored.areas_mm2 is not None
    assert not any(areas.any() for areas in stored.areas_mm2.values())


def test_bad_case_is_recorded_and_the_others_go_on(case: Case, tmp_path: Path) -> None:
    bad = write_labelled(tmp_path, "bad", OBLIQUE)
    (tmp_path / "bad_image.nii.gz").write_bytes(b"nothing")
    done: list[str] = []
    cases, failures = prepare_slices(
        [bad, case],
        manifest_of([bad, case]),
        tmp_path,
        config=slice_config(),
        with_labels=True,
        store=tmp_path / "store",
        on_done=done.append,
    )
    assert [item.case_id for item in cases] == ["a"]
    assert [(item.case_id, item.stage) for item in failures] == [("bad", "prepare")]
    assert sorted(done) == ["a", "bad"]


def test_prepared_once_and_read_ever_after(case: Case, tmp_path: Path) -> None:
    (first,) = prepare([case], tmp_path)
    before = [path.stat().st_mtime_ns for path in sorted(first.folder.iterdir())]
    (second,) = prepare([case], tmp_path)
    assert second.folder == first.folder
    assert [path.stat().st_mtime_ns for path in sorted(first.folder.iterdir())] == before


def test_same_scan_of_another_patient_keeps_its_own_name(tmp_path: Path) -> None:
    one = write_labelled(tmp_path, "a", OBLIQUE, patient="p")
    two = one.model_copy(update={"case_id": "b", "patient_id": "q"})
    stored = prepare([one, two], tmp_path)
    assert [(item.case_id, item.patient_id) for item in stored] == [("a", "p"), ("b", "q")]
    assert stored[0].folder == stored[1].folder


def damage(stored: StoredSlices, how: str) -> None:
    pictures, facts = stored.folder / "slices.b2nd", stored.folder / "slices.json"
    content = json.loads(facts.read_text(encoding="utf-8"))
    if how == "pictures cut short":
        pictures.write_bytes(pictures.read_bytes()[:40])
    elif how == "pictures gone":
        pictures.unlink()
    elif how == "facts gone":
        facts.unlink()
    elif how == "facts cut short":
        facts.write_text(facts.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    elif how == "a fact missing":
        del content["is_flipped"]
        facts.write_text(json.dumps(content), encoding="utf-8")
    elif how == "a slice missing":
        content["positions_mm"].pop()
        facts.write_text(json.dumps(content), encoding="utf-8")
    elif how == "an area missing":
        content["areas_mm2"]["liver"].pop()
        facts.write_text(json.dumps(content), encoding="utf-8")
    elif how == "a bit turned":
        path = stored.folder / "slices.b2nd"
        turned = bytearray(path.read_bytes())
        turned[len(turned) // 2] ^= 1
        path.write_bytes(turned)
    elif how == "areas of nothing":
        content["areas_mm2"] = 3
        facts.write_text(json.dumps(content), encoding="utf-8")


DAMAGES = [
    "pictures cut short", "pictures gone", "facts gone", "facts cut short", "a fact missing", "a slice missing",
    "an area missing", "areas of nothing", "a bit turned",
]  # fmt: skip


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_entry_is_made_again(case: Case, tmp_path: Path, how: str) -> None:
    (whole,) = prepare([case], tmp_path)
    pictures = whole.stack().numpy()
    damage(whole, how)
    (again,) = prepare([case], tmp_path)
    np.testing.assert_array_equal(again.stack().numpy(), pictures)
    assert again.areas_mm2 is not None
    assert whole.areas_mm2 is not None
    np.testing.assert_array_equal(again.areas_mm2["liver"], whole.areas_mm2["liver"])
    assert len(again.stack()) == len(again) == len(whole)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_entry_cut_short_after_it_was_opened_is_named_with_the_remedy(case: Case, tmp_path: Path, share: float) -> None:
    (stored,) = prepare([case], tmp_path)
    path = stored.folder / "slices.b2nd"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ScanError, match=r"case a: store entry .* must be whole, got: .*; delete that folder"):
        stored.stack()


def test_chunk_that_cannot_be_unpacked_is_an_error_that_names_the_case(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Torn:
        def __getitem__(self, key: slice) -> None:
            raise RuntimeError("Error while getting the buffer")  # as blosc2 puts it

    (stored,) = prepare([case], tmp_path)
    monkeypatch.setattr(StoredSlices, "open", lambda self: Torn())
    for read in (stored.stack, lambda: stored.read(0, 1)):
        with pytest.raises(ScanError, match=r"case a: store entry .* must be whole, got: Error while .*; delete that"):
            read()


def test_photograph_is_prepared(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.arange(80, dtype=np.uint8).reshape(8, 10)).save(tmp_path / "photo.png")
    case = Case(case_id="photo", patient_id="photo", images=("photo.png",))
    (stored,) = prepare([case], tmp_path, with_labels=False)
    assert (len(stored), stored.axis) == (1, read_scan(tmp_path / "photo.png", case_id="photo").array.ndim - 2)
    assert float(stored.stack().max()) == 79


def test_channels_come_in_the_order_of_the_case(tmp_path: Path) -> None:
    one = write_labelled(tmp_path, "a", OBLIQUE, image=np.full(OBLIQUE.shape, 1.0))
    two = write_labelled(tmp_path, "b", OBLIQUE, image=np.full(OBLIQUE.shape, 2.0))
    both = one.model_copy(update={"images": (*two.images, *one.images)})
    manifest = manifest_of([both], channels=("T1", "T2"))
    (stored,) = prepare([both], tmp_path, config=slice_config(normalisation=(NONE, NONE)), manifest=manifest)
    assert stored.stack().amax(dim=(0, 2, 3)).tolist() == [2.0, 1.0]


def test_slices_of_one_patient_never_lie_in_both_parts_of_a_fold(cohort: tuple[Manifest, Path], tmp_path: Path) -> None:
    manifest, root = cohort
    patients = []
    for cases in split_fold(assign_folds(manifest, folds=3), 0):
        found = prepare_slices(
            cases, manifest, root, config=slice_config(pixel_mm=12.0), with_labels=True, store=tmp_path
        )
        assert found.failures == ()
        patients.append({case.patient_id for case in found.cases})
    assert patients[0]
    assert patients[1]
    assert patients[0].isdisjoint(patients[1])
    assert patients[0] | patients[1] == {case.patient_id for case in manifest.select("training")}


def test_labels_of_the_manifest_are_all_measured(case: Case, tmp_path: Path) -> None:
    (stored,) = prepare([case], tmp_path)
    assert stored.areas_mm2 is not None
    assert set(stored.areas_mm2) == set(LABELS) - {"background"}
